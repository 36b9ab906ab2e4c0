import { expect } from "chai";
import * as fc from "fast-check";
import { pairedBootstrap } from "../../examples/train/bootstrap.ts";
import { seeded } from "../../examples/train/uniform.ts";

const scores = fc.array(
  fc.record({ label: fc.constantFrom("a", "b", "c"), bytes: fc.integer({ min: 1, max: 50 }), first: fc.nat(400), second: fc.nat(400) }),
  { minLength: 3, maxLength: 20 },
);
const several = scores.filter((all) => new Set(all.map((score) => score.label)).size > 1);

describe("the paired bootstrap", () => {
  it("contains the measured saving, changes sign with the models, and narrows with the level", () => {
    fc.assert(
      fc.property(several, fc.nat(), (all, seed) => {
        const of = (level: number, swap = false) =>
          pairedBootstrap(
            all.map((score) => (swap ? { ...score, first: score.second, second: score.first } : score)),
            seeded(seed),
            { rounds: 200, level },
          );
        const wide = of(0.95);
        const narrow = of(0.5);
        expect(wide.low).to.be.at.most(narrow.low);
        expect(wide.high).to.be.at.least(narrow.high);
        expect(of(0.95, true).mean).to.be.closeTo(-wide.mean, 1e-9);
        const bits = all.reduce((sum, score) => sum + score.first - score.second, 0);
        expect(wide.mean).to.be.closeTo(bits / all.reduce((sum, score) => sum + score.bytes, 0), 1e-9);
      }),
      { numRuns: 50 },
    );
  });

  it("sees what is the same everywhere, and keeps translations together", () => {
    const always = ["a", "b", "c"].map((label) => ({ label, bytes: 10, first: 30, second: 20 }));
    expect(pairedBootstrap(always, seeded(0))).to.deep.equal({ mean: 1, low: 1, high: 1 });
    const translations = ["a", "b"].flatMap((label) => [0, 20].map((saved) => ({ label, bytes: 10, first: 40, second: 40 - saved })));
    expect(pairedBootstrap(translations, seeded(0))).to.deep.equal({ mean: 1, low: 1, high: 1 });
    expect(() => pairedBootstrap([always[0]], seeded(0))).to.throw(RangeError, "1 labels");
  });

  it("gives about the interval of a mean of independent pieces", () => {
    const uniform = seeded(9);
    const pieces = Array.from({ length: 100 }, (_, i) => ({ label: `${i}`, bytes: 1, first: uniform(i) - 0.5, second: 0 }));
    const { low, high } = pairedBootstrap(pieces, seeded(1));
    expect(high - low).to.be.closeTo(2 * 1.96 * Math.sqrt(1 / 12 / 100), 0.02);
  });
});
