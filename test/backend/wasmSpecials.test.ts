/**
 * Derivatives on wasm where numbers are huge, infinite or none: log-softmax, products along an axis, and products with vectors of a width that no
 * vector instruction divides. Each answers as on the cpu backend: NaN and Infinity at the same places, the rest within rounding.
 */
import { expect } from "chai";
import fc from "fast-check";
import { activate, tensor } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { cpu } from "switchyard-moe/backend";
import { wasm } from "switchyard-moe/backend/wasm";

const special = fc.constantFrom(0, -0, Infinity, -Infinity, NaN, 1e10, -1e10, 1e-10);
const anyNumber = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: -16, max: 16 }).map((n) => n / 8) },
  { weight: 2, arbitrary: fc.integer({ min: -1e6, max: 1e6 }).map((n) => n * 1e4) },
  { weight: 1, arbitrary: special },
);
const array = (...shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc.array(anyNumber, { minLength: size, maxLength: size }).map((data) => ({ shape, data }));
};
type Plain = { readonly shape: number[]; readonly data: number[] };

/** The gradients of each input, for a cotangent that differs from element to element. */
async function slopes(inputs: readonly Plain[], backend: Backend, f: (...xs: Tensor[]) => Tensor): Promise<number[][]> {
  const leaves = inputs.map(({ shape, data }) => tensor(data, { shape, dtype: "float32", backend }).requireGrad());
  const y = f(...leaves);
  const seed = tensor(Float32Array.from({ length: y.size }, (_, i) => 1 + (i % 7) / 8), { shape: y.shape, backend }); // prettier-ignore
  return Promise.all(y.gradients(leaves, { seed }).map(async (g) => Array.from(await g.data())));
}

/** Sums in another order differ by roundings of what is added, so each element has the size of its terms beside its own. */
function agrees(got: number, wanted: number, terms: number): boolean {
  if (!Number.isFinite(wanted)) return Object.is(got, wanted);
  return Math.abs(got - wanted) <= 1e-5 * Math.abs(wanted) + 1e-6 * terms;
}

const finite = (x: number): number => (Number.isFinite(x) ? Math.abs(x) : 0);
const rowsOf = ({ shape: [rows, columns], data }: Plain): number[][] =>
  Array.from({ length: rows }, (_, i) => data.slice(i * columns, (i + 1) * columns).map(finite));

/** For each input, the size of the terms whose sum each of its slopes is. */
type Terms = (given: readonly Plain[], wanted: readonly number[][]) => number[][] | Promise<number[][]>;

/** The largest slope, for all. */
const largest: Terms = (_, wanted) => wanted.map((values) => values.map(() => values.reduce((most, x) => Math.max(most, finite(x)), 0)));

/** Log-softmax subtracts from each slope those of its row, which may be far larger than what is left. */
const beforeSoftmax: Terms = async ([{ shape, data }]) => {
  const logs = tensor(data, { shape, dtype: "float32", backend: reference }).logSoftmax(-1);
  const [before] = await slopes([{ shape, data: Array.from(await logs.data()) }], reference, (x) => x.prod(1));
  return [rowsOf({ shape, data: before }).flatMap((row) => row.map(() => 2 * Math.max(...row)))];
};

/** A slope of the vector adds a row, or a column, of the matrix; one of the matrix is a single product. */
const alongMatrix =
  (vector: 0 | 1): Terms =>
  (given, wanted) => {
    const matrix = rowsOf(given[1 - vector]);
    const lines = vector === 0 ? matrix : matrix[0].map((_, k) => matrix.map((row) => row[k]));
    const sums = lines.map((line) => 2 * line.reduce((sum, x) => sum + x, 0));
    return wanted.map((values, k) => (k === vector ? sums : values.map(() => 0)));
  };

const reference = cpu();
const cases: Record<string, readonly [inputs: fc.Arbitrary<Plain>[], f: (...xs: Tensor[]) => Tensor, terms: Terms]> = {
  "log-softmax": [[array(5, 33)], (x) => x.logSoftmax(-1), largest],
  "products along an axis": [[array(9, 5)], (x) => x.prod(1), largest],
  "products along the axis before": [[array(5, 9)], (x) => x.prod(0), largest],
  "log-softmax, then a product": [[array(3, 5)], (x) => x.logSoftmax(-1).prod(1), beforeSoftmax],
  "a matrix times a vector of five": [[array(33, 5), array(5)], (x, v) => x.matmul(v), alongMatrix(1)],
  "a vector of five times a matrix": [[array(5), array(5, 33)], (v, x) => v.matmul(x), alongMatrix(0)],
};

describe("special numbers on wasm", function () {
  this.timeout(60_000);
  let fast: Backend;
  before(async () => (fast = await wasm()));

  for (const [name, [inputs, f, terms]] of Object.entries(cases))
    it(`give the slopes of the cpu backend: ${name}`, async () => {
      let odd = 0;
      await fc.assert(
        fc.asyncProperty(fc.tuple(...inputs), async (given) => {
          const [got, wanted] = await Promise.all([slopes(given, fast, f), slopes(given, reference, f)]);
          if (wanted.flat().some((x) => !Number.isFinite(x))) odd++;
          const sizes = await terms(given, wanted);
          wanted.forEach((values, k) =>
            values.forEach((value, i) => {
              if (!agrees(got[k][i], value, sizes[k][i])) expect.fail(`input ${k}, element ${i}: ${got[k][i]}, on cpu ${value}`);
            }),
          );
        }),
        { numRuns: 40, endOnFailure: true },
      );
      expect(odd, "cases with numbers that are not finite").to.be.above(5);
    });

  it("give relu no slope where it is off, whatever the cotangent is", async () => {
    for (const backend of [fast, reference]) {
      const x = tensor([-1, 0, -0, 2, -Infinity], { backend }).requireGrad();
      const seed = tensor([Infinity, NaN, -Infinity, 3, NaN], { backend });
      const [slope] = activate(x, "relu").gradients([x], { seed });
      expect(Array.from(await slope.data(), Math.abs), backend.name).to.deep.equal([0, 0, 0, 3, 0]);
    }
  });
});
