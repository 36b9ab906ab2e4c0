import { expect } from "chai";
import * as fc from "fast-check";
import {
  broadcastShapes,
  broadcastStrides,
  formatShape,
  isContiguous,
  reshapedStrides,
  sameShape,
  sizeOf,
  stridesOf,
} from "../../src/backend/shape.ts";
import { indices } from "./plain.ts";

const shapes = fc.array(fc.nat(4), { maxLength: 4 });

const place = (strides: readonly number[], index: readonly number[]): number => index.reduce((sum, i, axis) => sum + i * strides[axis], 0);

/** Shapes of up to three axes that hold `n` elements. */
function factorings(n: number): number[][] {
  const divisors = Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
  const pairs = divisors.map((d) => [d, n / d]);
  return [
    ...(n === 1 ? [[]] : []),
    [n],
    ...pairs,
    ...pairs.flatMap(([d, rest]) => divisors.filter((e) => rest % e === 0).map((e) => [d, e, rest / e])),
  ];
}

describe("shapes", () => {
  it("row-major strides number the elements in order", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const places = indices(shape).map((index) => place(stridesOf(shape), index));
        expect(places).to.deep.equal(Array.from({ length: sizeOf(shape) }, (_, i) => i));
      }),
    );
  });

  it("contiguous means: elements in order lie side by side", () => {
    const strides = fc.array(fc.integer({ min: -3, max: 24 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(shapes, strides, fc.boolean(), (shape, others, own) => {
        const chosen = own ? stridesOf(shape) : others.slice(0, shape.length);
        const inOrder = indices(shape).every((index, i) => place(chosen, index) === i);
        expect(isContiguous(shape, chosen)).to.equal(inOrder);
      }),
    );
  });

  it("two shapes fit when some index order serves both", () => {
    expect(broadcastShapes([3, 1], [4])).to.deep.equal([3, 4]);
    expect(broadcastShapes([], [2, 0])).to.deep.equal([2, 0]);
    expect(broadcastShapes([1], [0])).to.deep.equal([0]);
    expect(broadcastShapes([2, 3], [4, 3])).to.equal(undefined);
    expect(broadcastShapes([0], [2])).to.equal(undefined);
    fc.assert(fc.property(shapes, shapes, (a, b) => void expect(broadcastShapes(a, b)).to.deep.equal(broadcastShapes(b, a))));
  });

  it("stretched strides read element (i mod size) along every axis", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
        fc.nat(2),
        fc.infiniteStream(fc.boolean()),
        (shape, lead, stretch) => {
          const to = [...new Array<number>(lead).fill(2), ...shape.map((n) => (n === 1 && stretch.next().value ? 3 : n))];
          const strides = broadcastStrides(shape, stridesOf(shape), to);
          for (const index of indices(to)) {
            const own = index.slice(lead).map((i, axis) => i % shape[axis]);
            expect(place(strides, index)).to.equal(place(stridesOf(shape), own));
          }
        },
      ),
    );
  });

  it("a reshape is a view exactly where places are linear in the new index", () => {
    const sizes = fc.array(fc.constantFrom(1, 2, 3), { maxLength: 4 });
    let views = 0;
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.constantFrom(0, -1, 1, 2, 4, 6, 12), { minLength: 4, maxLength: 4 }),
        fc.boolean(),
        fc.nat(23),
        (shape, others, own, pick) => {
          const chosen = own
            ? stridesOf(shape).map((n, i) => n * (others[0] || 1) * (i < pick % 4 ? 2 : 1))
            : others.slice(0, shape.length);
          const targets = factorings(sizeOf(shape));
          const to = targets[pick % targets.length];
          const places = indices(shape).map((index) => place(chosen, index));
          // The only strides that could do it: the step each axis takes from the origin.
          const probe = to.map((n, axis) => (n > 1 ? places[stridesOf(to)[axis]] - places[0] : 1));
          const linear = indices(to).every((index, i) => place(probe, index) === places[i] - places[0]);
          const strides = reshapedStrides(shape, chosen, to);
          if (strides) views++;
          expect(strides !== undefined).to.equal(linear);
          if (strides) indices(to).forEach((index, i) => expect(place(strides, index)).to.equal(places[i]));
        },
      ),
      { numRuns: 500 },
    );
    expect(views).to.be.within(50, 490);
  });

  it("same shape, and how it is written", () => {
    expect([sameShape([2, 3], [2, 3]), sameShape([2, 3], [2]), sameShape([2, 3], [3, 2])]).to.deep.equal([true, false, false]);
    expect([formatShape([]), formatShape([2, 3])]).to.deep.equal(["[]", "[2, 3]"]);
  });
});
