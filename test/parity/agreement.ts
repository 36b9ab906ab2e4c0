import { expect } from "chai";

/** The same losses on two devices: to 1e-5 for the first five, to 2e-3 for all, for rounding grows with every step. */
export function expectSameLosses(what: string, got: readonly number[], want: readonly number[]): void {
  expect(got.length, `${what}: steps`).to.equal(want.length);
  got.forEach((loss, step) => {
    const allowed = step < 5 ? 1e-5 : 2e-3;
    const apart = Math.abs(loss - want[step]) / Math.abs(want[step]);
    expect(apart, `${what}, step ${step + 1}: ${loss} against ${want[step]}`).to.be.at.most(allowed);
  });
}
