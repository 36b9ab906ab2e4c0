/** Span corruption: what holds of every text, key and setting, beside the numbers that T5's own code gives. */
import { expect } from "chai";
import * as fc from "fast-check";
import { key } from "switchyard-moe";
import { corruptSpans, fillSpans, noiseCounts, noiseSpans, splitSpans } from "switchyard-moe/nn";

const lengths = fc.integer({ min: 0, max: 400 });
const settings = fc.record({ density: fc.double({ min: 0.01, max: 0.99, noNaN: true }), meanLength: fc.double({ min: 1, max: 12, noNaN: true }) }); // prettier-ignore
const seeds = fc.integer({ min: 0, max: 1e6 });
const up = { first: 256, count: 400 };
const down = { first: 32099, count: 400, step: -1 } as const;
/** A text over ids that are no sentinels of either kind. */
const textOf = (length: number, seed: number): Int32Array => Int32Array.from({ length }, (_, i) => Math.floor(key(seed).number(i) * 256));

describe("span corruption", () => {
  it("followed by filling is the identity, with sentinels that count up or down", () => {
    const seen = { spans: 0, several: 0 };
    fc.assert(
      fc.property(lengths, seeds, settings, fc.constantFrom(up, down), (length, seed, options, sentinels) => {
        const text = textOf(length, seed);
        const spans = noiseSpans(length, key(seed), options);
        const { input, target } = corruptSpans(text, spans, sentinels);
        expect([...fillSpans(input, target, sentinels)]).to.deep.equal([...text]);
        seen.spans += Number(spans.length > 0);
        seen.several += Number(spans.length > 1);
      }),
      { numRuns: 300 },
    );
    // Of 300 random cases some 165 have several, give or take nine.
    expect(seen.several, "cases with several spans").to.be.above(100);
  });

  it("takes out exactly as many tokens and spans as it says, apart from each other, never the first token", () => {
    fc.assert(
      fc.property(lengths, seeds, settings, (length, seed, options) => {
        const spans = noiseSpans(length, key(seed), options);
        const counts = noiseCounts(length, options);
        expect(spans.reduce((sum, { start, end }) => sum + end - start, 0)).to.equal(counts.noise);
        expect(spans).to.have.length(counts.spans);
        spans.forEach(({ start, end }, i) => {
          expect(end).to.be.above(start);
          expect(start).to.be.above(spans[i - 1]?.end ?? 0);
          expect(end).to.be.at.most(length);
        });
        if (length >= 2) expect(spans.at(-1)?.end, "the text ends with a span, as T5's does").to.equal(length);
      }),
      { numRuns: 300 },
    );
  });

  it("takes out the share asked for, within half a token", () => {
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 4000 }), fc.double({ min: 0.05, max: 0.9, noNaN: true }), (length, density) => {
        expect(noiseCounts(length, { density }).noise).to.be.closeTo(length * density, 0.501);
      }),
    );
  });

  it("rounds as T5 does: half to even, at least one token and one span", () => {
    const counts = (length: number, options = {}): number[] => Object.values(noiseCounts(length, options));
    expect([0, 1, 2, 3].map((length) => counts(length))).to.deep.equal([[0, 0], [0, 0], [1, 1], [1, 1]]); // prettier-ignore
    expect([10, 30, 50, 512].map((length) => counts(length))).to.deep.equal([
      [2, 1],
      [4, 1],
      [8, 3],
      [77, 26],
    ]); // 1.5, 4.5, 7.5, 76.8 // prettier-ignore
    expect(counts(100, { density: 0.5, meanLength: 20 })).to.deep.equal([50, 2]); // 2.5 spans
    expect(counts(10, { density: 0.9, meanLength: 1 }), "one token is left, so one span").to.deep.equal([9, 1]);
  });

  it("gives one sentinel per span, in order, on both sides", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), seeds, (length, seed) => {
        const { input, target } = corruptSpans(textOf(length, seed), noiseSpans(length, key(seed)), up);
        const expected = Array.from({ length: noiseCounts(length).spans }, (_, i) => 256 + i);
        for (const side of [input, target]) expect([...side].filter((id) => id >= 256)).to.deep.equal(expected);
        const { noise, spans } = noiseCounts(length);
        expect([input.length, target.length]).to.deep.equal([length - noise + spans, noise + spans]);
      }),
    );
  });

  it("is a function of the key: the same key the same spans, another key others", () => {
    expect(noiseSpans(200, key(5))).to.deep.equal(noiseSpans(200, key(5)));
    expect(noiseSpans(200, key(5))).not.to.deep.equal(noiseSpans(200, key(6)));
  });

  it("makes every way of cutting equally likely", () => {
    // 10 tokens, 4 of them in 2 spans: 3 ways to cut the spans (1+3, 2+2, 3+1) times 5 ways to cut the other 6 tokens.
    const seen = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const spans = JSON.stringify(noiseSpans(10, key(seed), { density: 0.4, meanLength: 2 }));
      seen.set(spans, (seen.get(spans) ?? 0) + 1);
    }
    expect(seen.size).to.equal(15);
    const deviation = Math.sqrt(6000 * (1 / 15) * (14 / 15));
    for (const count of seen.values()) expect(count).to.be.closeTo(400, 5 * deviation);
  });

  it("is what figure 2 of the paper shows", () => {
    // Thank you [for inviting] me to your party [last] week.
    const { input, target } = corruptSpans([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [{ start: 2, end: 4 }, { start: 8, end: 9 }], down); // prettier-ignore
    expect([...input]).to.deep.equal([1, 2, 32099, 5, 6, 7, 8, 32098, 10]);
    expect([...target]).to.deep.equal([32099, 3, 4, 32098, 9]);
  });
});

