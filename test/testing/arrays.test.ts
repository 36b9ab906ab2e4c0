/** What the arbitraries of shapes and arrays draw. */
import { expect } from "chai";
import fc from "fast-check";
import { arrays, axesOf, axisOf, broadcastable, distinctArrays, numbers, shapes, toTensor } from "switchyard-moe/testing";

const draws = <T>(arbitrary: fc.Arbitrary<T>, numRuns = 400): T[] => fc.sample(arbitrary, { seed: 3, numRuns });
const range = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)];

describe("arbitraries", () => {
  it("shapes reach both bounds of axes and sizes, and never pass them", () => {
    const drawn = draws(shapes({ minAxes: 1, maxAxes: 4, minSize: 2, maxSize: 5 }));
    expect(range(drawn.map(({ length }) => length))).to.deep.equal([1, 4]);
    expect(range(drawn.flat())).to.deep.equal([2, 5]);
    expect(range(draws(shapes()).map(({ length }) => length))).to.deep.equal([0, 3]);
    expect(range(draws(shapes()).flat())).to.deep.equal([0, 4]);
  });

  it("numbers lie on the shifted grid, up to both bounds", () => {
    const drawn = draws(numbers({ min: -0.5, max: 0.25, shift: 1 / 128 }), 3000);
    expect(range(drawn)).to.deep.equal([-0.5 + 1 / 128, 0.25 + 1 / 128]);
    for (const x of drawn) expect(Number.isInteger((x - 1 / 128) * 64)).to.equal(true);
  });

  it("arrays are as large as their shape, given or drawn", () => {
    for (const { shape, data } of [...draws(arrays([2, 3])), ...draws(arrays(shapes()))])
      expect(data).to.have.length(shape.reduce((a, b) => a * b, 1));
    expect(draws(arrays([2, 3]))[0].shape).to.deep.equal([2, 3]);
    expect(toTensor({ shape: [2], data: [1, 2] }).dtype).to.equal("float64");
    expect(toTensor({ shape: [2], data: [1, 2] }, { dtype: "float32" }).shape).to.deep.equal([2]);
  });

  it("distinct arrays have no ties, at small and large sizes", () => {
    for (const shape of [[], [7], [3, 40]])
      for (const { data } of draws(distinctArrays(shape), 20)) {
        expect(new Set(data).size).to.equal(data.length);
        for (const x of data) expect(Number.isInteger(x * 16)).to.equal(true);
      }
  });

  it("axes are counted from either end, each once, and undefined is among them", () => {
    expect(new Set(draws(axisOf([2, 3, 4])))).to.deep.equal(new Set([-3, -2, -1, 0, 1, 2]));
    const some = draws(axesOf([2, 3, 4]));
    expect(some.some((axes) => axes === undefined)).to.equal(true);
    for (const axes of some) if (axes) expect(new Set(axes.map((axis) => (axis + 3) % 3)).size).to.equal(axes.length);
    expect(new Set(some.map((axes) => axes?.length))).to.deep.equal(new Set([undefined, 0, 1, 2, 3]));
  });

  it("broadcastable shapes stretch to one, and each axis may be 1 or missing in either", () => {
    const pairs = draws(broadcastable({ minAxes: 2, maxAxes: 2, minSize: 2, maxSize: 3 }));
    for (const [a, b] of pairs)
      for (let back = 1; back <= Math.min(a.length, b.length); back++) {
        const [m, n] = [a[a.length - back], b[b.length - back]];
        expect(m === n || m === 1 || n === 1, `${a} and ${b}`).to.equal(true);
      }
    for (const side of [0, 1]) {
      const lengths = new Set(pairs.map((pair) => pair[side].length));
      expect(lengths).to.deep.equal(new Set([0, 1, 2]));
      for (const axis of [0, 1]) {
        const sizes = new Set(pairs.filter((pair) => pair[side].length === 2).map((pair) => pair[side][axis]));
        expect(sizes).to.deep.equal(new Set([1, 2, 3]));
      }
    }
    expect(pairs.some(([a, b]) => a.length !== b.length)).to.equal(true);
  });

  it("bounds that are none are refused by name", () => {
    expect(() => shapes({ minAxes: 3, maxAxes: 2 })).to.throw(RangeError, "shapes: minAxes 3: want at most maxAxes, 2");
    expect(() => shapes({ minSize: 5 })).to.throw(RangeError, "shapes: minSize 5: want at most maxSize, 4");
    expect(() => shapes({ maxAxis: 1 } as object)).to.throw(TypeError, "shapes: there is no option maxAxis; did you mean maxAxes");
    expect(() => numbers({ min: 1, max: 0 })).to.throw(RangeError, "numbers: min 1: want at most max, 0");
    expect(() => numbers({ min: 0.001, max: 0.002 })).to.throw(RangeError, "want a multiple of 1/64 between them");
    expect(() => numbers({ max: Infinity })).to.throw(RangeError, "numbers: max Infinity");
    expect(() => axisOf([])).to.throw(TypeError, "axisOf: shape []: want a shape of one axis or more");
  });
});
