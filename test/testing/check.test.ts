/** The checks of laws: what passes, what does not, and what they say. */
import { expect } from "chai";
import { Breach, close, holds, near, same, text } from "../../src/testing/check.ts";

describe("checks of laws", () => {
  it("holds: says what is wrong", () => {
    holds(true, "fine");
    expect(() => holds(false, "not fine")).to.throw(Breach, "not fine");
  });

  it("same: plain data, NaN equal to NaN, 0 not to -0, lists not to their beginnings", () => {
    for (const data of [1, NaN, "a", [1, [2]], { a: [NaN], b: {} }, []]) same(data, structuredClone(data), "data");
    const unequal: [unknown, unknown][] = [[1, 2], [NaN, 0], [0, -0], [[1], [1, 2]], [[1, 2], [1]], [{ a: 1 }, { b: 1 }], [[], {}], [null, {}], [[0], { 0: 0 }]]; // prettier-ignore
    for (const [a, b] of unequal) expect(() => same(a, b, "data"), `${text(a)} and ${text(b)}`).to.throw(Breach);
    expect(() => same([1, NaN], [1, Infinity], "pair")).to.throw("pair: [1,NaN], wanted [1,Infinity]");
  });

  it("near: within a tolerance, relative above 1, and NaN near nothing", () => {
    near(1 + 1e-10, 1, "x");
    near(1000.0005, 1000, "x", 1e-6);
    expect(() => near(0.0000005, 0, "x", 1e-7)).to.throw("x: 5e-7, wanted 0");
    for (const [a, b] of [[1.1, 1], [NaN, 1], [1, NaN], [NaN, NaN], [Infinity, 1]]) expect(() => near(a, b, "x"), `${a}, ${b}`).to.throw(Breach); // prettier-ignore
  });

  it("close: as many, and each near", () => {
    close([1, 2], [1, 2 + 1e-12], "x");
    expect(() => close([1], [1, 2], "x")).to.throw("x: length: 1, wanted 2");
    expect(() => close([1, 2], [1, 3], "x")).to.throw("x[1]: 2, wanted 3");
  });
});