describe("a target that a model wrote", () => {
  it("is read as far as it can be", () => {
    const spans = splitSpans([9, 258, 1, 2, 256, 258, 3], up);
    expect(spans.map((span) => span && [...span])).to.deep.equal([[], undefined, [1, 2]]);
    expect(splitSpans([1, 2], up)).to.deep.equal([]);
  });

  it("cannot fill what it does not name", () => {
    expect(() => fillSpans([1, 257], [256, 4], up)).to.throw(RangeError, "fillSpans: the input has sentinel 1 (id 257), which the target does not name"); // prettier-ignore
  });
});

describe("span corruption that is called wrongly", () => {
  const spans = [{ start: 1, end: 2 }];
  const wrong: Record<string, readonly [() => unknown, string]> = {
    "a length that is none": [() => noiseSpans(-1, key(0)), "noiseCounts: length -1: want a whole number from 0 to 67108864"],
    "a density of 1": [() => noiseSpans(5, key(0), { density: 1 }), "density 1: want a number above 0 and below 1"],
    "a mean below 1": [() => noiseSpans(5, key(0), { meanLength: 0.5 }), "meanLength 0.5: want a number of 1 or more"],
    "an option that is none": [() => noiseSpans(5, key(0), { densty: 1 } as object), "there is no option densty; did you mean density?"],
    "no key": [() => Reflect.apply(noiseSpans, undefined, [5]), "noiseSpans: random is missing: want a key"],
    "a text with a sentinel": [() => corruptSpans([1, 256, 3], spans, up), "token 1 of the text is 256, a sentinel"],
    "too few sentinels": [() => corruptSpans([1, 2, 3, 4], [...spans, { start: 3, end: 4 }], { first: 9, count: 1 }), "2 spans, but there are 1 sentinels"], // prettier-ignore
    "spans that touch": [() => corruptSpans([1, 2, 3], [...spans, { start: 2, end: 3 }], up), "span 1 begins at 2 and span 0 ends at 2: they touch"], // prettier-ignore
    "a span outside": [() => corruptSpans([1, 2], [{ start: 1, end: 3 }], up), "span 0 is 1 to 3: want 0 <= start < end <= 2"],
    "sentinels below 0": [() => corruptSpans([1, 2], spans, { first: 3, count: 9, step: -1 }), "9 sentinels from 3 down end below 0"],
    "a step of 2": [() => splitSpans([1], { ...up, step: 2 as 1 }), "splitSpans: step 2: want 1 or -1"],
    "no ids": [() => Reflect.apply(splitSpans, undefined, [5, up]), "splitSpans: target 5: want an array of ids"],
  };
  for (const [name, [call, message]] of Object.entries(wrong)) it(`says what is wrong with ${name}`, () => expect(call).to.throw(message));
});

describe("sentinels are exactly those from the first on, up or down", () => {
  const spans = [{ start: 0, end: 1 }, { start: 2, end: 3 }]; // prettier-ignore
  for (const [what, sentinels, inside, outside] of [
    ["up", { first: 10, count: 3, step: 1 }, [10, 11, 12], [9, 13]],
    ["up where nothing is said", { first: 10, count: 3 }, [10, 11, 12], [9, 13]],
    ["down, to 0", { first: 2, count: 3, step: -1 }, [2, 1, 0], [3]],
    ["one alone", { first: 5, count: 1 }, [5], [4, 6]],
  ] as const)
    it(what, () => {
      const index = (id: number): number => splitSpans([id, 99], sentinels).findIndex((tokens) => tokens?.[0] === 99);
      expect(inside.map(index)).to.deep.equal(inside.map((_, i) => i));
      expect(outside.map(index)).to.deep.equal(outside.map(() => -1));
      for (const id of inside) expect(() => corruptSpans([id, 50, 51, 52], [], sentinels)).to.throw("a sentinel");
      for (const id of outside) expect([...corruptSpans([id, 50], [], sentinels).input]).to.deep.equal([id, 50]);
      if (inside.length > 1) {
        const [one, two] = inside;
        const { input, target } = corruptSpans([50, 51, 52], spans, sentinels);
        expect([[...input], [...target]]).to.deep.equal([[one, 51, two], [one, 50, two, 52]]); // prettier-ignore
      }
    });

  it("none below 0", () => {
    expect(() => corruptSpans([50], [], { first: 1, count: 3, step: -1 })).to.throw(RangeError, "3 sentinels from 1 down end below 0");
  });
});
