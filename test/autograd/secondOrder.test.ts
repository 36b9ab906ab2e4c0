/** What a recorded walk must not lose: the history of a cotangent that two inputs share, and that of the seed. */
import { expect } from "chai";
import { gradients, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";

const leaf = (value: number): Tensor => tensor(Float64Array.of(value), { requiresGrad: true });

describe("recorded walks", () => {
  it("keep the history of a cotangent that goes to both inputs of a sum", () => {
    const [x, y] = [leaf(2), leaf(3)];
    const z = x.add(y).square().sum(); // every second derivative is 2
    const [gx, gy] = gradients(z, [x, y], { createGraph: true });
    for (const g of [gx, gy]) expect(gradients(g.sum(), [x, y]).map((h) => h.itemSync())).to.deep.equal([2, 2]);
  });

  it("keep the history of the seed", () => {
    const [x, seed] = [leaf(2), leaf(5)];
    const [g] = gradients(x.square(), [x], { seed, createGraph: true }); // 2 x seed
    expect(gradients(g.sum(), [x, seed]).map((h) => h.itemSync())).to.deep.equal([10, 4]);
  });
});
