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
      const property = fc.asyncProperty(
        steps,
        fc.constantFrom("float32", "int32", "bfloat16"),
        fc.nat({ max: 1 }),
        async (all, dtype, start) => {
          const grown = withBackend(backend, () =>
            noGrad(() => {
              const first = fresh(start, dtype);
              const pairs = [{ got: first, want: first }];
              for (const { from, rows } of all) {
                const { got, want } = pairs[from % pairs.length];
                const more = fresh(rows, dtype);
                const joined = concat([want, more], 1); // before anything could write to `more`
                pairs.push({ got: appended(got, more, 1), want: joined });
              }
              return pairs;
            }),
          );
          for (const { got, want } of grown) {
            expect(got.shape).to.deep.equal(want.shape);
            expect(await valuesOf(got)).to.deep.equal(await valuesOf(want));
          }
        },
      );
      await fc.assert(property, { numRuns: 30 });
    });

    it("copy what they hold a few times, not at every step", () => {
      const buffers = withBackend(backend, () => {
        const all = [fresh(1, "float32")];
        for (let i = 0; i < 93; i++) all.push(appended(all[i], fresh(1, "float32"), 1)); // recorded, if anything had a gradient
        return new Set(all.map(({ buffer }) => buffer));
      });
      expect(buffers.size).to.equal(1 + 5); // room for 4, 10, 22, 46 and 94 rows
    });

    it("copy where one goes on from another view of what they hold", async () => {
      const [got, want] = withBackend(backend, () =>
        noGrad(() => {
          const square = (): Tensor => fresh(1, "float32").narrow(2, 0, 2); // [2, 1, 2]
          const turned = appended(square(), square(), 1).transpose(0, 2);
          const more = square();
          const joined = concat([turned, more], 1);
          return [appended(turned, more, 1), joined];
        }),
      );
      expect(await valuesOf(got)).to.deep.equal(await valuesOf(want));
    });

    it("are refused as concat refuses them, where they would be too large", () => {
      const add = (): Tensor => withBackend(backend, () => noGrad(() => appended(tensor([1]).broadcastTo([2 ** 29]), tensor([1]), 0)));
      expect(add).to.throw("concat: a result float32 [536870913] takes 2147483652 bytes; a tensor holds at most 2147483648");
    });

    it("give gradients, and errors, as concat does", async () => {
      const x = withBackend(backend, () => tensor([[[1, 2]]], { requiresGrad: true }));
      const more = withBackend(backend, () => tensor([[[3, 4]]]));
      const weights = withBackend(backend, () => tensor([[[1, 10], [100, 1000]]])); // prettier-ignore
      appended(x, more, 1).mul(weights).sum().backward();
      expect(await valuesOf(x.grad ?? more)).to.deep.equal([1, 10]);
      const wide = withBackend(backend, () => tensor([[[3, 4, 5]]]));
      const whole = withBackend(backend, () => tensor([[[3, 4]]], { dtype: "int32" }));
      const flat = withBackend(backend, () => tensor([[3, 4]]));
      for (const other of [wide, whole, flat]) expect(() => noGrad(() => appended(x, other, 1))).to.throw("concat");
    });
  });
