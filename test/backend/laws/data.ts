import { expect } from "chai";
import { sizeOf } from "../../../src/backend/shape.ts";
import type { DType } from "../../../src/backend/backend.ts";
import { packBfloat16, unpackBfloat16 } from "../../../src/backend/bfloat16.ts";
import type { Law } from "../conformance.ts";
import { plain, random } from "../plain.ts";
import { typed, whole } from "../workbench.ts";

const all: DType[] = ["float32", "float64", "int32", "bfloat16"];

export const data: Record<string, Law> = {
  "what was uploaded comes back, in every element type and size": async (bench) => {
    for (const dtype of all.filter((t) => bench.backend.dtypes.has(t))) {
      for (const n of [0, 1, 2, 3, 5, 8, 1031]) {
        const x = dtype === "bfloat16" ? random([n], "int32", 2, 0, 65536) : random([n], dtype, n);
        const buffer = bench.backend.upload({ shape: [n], dtype }, typed(dtype, x.data));
        const got = await bench.backend.download(bench.keep(buffer), { shape: [n], dtype });
        expect(got.constructor).to.equal(typed(dtype, []).constructor);
        expect(Array.from(got)).to.deep.equal(x.data);
      }
    }
  },

  "upload takes a copy": async (bench) => {
    const source = Float32Array.of(1, 2, 3);
    const buffer = bench.keep(bench.backend.upload({ shape: [3], dtype: "float32" }, source));
    source.fill(9);
    expect(Array.from(await bench.backend.download(buffer, { shape: [3], dtype: "float32" }))).to.deep.equal([1, 2, 3]);
  },

  "download gives a copy that a later free does not disturb": async (bench) => {
    const type = { shape: [600], dtype: "float32" } as const;
    const buffer = bench.backend.full(type, 5);
    const pending = bench.backend.download(buffer, type);
    bench.backend.free(buffer);
    const other = bench.keep(bench.backend.full(type, 7));
    expect(Array.from(await pending)).to.deep.equal(new Array(600).fill(5));
    (await bench.backend.download(other, type)).fill(0);
    expect(Array.from(await bench.backend.download(other, type))).to.deep.equal(new Array(600).fill(7));
  },

  "numbers that are not finite survive": async (bench) => {
    for (const dtype of bench.floats) {
      const x = plain([4], dtype, [NaN, Infinity, -Infinity, 0]);
      bench.compare("upload", (await bench.read(bench.put(x).buffer, x)).data, x);
    }
  },

  "full fills every element type": async (bench) => {
    for (const dtype of all.filter((t) => bench.backend.dtypes.has(t))) {
      for (const shape of [[], [0], [3], [2, 0, 3], [5, 7]]) {
        const value = dtype === "bfloat16" ? 0x4048 : 3;
        const filled = plain(shape, dtype, new Array<number>(sizeOf(shape)).fill(value));
        await bench.expect("full", (out) => bench.backend.full(out, dtype === "bfloat16" ? 3.125 : 3), filled);
      }
    }
  },

  "bfloat16: rounding to it and rounding to a whole number are two things, on the same array": async (bench) => {
    if (!bench.backend.dtypes.has("bfloat16")) return "not served";
    const x = plain([2, 3], "float32", [0.5, 1.5, 2.25, -4.5, 3, -0.5]);
    const stored = plain([2, 3], "bfloat16", Array.from(packBfloat16(x.data)));
    const rounded = plain([2, 3], "float32", [0, 2, 2, -4, 3, -0]);
    for (const layout of ["contiguous", "flipped"] as const)
      for (let again = 0; again < 2; again++) {
        await bench.expect("cast to bfloat16", (out) => bench.backend.cast(out, bench.put(x, layout)), stored);
        await bench.expect("round", (out) => bench.backend.unary("round", out, bench.put(x, layout)), rounded);
      }
  },

  "bfloat16: cast from it is exact, cast to it rounds to nearest even": async (bench) => {
    if (!bench.backend.dtypes.has("bfloat16")) return "not served";
    const finite = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => (bits & 0x7f80) !== 0x7f80);
    const stored = bench.put({ shape: [finite.length], dtype: "bfloat16", data: Array.from(finite) });
    const wide = plain(stored.shape, "float32", Array.from(unpackBfloat16(finite)));
    const buffer = bench.backend.cast(wide, stored);
    bench.compare("cast to float32", (await bench.read(buffer, wide)).data, wide);

    const between = [1, 1.00390625, 1.01171875, 1.0039063, -1.00390625, 3.4e38, 1e-40, 0.1, Infinity, -Infinity, 1e10 / 3];
    const values = plain([between.length], "float32", between);
    const rounded = { shape: values.shape, dtype: "bfloat16" as const, data: Array.from(packBfloat16(values.data)) };
    for (const layout of ["contiguous", "flipped", "sliced"] as const) {
      await bench.expect("cast to bfloat16", (out) => bench.backend.cast(out, bench.put(values, layout)), rounded);
    }
    const nan = bench.backend.cast({ shape: [1], dtype: "bfloat16" }, bench.put(plain([1], "float32", [NaN])));
    const back = bench.backend.cast({ shape: [1], dtype: "float32" }, whole(bench.keep(nan), { shape: [1], dtype: "bfloat16" }));
    expect((await bench.read(back, { shape: [1], dtype: "float32" })).data).to.deep.equal([NaN]);
  },
};
