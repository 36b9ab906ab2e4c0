/** What is said of two trainings follows from their numbers. */
import { expect } from "chai";
import { farthest, means } from "../app/layoutCurves.ts";
import { ofShortBatches, trainingOf } from "../app/layoutTraining.ts";
import { ofCheckpoints } from "../../test/testing/brokenLayouts.ts";
import { layoutPages } from "../../test/testing/layoutPages.ts";
import { checkCase } from "../../src/testing/layouts/cases.ts";

describe("the curves of two trainings", () => {
  it("are means of ten steps, of fewer at the beginning", () => {
    const losses = Array.from({ length: 12 }, (_, i) => i);
    expect(means(losses)).to.deep.equal([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5.5, 6.5]);
    expect(means([])).to.deep.equal([]);
  });

  it("are compared as far as both go, in steps from 1", () => {
    expect(farthest({ right: [1, 1, 1], broken: [1, 3] })).to.deep.equal({ step: 2, gap: 1 });
    expect(farthest({ right: [1], broken: [1, 9] })).to.deep.equal({ step: 1, gap: 0 });
    expect(farthest({ right: [1], broken: [] }).gap).to.equal(0);
  });
});

describe("the case that a bug trains on", () => {
  it("is a case of two ranks; those that need it end on a short batch, or are saved in the middle", () => {
    for (const { variant } of layoutPages) {
      const { case: of, steps, last, saved } = trainingOf(variant);
      checkCase(variant, of);
      expect(of.ranks, variant).to.equal(2);
      expect(last !== null, variant).to.equal(ofShortBatches.includes(variant));
      expect(saved, variant).to.equal(ofCheckpoints.includes(variant));
      expect(steps % 2, variant).to.equal(0);
    }
  });
});
