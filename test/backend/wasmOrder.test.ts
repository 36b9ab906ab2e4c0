/** The assembled kernels of order and counting against the reference loops, on the sizes and keys at which they change their way. */
import { expect } from "chai";
import fc from "fast-check";
import { cpu } from "../../src/backend/index.ts";
import type { ArrayType, Backend, Buffer, NDArray } from "../../src/backend/backend.ts";
import { stridesOf } from "../../src/backend/shape.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import type { Plain } from "./plain.ts";
import { typed } from "./workbench.ts";

type Ask = (backend: Backend, x: NDArray) => Buffer;

/** The same question to both backends, and what each answers. */
async function answers(backends: readonly Backend[], x: Plain, out: ArrayType, ask: Ask): Promise<number[][]> {
  return Promise.all(
    backends.map(async (backend) => {
      const buffer = backend.upload(x, typed(x.dtype, x.data));
      const result = ask(backend, { ...x, buffer, strides: stridesOf(x.shape), offset: 0 });
      const data = await backend.download(result, out);
      backend.free(buffer);
      backend.free(result);
      return Array.from(data);
    }),
  );
}

const int = (...shape: number[]): ArrayType => ({ shape, dtype: "int32" });

/** Rows of numbers with many equals, or of any bits. */
const numbers = (dtype: "float32" | "int32", rows: number, n: number): fc.Arbitrary<Plain> => {
  const special = dtype === "int32" ? [0, -1, 2 ** 31 - 1, -(2 ** 31)] : [0, -0, NaN, Infinity, -Infinity, 1e-45, -1e-45];
  const any = dtype === "int32" ? fc.integer() : fc.float({ noNaN: true });
  const number = fc.oneof(fc.constantFrom(...special), fc.integer({ min: -3, max: 3 }), any);
  return fc.array(number, { minLength: rows * n, maxLength: rows * n }).map((data) => ({ shape: [rows, n], dtype, data }));
};

const cases = fc
  .tuple(
    fc.constantFrom("float32" as const, "int32" as const),
    fc.integer({ min: 1, max: 5 }),
    fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 30, max: 90 })),
  )
  .chain(([dtype, rows, n]) => fc.record({ x: numbers(dtype, rows, n), k: fc.integer({ min: 1, max: n }), descending: fc.boolean() }));

/** Keys of few experts, keys about the size of the table, and any. */
const keys = fc
  .tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 120 }),
    fc.constantFrom([-2, 6], [1015, 1030], [-(2 ** 31), 2 ** 31 - 1], [2 ** 31 - 4, 2 ** 31 - 1]),
  )
  .chain(([rows, n, [min, max]]) =>
    fc
      .array(fc.integer({ min, max }), { minLength: rows * n, maxLength: rows * n })
      .map((data): Plain => ({ shape: [rows, n], dtype: "int32", data })),
  );

describe("wasm order", () => {
  let device: WasmBackend;
  let both: Backend[];
  before(async () => {
    device = await wasm({ threads: 2 });
    both = [cpu(), device];
  });
  after(() => device.close());

  async function expectSame(x: Plain, out: ArrayType, ask: Ask): Promise<void> {
    const [want, got] = await answers(both, x, out, ask);
    expect(got).to.deep.equal(want);
  }

  it("orders as the reference does, whatever the bits", async () => {
    let sorted = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ x, k, descending }) => {
        const [rows, n] = x.shape;
        if (k > 32) sorted++;
        await expectSame(x, int(rows, n), (b, v) => b.argsort(int(rows, n), v, descending));
        await expectSame(x, int(rows, n), (b, v) => b.rank(int(rows, n), v, descending));
        await expectSame(x, int(rows, k), (b, v) => b.topK(int(rows, k), v));
        for (const op of ["argmax", "argmin"] as const) {
          await expectSame(x, int(rows), (b, v) => b.argReduce(op, int(rows), v, 1));
          await expectSame(x, int(n), (b, v) => b.argReduce(op, int(n), v, 0));
        }
      }),
    );
    expect(sorted, "cases in which topK sorts").to.be.above(5);
  });

  it("counts any key, within the table and beyond it", async () => {
    await fc.assert(
      fc.asyncProperty(keys, async (key) => {
        const [rows, n] = key.shape;
        await expectSame(key, int(rows, n), (b, v) => b.countEarlier(int(rows, n), v));
        await expectSame(key, int(rows, 5), (b, v) => b.bincount(int(rows, 5), v));
        await expectSame(key, int(rows, 5000), (b, v) => b.bincount(int(rows, 5000), v));
      }),
    );
  });

  it("inverts what is an injection, and leaves out what lies outside", async () => {
    const injection = fc.tuple(
      fc.uniqueArray(fc.integer({ min: -20, max: 90 }), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 70 }),
    );
    await fc.assert(
      fc.asyncProperty(injection, async ([data, places]) => {
        const index: Plain = { shape: [1, data.length], dtype: "int32", data };
        await expectSame(index, int(1, places), (b, v) => b.invert(int(1, places), v));
      }),
    );
  });
});
