/** What routers are compared with, on cases small enough to read. */
import { expect } from "chai";
import { capacityByHand, largest, seatByHand } from "switchyard-moe/testing";

describe("slots by plain loops", () => {
  const choices = [[0, 1], [0, 1], [-1, 0], [1, 0]]; // prettier-ignore
  const seated = (more: object = {}) => seatByHand({ choices, experts: 2, groupSize: 4, capacity: 2, ...more });

  it("go to all first choices, then to all second ones", () => {
    expect(seated()).to.deep.equal([[0, 1], [1, -1], [-1, -1], [0, -1]]); // prettier-ignore
  });

  it("go to one token after the other, where they are asked for by token", () => {
    expect(seated({ by: "token" })).to.deep.equal([[0, 0], [1, 1], [-1, -1], [-1, -1]]); // prettier-ignore
  });

  it("go to those of higher priority first, to the earlier one among equals", () => {
    expect(seated({ capacity: 1, priority: [1, 2, 3, 2] })).to.deep.equal([[-1, -1], [0, -1], [-1, -1], [0, -1]]); // prettier-ignore
    expect(seated({ capacity: 1, priority: [2, 2, 0, 0], by: "token" })).to.deep.equal([[0, 0], [-1, -1], [-1, -1], [-1, -1]]); // prettier-ignore
  });

  it("are given out anew in each group", () => {
    expect(seated({ groupSize: 2, capacity: 1 })).to.deep.equal([[0, 0], [-1, -1], [-1, 0], [0, -1]]); // prettier-ignore
    expect(seatByHand({ choices: [], experts: 2, groupSize: 2, capacity: 1 })).to.deep.equal([]);
  });
});

it("a capacity by hand is rounded up, is 1 at least and all tokens at most; none of no tokens", () => {
  const cases = [[8, 1, 4, 1, 2], [8, 1, 3, 1, 3], [8, 2, 4, 1.25, 5], [8, 1, 4, 0.1, 1], [8, 1, 4, Infinity, 8], [8, 1, 4, 0, 1], [0, 1, 4, 1, 0], [10, 1, 10, 1.1, 2], [100, 1, 10, 1.1, 11]]; // prettier-ignore
  for (const [size, k, experts, factor, wanted] of cases)
    expect(capacityByHand(size, k, experts, factor), `${size} ${factor}`).to.equal(wanted);
});

it("the largest come largest first, the lower index first among equals", () => {
  expect(largest([1, 3, 2, 3], 3)).to.deep.equal([1, 3, 2]);
  expect([largest([5], 2), largest([], 1), largest([1, 2], 0)]).to.deep.equal([[0], [], []]);
});
