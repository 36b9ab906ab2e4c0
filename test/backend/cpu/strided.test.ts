import { expect } from "chai";
import * as fc from "fast-check";
import { contiguous } from "../../../src/backend/cpu/movement.ts";
import { forEachPlace, forEachRun } from "../../../src/backend/cpu/strided.ts";
import type { Layout } from "../../../src/backend/cpu/strided.ts";
import { stridesOf } from "../../../src/backend/shape.ts";
import { indices } from "../plain.ts";

const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const steps = fc.array(fc.integer({ min: -6, max: 12 }), { minLength: 4, maxLength: 4 });

/** A shape and two operands: one row-major (so that axes merge), one with any steps, 0 and negative ones included. */
const walks = fc.tuple(shapes, steps, fc.nat(5)).map(([shape, strides, offset]) => ({
  shape,
  operands: [
    { strides: stridesOf(shape), offset },
    { strides: strides.slice(0, shape.length), offset: 3 },
  ] satisfies Layout[],
}));

function places(shape: readonly number[], { strides, offset }: Layout): number[] {
  return indices(shape).map((index) => index.reduce((sum, i, axis) => sum + i * strides[axis], offset));
}

describe("walking strided arrays", () => {
  it("the runs, laid end to end, are the elements in row-major order", () => {
    fc.assert(
      fc.property(walks, ({ shape, operands }) => {
        const seen: number[][] = [[], []];
        forEachRun(shape, operands, (n, at, step) => {
          for (let i = 0; i < n; i++) seen.forEach((list, k) => list.push(at[k] + i * step[k]));
        });
        expect(seen).to.deep.equal(operands.map((operand) => places(shape, operand)));
      }),
    );
  });

  it("single places come in the same order", () => {
    fc.assert(
      fc.property(walks, ({ shape, operands }) => {
        const seen: (readonly number[])[] = [];
        forEachPlace(shape, operands, (at) => void seen.push([...at]));
        const [first, second] = operands.map((operand) => places(shape, operand));
        expect(seen).to.deep.equal(first.map((place, i) => [place, second[i]]));
      }),
    );
  });

  it("what lies in order is one run", () => {
    const runs: number[] = [];
    const whole = { strides: stridesOf([3, 1, 4, 5]), offset: 7 };
    forEachRun([3, 1, 4, 5], [whole, whole], (n) => void runs.push(n));
    expect(runs).to.deep.equal([60]);
  });

  it("contiguous data is not copied, other data is", () => {
    const data = Float32Array.from({ length: 12 }, (_, i) => i);
    const same = contiguous({ data, shape: [2, 3], strides: [3, 1], offset: 4 });
    expect([same.buffer === data.buffer, ...same]).to.deep.equal([true, 4, 5, 6, 7, 8, 9]);
    const turned = contiguous({ data, shape: [2, 3], strides: [1, 2], offset: 4 });
    expect([turned.buffer === data.buffer, ...turned]).to.deep.equal([false, 4, 6, 8, 5, 7, 9]);
  });
});
