/** The guide's instruments: what they show is what the formulas beside them say. */
import { expect } from "chai";
import fc from "fast-check";
import { balanceOf, deviationOf, gatesOf, roundedFlips, seatsOf, tablesOf, takenBy } from "../app/widgetMath.ts";

const logits = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 });

describe("the guide's instruments", () => {
  it("keep the k largest of a softmax, which add up to 1", () =>
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 4 }), (h, k) => {
        const { all, kept } = gatesOf(h, k);
        const total = h.reduce((sum, x) => sum + Math.exp(x), 0);
        all.forEach((p, i) => expect(p).to.be.closeTo(Math.exp(h[i]) / total, 1e-5));
        expect(kept.filter((gate) => gate > 0)).to.have.length(k);
        expect(kept.reduce((sum, gate) => sum + gate, 0)).to.be.closeTo(1, 1e-5);
        const least = Math.min(...h.filter((_, i) => kept[i] > 0));
        expect(h.every((x, i) => kept[i] > 0 || x <= least + 1e-6)).to.equal(true);
      }),
      { numRuns: 30 },
    ));

  it("let noise of deviation softplus overturn a gap: half of the time without one, seldom where noise is small", () => {
    expect(deviationOf(1, 0).deviation).to.be.closeTo(Math.LN2, 1e-6);
    expect(deviationOf(0, 2).second).to.be.closeTo(0.5, 1e-6);
    expect(deviationOf(4, -5).second).to.be.lessThan(1e-6);
    expect(deviationOf(1, 1).second).to.be.greaterThan(deviationOf(1, 0).second);
  });

  it("seat tokens below the capacity, the more the larger the factor, whoever comes first", () => {
    for (const priority of ["position", "gate", "random"] as const) {
      const dropped = [0.25, 1, 2, 3].map((factor) => {
        const { expert, slot, capacity, experts, dropped: lost } = seatsOf({ factor, skew: 2, priority });
        expect(capacity).to.equal(Math.ceil((24 * factor) / 4));
        for (let e = 0; e < experts; e++) {
          const wanted = expert.filter((one) => one === e).length;
          expect(expert.filter((one, t) => one === e && slot[t] >= 0)).to.have.length(Math.min(wanted, capacity));
        }
        return lost;
      });
      expect(dropped).to.deep.equal(dropped.toSorted((a, b) => b - a));
      expect(dropped[0]).to.be.greaterThan(dropped[3]);
    }
    // The first to come is served by position, the surest by gate.
    const slots = (priority: "position" | "gate"): number[] => seatsOf({ factor: 0.5, skew: 2, priority }).slot.map((s) => Number(s >= 0));
    expect(slots("position")).not.to.deep.equal(slots("gate"));
  });

  it("have tables of dispatch and combine that are each other's inverse", () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 }), fc.integer({ min: 1, max: 4 }), (expert, C) => {
        const { slotOfToken, tokenOfSlot } = tablesOf(expert, C);
        expect(tokenOfSlot).to.have.length(2 * C);
        slotOfToken.forEach((slot, t) => {
          if (slot >= 0) expect([tokenOfSlot[slot], Math.floor(slot / C)]).to.deep.equal([t, expert[t]]);
        });
        expect(tokenOfSlot.filter((t) => t >= 0)).to.have.length(slotOfToken.filter((slot) => slot >= 0).length);
      }),
      { numRuns: 30 },
    ));

  it("balance: 1 where shares or probabilities are even, E f P otherwise", () => {
    expect(balanceOf(0.5, 0.9)).to.be.closeTo(1, 1e-5);
    expect(balanceOf(0.9, 0.5)).to.be.closeTo(1, 1e-5);
    expect(balanceOf(0.8, 0.7)).to.be.closeTo(2 * (0.8 * 0.7 + 0.2 * 0.3), 1e-5);
    expect(balanceOf(1, 1)).to.be.closeTo(2, 1e-5);
  });

  it("flip more choices the further rounded logits lie from 0, and none where nothing is rounded away", () => {
    const flips = [0, 8, 64].map((offset) => roundedFlips(0.5, offset).flips);
    expect(flips).to.deep.equal(flips.toSorted((a, b) => a - b));
    expect(flips[0]).to.be.lessThan(20);
    expect(flips[2]).to.be.greaterThan(100);
  });

  it("let the last token's coin decide about earlier tokens", () => {
    const [heads, tails] = [takenBy(true), takenBy(false)];
    expect(heads.slice(0, -1)).not.to.deep.equal(tails.slice(0, -1));
    for (const taken of [heads, tails]) expect(taken.flat()).to.have.length(4); // every slot of both experts
  });
});
