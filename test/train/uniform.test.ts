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
