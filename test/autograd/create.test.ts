/** Making tensors: what is given stays the caller's. */
import { expect } from "chai";
import { full, key, ones, random, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";

describe("a list that is given as a shape", () => {
  const six = [1, 2, 3, 4, 5, 6];
  const makers: Record<string, (shape: number[]) => Tensor> = {
    zeros: (shape) => zeros(shape),
    ones: (shape) => ones(shape),
    full: (shape) => full(shape, 2),
    "tensor of nested arrays": (shape) => tensor(six, { shape }),
    "tensor of a typed array": (shape) => tensor(Float64Array.from(six), { shape }),
    "random.uniform": (shape) => random.uniform(shape, key(1)),
    "random.normal": (shape) => random.normal(shape, key(1)),
    "random.truncatedNormal": (shape) => random.truncatedNormal(shape, key(1)),
    "random.withoutDrawing": (shape) => random.withoutDrawing(() => random.normal(shape, key(1))),
    reshape: (shape) => tensor(six).reshape(shape),
    broadcastTo: (shape) => ones([3]).broadcastTo(shape),
  };
  for (const [name, make] of Object.entries(makers))
    it(`may be changed afterwards: ${name}`, () => {
      const shape = [2, 3];
      const x = make(shape);
      shape[0] = 7;
      shape.push(5);
      expect(x.shape).to.deep.equal([2, 3]);
      expect(x.sum(1).shape).to.deep.equal([2]);
    });
});
