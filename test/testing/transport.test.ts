/** What a law of derivatives goes by. */
import { expect } from "chai";
import { smallestGap } from "../../src/testing/laws/transport.ts";

describe("smallestGap", () => {
  it("is between two numbers of one row or one column, whatever their order", () => {
    expect(smallestGap([[1, 5, 2.5]])).to.equal(1.5);
    expect(smallestGap([[0, 10], [20, 10.25], [9, -4]])).to.equal(0.25); // prettier-ignore
    expect(smallestGap([[3], [-1], [7]])).to.equal(4);
    expect(smallestGap([[1, 4], [2, 6]])).to.equal(1); // prettier-ignore
    expect(smallestGap([[0, 5], [5, 20]]), "equal numbers of different rows and columns are no tie").to.equal(5); // prettier-ignore
    expect(smallestGap([[2, 2]])).to.equal(0);
  });

  it("is Infinity where there are no two", () => {
    for (const rows of [[], [[]], [[1]]]) expect(smallestGap(rows)).to.equal(Infinity);
  });
});
