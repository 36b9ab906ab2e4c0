import { expect } from "chai";
import type { TypedArray } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { plain, random } from "../plain.ts";
import { settle } from "../workbench.ts";

export const memory: Record<string, Law> = {
  "free returns what was taken": async (bench) => {
    await settle(bench.backend);
    const before = bench.backend.stats();
    const x = bench.put(random([50, 40], "float32"));
    const during = bench.backend.stats();
    expect(during.liveBuffers).to.equal(before.liveBuffers + 1);
    expect(during.liveBytes).to.be.at.least(before.liveBytes + 50 * 40 * 4);
    expect(during.peakBytes).to.be.at.least(during.liveBytes);
    await bench.backend.download(x.buffer, x);
    bench.free(x.buffer);
    await settle(bench.backend);
    const after = bench.backend.stats();
    expect([after.liveBuffers, after.liveBytes]).to.deep.equal([before.liveBuffers, before.liveBytes]);
  },

  "a thousand rounds leave nothing behind, and reuse shows no old numbers": async (bench) => {
    const { backend } = bench;
    const type = { shape: [9, 7], dtype: "float32" } as const;
    const x = bench.put(random([9, 7], "float32"), "swapped");
    await settle(backend);
    const before = backend.stats();
    for (let round = 0; round < 1000; round++) {
      const sum = backend.binary("add", type, x, x);
      const row = backend.reduce("max", { shape: [7], dtype: "float32" }, x, [0]);
      backend.free(sum);
      backend.free(row);
      if (round % 100 === 0) await settle(backend);
    }
    await settle(backend);
    const after = backend.stats();
    expect([after.liveBuffers, after.liveBytes]).to.deep.equal([before.liveBuffers, before.liveBytes]);
    expect(after.launches).to.be.at.least(before.launches + 2000);
    const zeros = backend.addRows(type, bench.put(plain([0, 7], "float32", [])), bench.put(plain([0], "int32", [])));
    expect((await bench.read(zeros, type)).data).to.deep.equal(new Array(63).fill(0));
  },

  "the host fills a buffer from inputs in row-major order, and a filler that throws leaves nothing behind": async (bench) => {
    const { backend } = bench;
    if (!backend.onHost) return "not served";
    const x = random([3, 4], "float32", 5);
    const views = [bench.put(x), bench.put(x, "swapped"), bench.put(x, "sliced")];
    const before = backend.stats();
    const sum = (out: TypedArray, ...given: TypedArray[]): void => given.forEach((part, k) => part.forEach((v, i) => (out[i] = (k > 0 ? out[i] : 0) + v))); // prettier-ignore
    const buffer = bench.keep(backend.onHost("sum", x, views, sum));
    const want = x.data.map((v) => Math.fround(Math.fround(v + v) + v));
    expect((await bench.read(buffer, x)).data).to.deep.equal(want);
    const failing = (): never => {
      throw new RangeError("no");
    };
    expect(() => backend.onHost?.("failing", x, views, failing)).to.throw("no");
    expect(backend.stats().liveBuffers).to.equal(before.liveBuffers + 1);
  },

  "a buffer may be freed while kernels that read it are still to run": async (bench) => {
    const { backend } = bench;
    const x = backend.full({ shape: [500], dtype: "float32" }, 2);
    const view = { shape: [500], dtype: "float32", buffer: x, strides: [1], offset: 0 } as const;
    const twice = backend.binary("add", view, view, view);
    backend.free(x);
    const other = bench.keep(backend.full({ shape: [500], dtype: "float32" }, 9));
    expect((await bench.read(twice, view)).data).to.deep.equal(new Array(500).fill(4));
    expect((await bench.backend.download(other, view))[0]).to.equal(9);
  },
};
