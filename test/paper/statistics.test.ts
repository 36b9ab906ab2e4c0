/** Intervals cover as often as they say, verdicts turn with their sign, and the number of seeds that would do does. */
import { expect } from "chai";
import * as fc from "fast-check";
import {
  bootstrapped,
  estimate,
  holm,
  incompleteBeta,
  seedsNeeded,
  tProbability,
  tQuantile,
  verdictOf,
} from "../../examples/paper/statistics.ts";
import type { Published } from "../../examples/paper/statistics.ts";
import { draws, seeded } from "../../examples/train/uniform.ts";

/** Standard normal numbers. Box and Muller 1958. */
function normals(seed: number): () => number {
  const draw = draws(seeded(seed));
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

const sample = (next: () => number, n: number, mean = 0): number[] => Array.from({ length: n }, () => mean + next());
const meanOf = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const finite = fc.double({ min: -100, max: 100, noNaN: true });
const several = fc.array(finite, { minLength: 2, maxLength: 12 });
describe("Student's distribution", () => {
  it("has the quantiles of the tables", () => {
    // Fisher and Yates, table III.
    for (const [p, degrees, t] of [
      [0.975, 1, 12.706],
      [0.975, 4, 2.776],
      [0.975, 9, 2.262],
      [0.975, 30, 2.042],
      [0.9, 9, 1.383],
      [0.995, 2, 9.925],
    ])
      // prettier-ignore
      expect(tQuantile(p, degrees)).to.be.closeTo(t, 5e-4);
  });

  it("is symmetric, and its quantile undoes its probability", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 200 }), (p, degrees) => {
        expect(tProbability(tQuantile(p, degrees), degrees)).to.be.closeTo(p, 1e-9);
        expect(tQuantile(1 - p, degrees)).to.be.closeTo(-tQuantile(p, degrees), 1e-6 * (1 + Math.abs(tQuantile(p, degrees))));
      }),
    );
  });

  it("stands on an incomplete beta function that is its integral", () => {
    const half = fc.integer({ min: 2, max: 20 }).map((n) => n / 2);
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 0.98, noNaN: true }), half, half, (x, a, b) => {
        const density = (t: number): number => t ** (a - 1) * (1 - t) ** (b - 1);
        // u^2 = t and (1 - u)^2 = 1 - t take the poles away; midpoints.
        const integral = (to: number): number => {
          const n = 4000;
          const steps = Array.from({ length: n }, (_, i) => (((i + 0.5) / n) * Math.PI) / 2);
          const inside = steps.filter((angle) => Math.sin(angle) ** 2 <= to);
          return inside.reduce((sum, angle) => sum + density(Math.sin(angle) ** 2) * 2 * Math.sin(angle) * Math.cos(angle), 0);
        };
        expect(incompleteBeta(x, a, b)).to.be.closeTo(integral(x) / integral(1), 2e-3);
      }),
      { numRuns: 40 },
    );
  });
});

describe("an interval over seeds", () => {
  it("covers the truth in 95 of 100 trials, with as few as three seeds", () => {
    for (const n of [3, 5, 10]) {
      const next = normals(n);
      const trials = Array.from({ length: 3000 }, () => estimate(sample(next, n, 0.4)));
      const covered = meanOf(trials.map(({ low, high }) => Number(low <= 0.4 && 0.4 <= high)));
      expect(covered, `${n} seeds`).to.be.within(0.935, 0.965); // four deviations of a share of 3,000
    }
  });

  it("has a probability that is below 5 % exactly where it leaves 0 out", () => {
    fc.assert(
      fc.property(several, (values) => {
        const { low, high, p, deviation } = estimate(values);
        fc.pre(deviation > 1e-6 && Math.min(Math.abs(low), Math.abs(high)) > 1e-6 * deviation);
        expect(p < 0.05).to.equal(low > 0 || high < 0);
      }),
    );
  });

  it("moves and stretches with what it is of", () => {
    fc.assert(
      fc.property(several, finite, fc.double({ min: 0.1, max: 10, noNaN: true }), (values, shift, scale) => {
        const [one, other] = [estimate(values), estimate(values.map((x) => scale * x + shift))];
        for (const end of ["mean", "low", "high"] as const)
          expect(other[end]).to.be.closeTo(scale * one[end] + shift, 1e-6 * (1 + Math.abs(other[end]) + other.deviation));
      }),
    );
  });

  it("by bootstrap covers nearly as often, and is the same for the same numbers", () => {
    const next = normals(77);
    const trials = Array.from({ length: 300 }, (_, i) => bootstrapped(sample(next, 20, 0.4), meanOf, seeded(i), 400));
    expect(meanOf(trials.map(({ low, high }) => Number(low <= 0.4 && 0.4 <= high)))).to.be.within(0.86, 0.98);
    const values = sample(normals(5), 8);
    expect(bootstrapped(values, meanOf, seeded(1))).to.deep.equal(bootstrapped(values, meanOf, seeded(1)));
    expect(bootstrapped(values, meanOf, seeded(1)).mean).to.equal(meanOf(values));
  });

  it("wants two seeds", () => {
    expect(() => estimate([1])).to.throw(RangeError, "1 seeds: want at least 2");
    expect(() => bootstrapped([1], meanOf, seeded(1))).to.throw(RangeError, "1 seeds: want at least 2");
  });
});

