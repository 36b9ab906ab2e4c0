/** Every claim says before it is run all that must be said, and what it reads is there to be read. */
import { expect } from "chai";
import * as fc from "fast-check";
import type { Claim, Seed } from "../../examples/paper/claim.ts";
import { saved, stepsTo, stepsToBoth, value } from "../../examples/paper/claim.ts";
import { allClaims, chosen } from "../../examples/paper/claims.ts";
import { extentOf, help, parsed } from "../../examples/paper/command.ts";
import { cellOf, holding, judge, judged } from "../../examples/paper/judged.ts";
import { costOf, full, runsOf, seedFrom } from "../../examples/paper/plan.ts";
import type { Result, Settings } from "../../examples/paper/settings.ts";
import { shortened } from "../../examples/paper/settings.ts";
import { verdicts } from "../../examples/paper/statistics.ts";
import { parsed as parsedSvg } from "../train/svg/wellFormed.ts";

const claims = await allClaims();

/** A result that has every name, each with a value of its own, so that whatever reads it finds a number. */
function anything(settings: Settings, seed: number, arm: number): Result {
  const course = [1, 2, 3, 4].map((i): [number, number] => [100 * i, 9 - i + 0.01 * arm + 0.001 * seed]);
  const asked = (name: string): number => 1 + 0.1 * arm + 0.01 * seed + (name.length % 7) * 0.001 * (seed % 3);
  const values = new Proxy({} as Record<string, number>, { get: (_, name) => (typeof name === "string" ? asked(name) : undefined) });
  return { values, courses: settings.program === "train" ? { training: course, heldOut: course } : {} };
}

const seedsOf = (claim: Claim): Seed[] =>
  Array.from({ length: claim.seeds }, (_, i) =>
    seedFrom(new Map(claim.arms.map(({ name, settings }, arm) => [name, anything(settings(i + 1), i + 1, arm)]))),
  );

