import { expect } from "chai";
import * as fc from "fast-check";
import { didYouMean } from "../../src/backend/arguments.ts";
import { editDistance, nearest } from "../../src/backend/nearest.ts";

describe("the nearest word", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });

  it("is measured by a metric", () => {
    fc.assert(
      fc.property(words, words, words, (x, y, z) => {
        expect(editDistance(x, y) === 0).to.equal(x === y);
        expect(editDistance(x, y)).to.equal(editDistance(y, x));
        expect(editDistance(x, z)).to.be.at.most(editDistance(x, y) + editDistance(y, z));
      }),
    );
    expect(editDistance("kitten", "sitting")).to.equal(3);
  });

  it("is offered only when it is near", () => {
    expect(nearest("korr", ["eng", "kor", "jpn"])).to.deep.equal(["kor"]);
    expect(didYouMean("step", ["steps", "seed"])).to.equal("; did you mean steps or seed?");
    expect(didYouMean("zzz", ["steps"])).to.equal("");
  });
});
