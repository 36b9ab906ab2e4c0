import { expect } from "chai";
import * as fc from "fast-check";
import { erf, erfc, normalCdf } from "../../src/backend/specialFunctions.ts";
import * as oracle from "./fixedPoint.ts";

const smallestNormal = 2 ** -1022;

/** Every seam of the approximations, from both sides, and some round numbers. */
const seams = [0.25, 0.84375, 1.25, 1 / 0.35, 6, 26].flatMap((x) => [x, x * (1 - 2 ** -53), x * (1 + 2 ** -52)]);

function expectClose(name: string, f: (x: number) => number, want: (x: bigint) => bigint, x: number): void {
  const reference = want(oracle.fixed(x));
  if (Math.abs(oracle.toNumber(reference)) < smallestNormal && reference !== 0n) return;
  if (reference === 0n) expect(f(x)).to.equal(0);
  else expect(oracle.relativeError(f(x), reference), `${name}(${x})`).to.be.below(1e-15);
}

const checkErf = (x: number): void => expectClose("erf", erf, oracle.erf, x);
const checkErfc = (x: number): void => expectClose("erfc", erfc, oracle.erfc, x);
const checkNormalCdf = (x: number): void => expectClose("normalCdf", normalCdf, oracle.normalCdf, x);

function within(min: number, max: number, numRuns: number, check: (x: number) => void): void {
  fc.assert(fc.property(fc.double({ min, max, noNaN: true }), check), { numRuns });
}

describe("special functions", () => {
  it("the oracle knows e.g. erf(1) and erfc(10)", () => {
    expect(oracle.toNumber(oracle.erf(oracle.fixed(1)))).to.be.closeTo(0.8427007929497149, 1e-15);
    expect(oracle.toNumber(oracle.erfc(oracle.fixed(10))) / 2.088487583762545e-45).to.be.closeTo(1, 1e-14);
  });

  it("erf to 1e-15", () => {
    for (const x of seams.concat(1e-300, 1e-10, 5.9)) [x, -x].forEach(checkErf);
    within(-6.5, 6.5, 150, checkErf);
    within(-1e-3, 1e-3, 50, checkErf);
  });

  it("erfc to 1e-15, down to the smallest normal number", () => {
    for (const x of seams.concat(1e-300, 1e-10, 5.9, 26.5)) [x, -x].forEach(checkErfc);
    within(-6, 6, 120, checkErfc);
    within(6, 26.5, 40, checkErfc);
  });

  it("normalCdf to 1e-15, down to the smallest normal number", () => {
    for (const x of seams.map((z) => z * Math.SQRT2).concat(1e-300, 1e-10, 37.5)) [x, -x].forEach(checkNormalCdf);
    within(-8, 8, 120, checkNormalCdf);
    within(-37.5, -8, 40, checkNormalCdf);
  });

  it("below the normal numbers what is left agrees to the last bit or two", () => {
    for (const x of [26.55, 26.7, 27, 27.2]) {
      expect(Math.abs(erfc(x) - oracle.toNumber(oracle.erfc(oracle.fixed(x)))), `erfc(${x})`).to.be.at.most(2 ** -1073);
    }
  });

  it("the ends of the line", () => {
    expect([erf(Infinity), erf(-Infinity), erf(NaN), erf(0)]).to.deep.equal([1, -1, NaN, 0]);
    expect(erf(-0)).to.equal(-0);
    expect([erfc(Infinity), erfc(-Infinity), erfc(NaN), erfc(30)]).to.deep.equal([0, 2, NaN, 0]);
    expect([normalCdf(Infinity), normalCdf(-Infinity), normalCdf(NaN), normalCdf(0), normalCdf(-40)]).to.deep.equal([1, 0, NaN, 0.5, 0]);
  });
});
