/** The number of slots. P29 of the field. */
import { expect } from "chai";
import fc from "fast-check";
import { capacityOf } from "../../src/moe/index.ts";
import { tensor } from "../../src/index.ts";
import { queue, slotOfChoice } from "../../src/moe/index.ts";
import { capacityByHand } from "../../src/testing/oracle.ts";

describe("capacity", () => {
  it("P29: a table of tokens, experts, factor, choices", () => {
    const table: [number, number, number, number, number][] = [
      [2048, 8, 1.25, 1, 320], [2048, 8, 1, 1, 256], [10, 4, 1, 1, 3], [10, 4, 1.25, 1, 4], [10, 4, 1, 2, 5],
      [3, 8, 1, 1, 1], [4, 2, 8, 1, 4], [7, 3, Infinity, 1, 7], [0, 3, 1, 1, 0], [0, 3, Infinity, 2, 0], [1, 1, 0.01, 1, 1], [12, 3, 1, 2, 8],
    ]; // prettier-ignore
    for (const [tokens, experts, factor, choices, slots] of table)
      expect(capacityOf(tokens, experts, factor, choices), `${tokens} ${experts} ${factor} ${choices}`).to.equal(slots);
  });

  it("P29: never 0 while there are tokens, never more than the tokens, enough for all at factor E", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 99 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 4 }),
        fc.double({ min: 0.01, max: 20, noNaN: true }),
        (tokens, experts, choices, factor) => {
          const slots = capacityOf(tokens, experts, factor, choices);
          expect(slots).to.be.within(1, tokens);
          expect(slots).to.equal(capacityByHand(tokens, choices, experts, factor));
          expect(capacityOf(tokens, experts, experts)).to.equal(tokens);
        },
      ),
    ));

  it("P29: is exact where the factor is a decimal: rounding of the product adds no slot", () => {
    const table: [number, number, number, number][] = [[100, 10, 1.1, 11], [1000, 100, 1.1, 11], [1000, 10, 1.1, 110], [300, 3, 2.2, 220], [30, 3, 1.1, 11], [700, 7, 1.4, 140], [100, 10, 1.11, 12]]; // prettier-ignore
    for (const [tokens, experts, factor, slots] of table) expect(capacityOf(tokens, experts, factor)).to.equal(slots);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 512 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.constantFrom(1, 10, 100, 1000),
        (tokens, experts, choices, numerator, denominator) => {
          const over = BigInt(tokens * choices) * BigInt(numerator);
          const under = BigInt(denominator) * BigInt(experts);
          const exact = Number((over + under - 1n) / under); // rounded up
          expect(capacityOf(tokens, experts, numerator / denominator, choices)).to.equal(Math.min(tokens, exact));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("refuses a factor that is not above 0, and no experts", () => {
    for (const factor of [0, -1, NaN])
      expect(() => capacityOf(4, 2, factor)).to.throw(RangeError, `capacityOf: factor ${factor}: want a number above 0`);
    expect(() => capacityOf(4, 0, 1)).to.throw(RangeError, "capacityOf: experts 0: want a whole number of 1 or more");
  });

  it("P29: seats at a capacity of 0 drop everybody", () => {
    const line = queue(tensor(Int32Array.of(0, 1, 0), { shape: [1, 3, 1] }));
    expect(Array.from(slotOfChoice(line, 2, 0).dataSync())).to.deep.equal([-1, -1, -1]);
  });

  it("is numbered up to 2^31 - 1 slots", () => {
    const line = queue(tensor(Int32Array.of(1, 0), { shape: [1, 2, 1] }));
    const most = 2 ** 30 - 1;
    expect(Array.from(slotOfChoice(line, 2, most).dataSync())).to.deep.equal([most, 0]);
    expect(() => slotOfChoice(line, 2, 2 ** 30)).to.throw(
      RangeError,
      "slotOfChoice: 2 experts x 1 groups x 1073741824 slots: want less than 2^31 in all",
    );
  });

  it("P66: places in a queue are exact far beyond what bfloat16 counts", () => {
    const tokens = 100_000;
    const line = queue(tensor(new Int32Array(tokens), { shape: [1, tokens, 1] }));
    const slots = slotOfChoice(line, 1, tokens).dataSync();
    expect(slots.every((slot, t) => slot === t)).to.equal(true);
  });
});