describe("the claims", () => {
  it("are eighteen, numbered as their files", () => {
    expect(claims.map(({ number }) => number)).to.deep.equal(Array.from({ length: 18 }, (_, i) => i + 1));
  });

  for (const claim of claims) {
    const { arms, comparisons, columns } = claim;

    it(`${claim.number} says what was published, what is expected and why, and what cannot be seen`, () => {
      for (const text of [claim.title, claim.source, claim.setting, claim.limits, ...claim.published, ...columns.map(({ name }) => name)])
        expect(text).to.match(/^\S.*\S$/s);
      expect(claim.source).to.match(/arXiv:\d{4}\.\d{5}/);
      expect(claim.published).to.not.be.empty;
      for (const sentence of [claim.setting, claim.limits]) expect(sentence).to.match(/\.$/);
      expect(comparisons).to.not.be.empty;
      for (const { name, unit, published, expected, why } of comparisons) {
        for (const text of [name, unit, published.text]) expect(text).to.match(/^\S(.*\S)?$/s);
        expect(why).to.match(/^\S.*\.$/s);
        expect(verdicts).to.include(expected);
        if (published.direction === 0) expect(published.margin).to.be.above(0);
      }
      expect(new Set(comparisons.map(({ name }) => name)).size).to.equal(comparisons.length);
    });

    it(`${claim.number} has paired arms: one seed, one text, at least five seeds, and no arm that nobody reads`, () => {
      expect(claim.seeds).to.be.at.least(5);
      expect(new Set(arms.map(({ name }) => name)).size).to.equal(arms.length);
      const at = (seed: number) => arms.map(({ settings }) => settings(seed));
      for (const seed of [1, 2]) for (const settings of at(seed)) expect(settings.seed).to.equal(seed);
      for (const settings of at(3)) if (settings.program === "train") expect(settings.training.seed).to.equal(3);
      expect(at(4)).to.deep.equal(at(4));
      const read = new Set<string>();
      const seeds = seedsOf(claim).map(
        (seed): Seed =>
          (arm) => (read.add(arm), seed(arm)),
      );
      judge(claim, seeds);
      claim.picture?.(seeds);
      const compared = new Set(read);
      for (const column of columns) for (const { name } of arms) cellOf(column, name, seeds);
      // What no comparison reads stands in the table, which is enough for a configuration in between.
      expect(arms.filter(({ name }) => !read.has(name))).to.deep.equal([]);
      expect(compared.size).to.be.at.least(2);
    });

    it(`${claim.number} is judged, and its picture drawn, from results that have its numbers`, () => {
      const seeds = seedsOf(claim);
      const found = judge(claim, seeds);
      expect(found).to.have.length(comparisons.length);
      for (const { estimate, verdict } of found) {
        expect(verdicts).to.include(verdict);
        expect([estimate.mean, estimate.low, estimate.high, estimate.p].every(Number.isFinite), JSON.stringify(estimate)).to.equal(true);
      }
      const picture = claim.picture?.(seeds);
      if (picture) parsedSvg(picture.svg);
    });

    it(`${claim.number} costs less than twenty minutes on two cores`, () => {
      const seconds = runsOf([claim], full).reduce((sum, { settings }) => sum + costOf(settings), 0);
      expect(seconds / 2 / 60).to.be.below(20);
    });
  }

  it("are decided in the encoder-decoder, in the paper's measure, where the Switch paper's own tables are", () => {
    for (const { number, comparisons, arms } of claims.filter(({ number }) => [1, 2, 3, 5, 7, 8, 9, 10, 15].includes(number))) {
      const read: string[] = [];
      const watched = seedsOf(claims[number - 1]).map(
        (seed): Seed =>
          (arm) => (read.push(arm), seed(arm)),
      );
      const [first] = comparisons;
      judged(first, watched);
      const architectures = arms
        .filter(({ name }) => read.includes(name))
        .map(({ settings }) => settings(1))
        .map((settings) => (settings.program === "train" ? settings.model.architecture : settings.program));
      expect(new Set(architectures), `claim ${number}`).to.deep.equal(new Set(["encoder-decoder"]));
      expect(first.unit).to.equal("nats per token");
    }
  });

  it("cost less than four hours together, and share runs", () => {
    const alone = claims.reduce((sum, claim) => sum + runsOf([claim], full).length, 0);
    const together = runsOf(claims, full);
    expect(together.length).to.be.below(alone);
    expect(together.reduce((sum, { settings }) => sum + costOf(settings), 0) / 2 / 3600).to.be.below(4);
  });
});

describe("a comparison", () => {
  const result = (bits: number): Result => ({ values: { bits }, courses: {} });
  const seedsWith = (first: readonly number[], second: readonly number[]): Seed[] =>
    first.map((x, i) => seedFrom(new Map([["a", result(x)], ["b", result(second[i])]]))); // prettier-ignore
  const of = {
    name: "b saves",
    unit: "bits",
    published: { direction: 1, text: "" },
    expected: "opposite",
    why: "",
    of: saved("bits", "a", "b"),
  } as const;
  const reals = fc.array(
    fc.tuple(
      fc.double({ min: 0, max: 9, noNaN: true }),
      fc.double({ min: 0, max: 9, noNaN: true }),
      fc.double({ min: -5, max: 5, noNaN: true }),
    ),
    { minLength: 2, maxLength: 9 },
  );

  it("does not see what a seed does to both sides", () => {
    fc.assert(
      fc.property(reals, (rows) => {
        const [plain, shifted] = [0, 1].map((times) =>
          judged(
            of,
            seedsWith(
              rows.map(([a, , c]) => a + times * c),
              rows.map(([, b, c]) => b + times * c),
            ),
          ),
        );
        for (const end of ["mean", "low", "high"] as const) expect(shifted.estimate[end]).to.be.closeTo(plain.estimate[end], 1e-9);
      }),
    );
  });

  it("turns with its sides", () => {
    fc.assert(
      fc.property(reals, (rows) => {
        const [a, b] = [rows.map(([x]) => x), rows.map(([, x]) => x)];
        const [there, back] = [judged(of, seedsWith(a, b)), judged(of, seedsWith(b, a))];
        expect(back.estimate.mean).to.be.closeTo(-there.estimate.mean, 1e-12);
        expect(back.verdict === "opposite").to.equal(there.verdict === "same direction");
      }),
    );
  });

  it("leaves out seeds without a number, and counts them", () => {
    const { estimate, without } = judged(of, seedsWith([3, 4, NaN, 5], [2, 2, 2, 2]));
    expect([estimate.seeds, without]).to.deep.equal([3, 1]);
  });

  it("holds beside others only where it would hold alone", () => {
    const clear = judged(of, seedsWith([3, 3.1, 2.9, 3], [1, 1, 1, 1]));
    const unclear = judged(of, seedsWith([3, 1, 2, 3], [1, 3, 2, 2]));
    expect([...holding([clear, unclear, ...Array.from({ length: 8 }, () => unclear)])]).to.deep.equal([clear]);
  });

  it("reads an arm that there is", () => {
    expect(() => seedsWith([1], [2])[0]("c")).to.throw(RangeError, 'there is no arm "c"; there are a, b');
    expect(value(result(2), "nothing")).to.be.NaN;
  });
});

