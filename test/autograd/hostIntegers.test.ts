/** Integers made on the host stay known to it while they are moved, so an index is checked whatever view of it is used. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, groupedMatmul, ones, scope, stack, tensor, useBackend, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { shapes } from "switchyard-moe/testing";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import { f32, int, valuesOf } from "./helpers.ts";

/** One move of a tensor; `a` and `b` decide which axes, where to cut. */
type Move = (x: Tensor, a: number, b: number) => Tensor;
const axis = (x: Tensor, a: number): number => a % Math.max(1, x.shape.length);
const hasAxes =
  (move: Move): Move =>
  (x, a, b) =>
    x.shape.length > 0 ? move(x, a, b) : x;

const moves: Record<string, Move> = {
  "transpose": hasAxes((x, a, b) => x.transpose(axis(x, a), axis(x, b))),
  "flip": hasAxes((x, a) => x.flip(axis(x, a))),
  "narrow": hasAxes((x, a, b) => {
    const n = x.shape[axis(x, a)];
    return x.narrow(axis(x, a), n > 1 ? b % n : 0, n);
  }),
  "slice": hasAxes((x, a) => x.slice([x.shape[0] > 1 ? a % x.shape[0] : 0])),
  "reshape": (x) => x.reshape([x.size]),
  "unsqueeze": (x, a) => x.unsqueeze(a % (x.shape.length + 1)),
  "broadcastTo": (x, a) => x.broadcastTo([1 + (a % 3), ...x.shape]),
  "contiguous": (x) => x.contiguous(),
  "tile": (x, a) => x.tile([1 + (a % 2), ...x.shape.map(() => 1)]),
  "split": hasAxes((x) => x.split(x.shape.slice(0, 1))[0]),
  "detach": (x) => x.detach(),
  "cast": (x) => x.cast("int32"),
  "concat": hasAxes((x, a) => concat([x, x.flip(axis(x, a)), x], axis(x, a))),
  "stack": (x, a) => stack([x, x], a % (x.shape.length + 1)),
}; // prettier-ignore

const steps = fc.array(fc.tuple(fc.constantFrom(...Object.keys(moves)), fc.nat(7), fc.nat(7)), { maxLength: 6 });

const devices = { cpu: "cpu", wasm: "wasm", "the asynchronous double": new AsyncBackend() } as const;

for (const [name, device] of Object.entries(devices))
  describe(`integers made on the host, on ${name}`, () => {
    before(() => useBackend(device));
    after(() => useBackend("cpu"));

    it("are known through every move, and are what the device holds", () =>
      fc.assert(
        fc.asyncProperty(shapes(), steps, async (shape, chosen) => {
          const size = shape.reduce((product, n) => product * n, 1);
          let x = tensor(
            Int32Array.from({ length: size }, (_, i) => 7 * i - 20),
            { shape },
          );
          for (const [move, a, b] of chosen) if (x.size < 500) x = moves[move](x, a, b);
          expect(x.host && [...x.host], "known").to.deep.equal(await valuesOf(x));
        }),
        { numRuns: 200 },
      ));

    it("are checked as indices through views", () => {
      const table = zeros([8, 2]);
      const ids = int([[1, 300, 2, 3], [4, 5, 6, 7]]); // prettier-ignore
      const views: Record<string, Tensor> = {
        narrow: ids.narrow(1, 1, 3),
        slice: ids.slice([0, 1]),
        permute: ids.permute([1, 0]),
        reshape: ids.reshape([-1]),
        "reshape of a transpose": ids.transpose().reshape([2, 4]),
        broadcastTo: ids.broadcastTo([3, 2, 4]),
        unsqueeze: ids.unsqueeze(0),
        contiguous: ids.transpose().contiguous(),
        detach: ids.narrow(1, 1, 2).detach(),
        stack: stack([ids, ids]),
      };
      for (const [view, index] of Object.entries(views)) expect(() => table.takeRows(index), view).to.throw(/^takeRows: index 300 at/);
      expect(() => table.takeRows(ids.narrow(1, 2, 4))).not.to.throw();
      expect(() => table.takeAlong(ids.narrow(1, 1, 3).transpose().reshape([2, 2]), 0)).to.throw(/^takeAlong: index 300/);
      const offsets = int([9, 0, 3, 1]).narrow(0, 1, 4);
      expect(() => groupedMatmul(ones([4, 4]), ones([2, 4, 4]), offsets)).to.throw(/^groupedMatmul: offset 1 at 2/);
    });

    it("are not known where the device computed them, nor after assign of such", async () => {
      const x = int([1, 2]);
      expect(x.add(0).host).to.equal(null);
      expect(f32([1, 2]).host).to.equal(null);
      expect(f32([1, 2]).cast("int32").host).to.equal(null);
      expect(concat([x, x.add(0)]).host).to.equal(null);
      const y = int([3, 4]);
      const view = y.narrow(0, 1, 2);
      y.assign(x.narrow(0, 0, 2).flip());
      expect([...(y.host ?? [])]).to.deep.equal([2, 1]);
      expect([...(view.host ?? [])]).to.deep.equal([4]);
      y.assign(x.add(1));
      expect(y.host).to.equal(null);
      expect(await valuesOf(y)).to.deep.equal([2, 3]);
    });
  });

describe("lists of any length", () => {
  for (const device of ["cpu", "wasm"] as const)
    it(`concat and stack of 130,000 tensors on ${device}`, async () => {
      await useBackend(device);
      try {
        const numbers = await scope(() => {
          const x = tensor([1, 2, 3], { requiresGrad: true });
          const parts = x.mul(2).split(3);
          const many = Array.from({ length: 130_000 }, (_, i) => parts[i % 3]);
          const joined = concat(many);
          expect(joined.shape).to.deep.equal([130_000]);
          expect(stack(many, 1).shape).to.deep.equal([1, 130_000]);
          return joined.narrow(0, 129_997, 130_000);
        }).data();
        expect([...numbers]).to.deep.equal([4, 6, 2]);
      } finally {
        await useBackend("cpu");
      }
    }).timeout(60_000);

  it("the gradient of a concat of 50,000 reaches each part once", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const parts = x.split(2);
    const many = Array.from({ length: 50_000 }, (_, i) => parts[i % 2]);
    concat(many).sum().backward();
    expect([...((await x.grad?.data()) ?? [])]).to.deep.equal([25_000, 25_000]);
  }).timeout(60_000);

  it("a part that does not fit is named in a long list too", () => {
    const many: Tensor[] = Array.from({ length: 2000 }, () => ones([1, 2]));
    expect(() => concat([...many, ones([1, 3])])).to.throw(/^concat: \[1, 3\] beside \[1, 2\]/);
    expect(() => concat([...many, int([[1, 2]])])).to.throw(/^concat: dtypes/);
  });
});
