import { expect } from "chai";
import * as fc from "fast-check";
import { draws, seeded, shuffled } from "../../examples/train/uniform.ts";

const numbersOf = (seed: number) => new Set(Array.from({ length: 2000 }, (_, i) => seeded(seed)(i)));

describe("numbers from a seed", () => {
  it("lie in [0, 1), evenly", () => {
    for (const seed of [0, 1, -5, 2 ** 31]) {
      const uniform = seeded(seed);
      const tenths = new Array<number>(10).fill(0);
      for (let i = 0; i < 20_000; i++) tenths[Math.floor(uniform(i) * 10)]++;
      for (const count of tenths) expect(count).to.be.within(1800, 2200);
    }
  });

  it("share nothing between neighbouring seeds", () => {
    const [first, second] = [numbersOf(1), numbersOf(2)];
    const shared = [...first].filter((x) => second.has(x));
    expect(shared).to.have.length.below(3);
  });

  it("are the same on every machine and in every version: runs and reports are drawn with them", () => {
    const at = [0, 1, 2, 65536, 1e6, 2 ** 32 - 1];
    expect(at.map(seeded(7)).map((x) => x.toFixed(9))).to.deep.equal(["0.288442246", "0.044952290", "0.165715449", "0.255027790", "0.035853589", "0.284076069"]); // prettier-ignore
    expect([0, 1].map(seeded(-5)).map((x) => x.toFixed(9))).to.deep.equal(["0.424500468", "0.726375440"]);
    expect([0, 1].map(seeded(2 ** 31)).map((x) => x.toFixed(9))).to.deep.equal(["0.702707336", "0.712599164"]);
    expect(shuffled([0, 1, 2, 3, 4, 5, 6, 7], draws(seeded(7)))).to.deep.equal([7, 3, 4, 5, 1, 6, 0, 2]);
  });

  it("are drawn in order", () => {
    const draw = draws((i) => i / 10);
    expect([draw(), draw(), draw()]).to.deep.equal([0, 0.1, 0.2]);
  });
});

describe("shuffled", () => {
  it("keeps the elements and leaves the original alone", () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.nat(), (values, seed) => {
        const before = [...values];
        const after = shuffled(values, draws(seeded(seed)));
        expect(values).to.deep.equal(before);
        expect(after.toSorted((x, y) => x - y)).to.deep.equal(before.toSorted((x, y) => x - y));
      }),
    );
  });

  it("gives each order equally often", () => {
    const seen = new Map<string, number>();
    const draw = draws(seeded(7));
    for (let i = 0; i < 6000; i++) {
      const order = shuffled("abc", draw).join("");
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).to.equal(6);
    for (const count of seen.values()) expect(count).to.be.within(850, 1150);
  });
});
