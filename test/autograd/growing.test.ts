/** Arrays that grow: what `appended` gives is what `concat` gives, from wherever one goes on. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, noGrad, tensor, withBackend } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { CpuBackend } from "switchyard-moe/backend";
import { wasm } from "switchyard-moe/backend/wasm";
import { appended } from "../../src/autograd/growing.ts";
import { valuesOf } from "./helpers.ts";

let count = 0;
/** Rows of numbers that nothing else holds. */
const fresh = (rows: number, dtype: "float32" | "int32" | "bfloat16"): Tensor =>
  tensor(
    Array.from({ length: 2 * rows * 3 }, () => ++count % 250),
    { shape: [2, rows, 3], dtype },
  );

const backends: readonly (readonly [string, () => Backend | Promise<Backend>])[] = [
  ["cpu", () => new CpuBackend()],
  ["wasm", () => wasm({ threads: 1, guarded: true })],
];

for (const [title, make] of backends)
  describe(`arrays that grow on ${title}`, () => {
    let backend: Backend;
    before(async () => {
      backend = await make();
    });

    it("are what concat gives, wherever one goes on from", async () => {
      const steps = fc.array(fc.record({ from: fc.nat({ max: 99 }), rows: fc.integer({ min: 1, max: 4 }) }), {
        minLength: 1,
        maxLength: 12,
      });
      const property = fc.asyncProperty(steps, fc.constantFrom("float32", "int32", "bfloat16"), async (all, dtype) => {
        const grown = withBackend(backend, () =>
          noGrad(() => {
            const first = fresh(1, dtype);
            const pairs = [{ got: first, want: first }];
            for (const { from, rows } of all) {
              const { got, want } = pairs[from % pairs.length];
              const more = fresh(rows, dtype);
              pairs.push({ got: appended(got, more, 1), want: concat([want, more], 1) });
            }
            return pairs;
          }),
        );
        for (const { got, want } of grown) {
          expect(got.shape).to.deep.equal(want.shape);
          expect(await valuesOf(got)).to.deep.equal(await valuesOf(want));
        }
      });
      await fc.assert(property, { numRuns: 30 });
    });

    it("copy what they hold a few times, not at every step", () => {
      const buffers = withBackend(backend, () =>
        noGrad(() => {
          const all = [fresh(1, "float32")];
          for (let i = 0; i < 100; i++) all.push(appended(all[i], fresh(1, "float32"), 1));
          return new Set(all.map(({ buffer }) => buffer));
        }),
      );
      expect(buffers.size).to.be.at.most(8);
    });

    it("give gradients, and errors, as concat does", async () => {
      const x = withBackend(backend, () => tensor([[[1, 2]]], { requiresGrad: true }));
      const more = withBackend(backend, () => tensor([[[3, 4]]]));
      appended(x, more, 1).square().sum().backward();
      expect(await valuesOf(x.grad ?? more)).to.deep.equal([2, 4]);
      const wide = withBackend(backend, () => tensor([[[3, 4, 5]]]));
      expect(() => noGrad(() => appended(x, wide, 1))).to.throw("concat");
    });
  });
