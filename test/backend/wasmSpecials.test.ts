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

/** As far as sums of 33 terms of this size may differ in another order. */
function agrees(got: number, wanted: number, largest: number): boolean {
  if (!Number.isFinite(wanted)) return Object.is(got, wanted);
  return Math.abs(got - wanted) <= 1e-5 * Math.abs(wanted) + 1e-6 * largest;
}

const cases: Record<string, readonly [inputs: fc.Arbitrary<Plain>[], f: (...xs: Tensor[]) => Tensor]> = {
  "log-softmax": [[array(5, 33)], (x) => x.logSoftmax(-1)],
  "products along an axis": [[array(9, 5)], (x) => x.prod(1)],
  "products along the axis before": [[array(5, 9)], (x) => x.prod(0)],
  "log-softmax, then a product": [[array(3, 5)], (x) => x.logSoftmax(-1).prod(1)],
  "a matrix times a vector of five": [[array(33, 5), array(5)], (x, v) => x.matmul(v)],
  "a vector of five times a matrix": [[array(5), array(5, 33)], (v, x) => v.matmul(x)],
};

describe("special numbers on wasm", function () {
  this.timeout(60_000);
  let fast: Backend;
  before(async () => (fast = await wasm()));
  const reference = cpu();

  for (const [name, [inputs, f]] of Object.entries(cases))
    it(`give the slopes of the cpu backend: ${name}`, async () => {
      let odd = 0;
      await fc.assert(
        fc.asyncProperty(fc.tuple(...inputs), async (given) => {
          const [got, wanted] = await Promise.all([slopes(given, fast, f), slopes(given, reference, f)]);
          if (wanted.flat().some((x) => !Number.isFinite(x))) odd++;
          wanted.forEach((values, k) => {
            const largest = values.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
            values.forEach((value, i) => {
              if (!agrees(got[k][i], value, largest)) expect.fail(`input ${k}, element ${i}: ${got[k][i]}, on cpu ${value}`);
            });
          });
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