describe("a verdict", () => {
  const swapped = {
    "same direction": "opposite",
    opposite: "same direction",
    "not resolvable at this size": "not resolvable at this size",
  } as const;

  it("is the other one for the other sign, and the same where both turn", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(several, fc.constantFrom(1 as const, -1 as const), (values, direction) => {
        const [there, back] = [estimate(values), estimate(values.map((x) => -x))];
        const verdict = verdictOf(there, { direction });
        seen.add(verdict);
        expect(verdictOf(back, { direction })).to.equal(swapped[verdict]);
        expect(verdictOf(there, { direction: direction === 1 ? -1 : 1 })).to.equal(swapped[verdict]);
        expect(verdictOf(back, { direction: direction === 1 ? -1 : 1 })).to.equal(verdict);
      }),
      { numRuns: 500 },
    );
    expect(seen.size).to.equal(3);
  });

  it("of no difference does not care for the sign", () => {
    fc.assert(
      fc.property(several, fc.double({ min: 0.01, max: 50, noNaN: true }), (values, margin) => {
        const equal = { direction: 0, margin } as const;
        expect(verdictOf(estimate(values.map((x) => -x)), equal)).to.equal(verdictOf(estimate(values), equal));
      }),
    );
  });

  it("of no difference: within the margin, beyond it, or neither", () => {
    const equal = { direction: 0, margin: 0.02 } as const;
    expect(verdictOf({ low: -0.01, high: 0.015 }, equal)).to.equal("same direction");
    expect(verdictOf({ low: 0.005, high: 0.015 }, equal)).to.equal("same direction");
    expect(verdictOf({ low: 0.005, high: 0.03 }, equal)).to.equal("opposite");
    expect(verdictOf({ low: -0.01, high: 0.03 }, equal)).to.equal("not resolvable at this size");
  });

  it("does not resolve what is not there in 95 of 100 trials", () => {
    const next = normals(9);
    const trials = Array.from({ length: 3000 }, () => verdictOf(estimate(sample(next, 5)), { direction: 1 }));
    expect(meanOf(trials.map((verdict) => Number(verdict !== "not resolvable at this size")))).to.be.within(0.035, 0.065);
  });
});

describe("the number of seeds that would do", () => {
  it("resolves the difference in four of five trials", () => {
    for (const mean of [0.5, 1]) {
      const n = seedsNeeded({ mean, deviation: 1 }, { direction: 1 }) ?? NaN;
      const next = normals(13);
      const resolved = Array.from({ length: 2000 }, () => verdictOf(estimate(sample(next, n, mean)), { direction: 1 }));
      expect(meanOf(resolved.map((verdict) => Number(verdict === "same direction"))), `${n} seeds`).to.be.within(0.76, 0.86);
    }
  });

  it("is the least, falls with the difference, and has no unit", () => {
    const positive = fc.double({ min: 0.05, max: 5, noNaN: true });
    fc.assert(
      fc.property(positive, positive, fc.constantFrom<Published>({ direction: 1 }, { direction: -1 }), (mean, deviation, of) => {
        fc.pre(deviation < 20 * mean); // else more than 10,000
        const n = seedsNeeded({ mean, deviation }, of);
        expect(n).to.be.at.least(2);
        expect(seedsNeeded({ mean: 2 * mean, deviation }, of)).to.be.at.most(n ?? NaN);
        expect(seedsNeeded({ mean: -mean, deviation }, of)).to.equal(n);
        expect(seedsNeeded({ mean: 4 * mean, deviation: 4 * deviation }, of)).to.equal(n);
      }),
    );
  });

  it("is not named where it is beyond ten thousand", () => {
    expect(seedsNeeded({ mean: 1e-4, deviation: 1 }, { direction: 1 })).to.equal(null);
    expect(seedsNeeded({ mean: 0, deviation: 1 }, { direction: 1 })).to.equal(null);
    expect(seedsNeeded({ mean: 0, deviation: 0.02 }, { direction: 0, margin: 0.02 })).to.be.within(4, 8);
  });
});

describe("many comparisons", () => {
  const ps = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 });

  it("make each probability larger, in the same order, the least by their number", () => {
    fc.assert(
      fc.property(ps, (given) => {
        const adjusted = holm(given);
        given.forEach((p, i) => {
          expect(adjusted[i]).to.be.within(p, 1);
          given.forEach((q, j) => expect(p < q && adjusted[i] > adjusted[j]).to.equal(false));
        });
        expect(Math.min(...adjusted)).to.be.closeTo(Math.min(1, given.length * Math.min(...given)), 1e-12);
      }),
    );
  });

  it("find something where nothing is in at most one trial of twenty", () => {
    const draw = draws(seeded(3));
    const trials = Array.from({ length: 3000 }, () => holm(Array.from({ length: 20 }, draw)).some((p) => p < 0.05));
    expect(meanOf(trials.map(Number))).to.be.within(0.033, 0.065);
  });
});