describe("steps to a quality", () => {
  it("are read between points, and are infinite where it is never reached", () => {
    const course = [[10, 4], [20, 3], [30, 1]] as const; // prettier-ignore
    expect([5, 4, 3.5, 3, 2, 1, 0.5].map((level) => stepsTo(course, level))).to.deep.equal([10, 10, 15, 20, 25, 30, Infinity]);
  });

  it("of two runs end at what both reach", () => {
    const of = (points: readonly [number, number][]): Result => ({ values: {}, courses: { training: points } });
    expect(stepsToBoth(of([[10, 4], [20, 2]]), of([[10, 3], [20, 1]]))).to.deep.equal([20, 15]); // prettier-ignore
  });
});

describe("npm run paper", () => {
  it("takes numbers of claims among options", () => {
    const { asked, options } = parsed(["3", "--steps", "2", "05", "--quick"]) ?? { asked: [], options: null };
    expect(asked).to.deep.equal(["3", "05"]);
    expect(options).to.include({ steps: 2, quick: true, all: false, jobs: 2, cache: "runs/paper" });
    expect(chosen(claims, asked).map(({ number }) => number)).to.deep.equal([3, 5]);
    expect(parsed(["3", "--publish"])).to.deep.include({ asked: ["3"] });
    expect(parsed(["3", "--help"])).to.equal(null);
    for (const word of ["--quick", "--steps N", "--all", "--publish", "Ctrl-C"]) expect(help()).to.include(word);
  });

  for (const [typed, message] of [
    [["77"], '"77" is no claim; they are 1, 2'],
    [["x3"], '"x3" is no claim'],
    [["0"], '"0" is no claim'],
    [["--stps", "3"], "--stps is no option; did you mean --steps"],
    [["--steps", "few"], "--steps"],
    [["--seeds"], "--seeds needs a value"],
    [["3", "--all"], "one or the other"],
    [["3", "--page"], "one or the other"],
  ] as const)
    it(`refuses ${typed.join(" ")}`, () => {
      expect(() => chosen(claims, parsed(typed)?.asked ?? []))
        .to.throw(Error, message)
        .with.property("name", "UserError");
    });

  it("does a tenth of the steps quickly, and never fewer than two seeds", () => {
    const quick = extentOf({ quick: true, steps: 0, seeds: 1 });
    expect([quick.steps(400), quick.steps(5), quick.seeds(5)]).to.deep.equal([40, 2, 2]);
    const few = extentOf({ quick: false, steps: 3, seeds: 0 });
    expect([few.steps(400), few.steps(2), few.seeds(5)]).to.deep.equal([3, 2, 5]);
    const tuned = claims.find(({ number }) => number === 4)?.arms[0].settings(1);
    if (tuned?.program !== "train") throw new TypeError("claim 4 trains");
    expect(shortened(tuned, quick.steps).begin?.from.training.steps).to.equal(30);
  });
});
