/** int32 kernels at the ends of their range, against the reference loops and JavaScript's own integers. */
import { expect } from "chai";
import type { BinaryOp, Buffer, DType, NDArray, TypedArray, UnaryOp } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";
import { integerBinary, integerUnary } from "../../src/backend/wasm/kernels/integer.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import { typed } from "./workbench.ts";

const ends = [0, 1, 2, 3, 7, 8, 1000, 46341, 65536, 2 ** 24 + 1, 2 ** 30, 2 ** 31 - 2, 2 ** 31 - 1].flatMap((x) => [x, -x - 1]);
const pairs = { xs: ends.flatMap((x) => ends.map(() => x)), ys: ends.flatMap(() => ends) };

function put(backend: CpuBackend, dtype: DType, data: readonly number[]): NDArray {
  const type = { shape: [data.length], dtype };
  return { ...type, buffer: backend.upload(type, typed(dtype, data)), strides: [1], offset: 0 };
}

function binary(backend: CpuBackend, op: BinaryOp, xs: readonly number[], ys: readonly number[]): TypedArray {
  const x = put(backend, "int32", xs);
  return backend.downloadSync(backend.binary(op, x, x, put(backend, "int32", ys)), x);
}

describe("int32 on the wasm backend", () => {
  const reference = new CpuBackend();
  let backend: CpuBackend;
  before(async () => void (backend = await wasm({ threads: 1 })));

  for (const op of Object.keys(integerBinary) as BinaryOp[]) {
    it(`${op} of every pair is what the reference says, or wraps around`, () => {
      const { xs, ys } = pairs;
      const got = binary(backend, op, xs, ys);
      // A product of more than 53 bits is rounded by the reference.
      const want = op === "mul" ? xs.map((x, i) => Math.imul(x, ys[i])) : Array.from(binary(reference, op, xs, ys));
      expect(Array.from(got)).to.deep.equal(want);
    });
  }

  for (const op of Object.keys(integerUnary) as UnaryOp[]) {
    it(`${op} of the ends of the range`, () => {
      const [got, want] = [backend, reference].map((b) => {
        const x = put(b, "int32", ends);
        return Array.from(b.downloadSync(b.unary(op, x, x), x));
      });
      expect(got).to.deep.equal(op === "square" ? ends.map((x) => Math.imul(x, x)) : want);
    });
  }

  it("a float32 is truncated, and wraps around as in an Int32Array", () => {
    const numbers = [
      0.5,
      0.99,
      1.5,
      2 ** 31 - 128,
      2 ** 31,
      3e9,
      2 ** 32,
      2 ** 32 + 512,
      1.5 * 2 ** 32,
      2.5 * 2 ** 32,
      1e12,
      1e20,
      3e38,
      1e-45,
    ];
    const all = [...numbers, ...numbers.map((x) => -x), Infinity, -Infinity, NaN, 0, -0];
    const x = put(backend, "float32", all);
    const got = backend.downloadSync(backend.cast({ shape: x.shape, dtype: "int32" }, x), { shape: x.shape, dtype: "int32" });
    expect(Array.from(got)).to.deep.equal(all.map((v) => Math.fround(v) | 0));
  });

  it("sums wrap around, along rows and along columns", () => {
    const numbers = Array.from({ length: 15 }, (_, i) => 2 ** 29 + i);
    const x = { ...put(backend, "int32", numbers), shape: [5, 3], strides: [3, 1] };
    for (const axis of [0, 1]) {
      const out = { shape: [axis === 0 ? 3 : 5], dtype: "int32" } as const;
      const want = Array.from({ length: out.shape[0] }, (_, k) => numbers.filter((_, i) => (axis === 0 ? i % 3 : Math.floor(i / 3)) === k));
      const got = backend.downloadSync(backend.reduce("sum", out, x, [axis]), out);
      expect(Array.from(got)).to.deep.equal(want.map((terms) => terms.reduce((a, b) => (a + b) | 0)));
    }
  });

  it("rows and elements by index are those of the reference", () => {
    const [n, width] = [11, 9];
    const numbers = Array.from({ length: n * width }, (_, i) => (i * 0x9e3779b1) | 0);
    const rows = Array.from({ length: 14 }, (_, i) => ((i * 5) % 12) - 1);
    const along = Array.from({ length: n * 4 }, (_, i) => (i * 7) % width);
    const answers = [backend, reference].map((b) => {
      const x = { ...put(b, "int32", numbers), shape: [n, width], strides: [width, 1] };
      const index = { ...put(b, "int32", rows), shape: [7, 2], strides: [2, 1] };
      const list = put(
        b,
        "int32",
        Array.from(rows.slice(0, n), (row) => Math.max(row, 0)),
      );
      const places = { ...put(b, "int32", along), shape: [n, 4], strides: [4, 1] };
      const type = (...shape: number[]) => ({ shape, dtype: "int32" }) as const;
      const read = (buffer: Buffer, ...shape: number[]): number[] => Array.from(b.downloadSync(buffer, type(...shape)));
      return [
        read(b.gatherRows(type(7, width), x, index), 7, width),
        read(b.takeRows(type(n, width), x, list), n, width),
        read(b.addRows(type(n, width), x, list), n, width),
        read(b.takeAlong(type(n, 4), x, places, 1), n, 4),
        read(b.addAlong(type(n, width), places, places, 1), n, width),
      ];
    });
    expect(answers[0]).to.deep.equal(answers[1]);
  });
});
