import { expect } from "chai";
import * as fc from "fast-check";
import { NgramModel, baselines, countedText, partCounted } from "../../examples/train/baselines.ts";
import { loadDeclaration } from "../../examples/train/text.ts";
import type { Corpus } from "../../examples/train/text.ts";

const bytes = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 60 });

const cycle = (length: number) => Uint8Array.from({ length }, (_, i) => i % 7);

describe("n-gram models", () => {
  it("give probabilities that sum to 1, after any history, for every order", () => {
    fc.assert(
      fc.property(bytes, bytes, (text, context) => {
        const model = new NgramModel(5).add(Uint8Array.from(text));
        const sums = [0, 0, 0, 0, 0];
        for (let byte = 0; byte < 256; byte++) {
          model.probabilities(Uint8Array.from([...context, byte]), context.length).forEach((p, n) => (sums[n] += p));
        }
        for (const sum of sums) expect(sum).to.be.closeTo(1, 1e-9);
      }),
    );
  });

  it("know nothing before they have read: 8 bits per byte", () => {
    expect(new NgramModel(3).bits(Uint8Array.from([1, 2, 3, 4]))).to.deep.equal([32, 32, 32]);
  });

  it("agree with the formula worked by hand", () => {
    const model = new NgramModel(2).add(Uint8Array.from([1, 1, 2])); // counts: 1 twice, 2 once; after 1: 1 once, 2 once
    const unigram = (2 - 0.75 + (0.75 * 2) / 256) / 3;
    const bigram = (1 - 0.75 + 0.75 * 2 * unigram) / 2;
    const [p1, p2] = model.probabilities(Uint8Array.from([1, 1]), 1);
    expect(p1).to.be.closeTo(unigram, 1e-15);
    expect(p2).to.be.closeTo(bigram, 1e-15);
  });

  it("find a cycle of bytes surer the more often they have read it", () => {
    const bits = [14, 70, 700].map((length) => new NgramModel(3).add(cycle(length)).bits(cycle(70), 7)[1]);
    expect(bits).to.deep.equal([...bits].toSorted((x, y) => y - x));
    expect(bits[2] / 63).to.be.below(0.02);
  });

  it("do not look at what stands after the byte", () => {
    const model = new NgramModel(4).add(new TextEncoder().encode("abracadabra"));
    const [x, y] = ["abra", "abrc"].map((text) => model.probabilities(new TextEncoder().encode(text), 2));
    expect(x).to.deep.equal(y);
  });

  it("refuse an order that their keys cannot hold, and a discount that is none", () => {
    expect(() => new NgramModel(7)).to.throw(RangeError, "order 7 is not in 1..6");
    expect(() => new NgramModel(2, 1)).to.throw(RangeError, "discount 1");
  });
});

describe("the baselines of the declaration", () => {
  const table = baselines(loadDeclaration("scripts"));

  it("are what counting achieves on eight scripts", () => {
    expect(table.map(({ name }) => name)).to.deep.equal(["unigram", "bigram", "3-gram", "4-gram", "5-gram"]);
    const expected = [5.75, 3.42, 2.19, 1.83, 1.73];
    table.forEach(({ name, bits }, n) => expect(bits, name).to.be.closeTo(expected[n], 0.02));
  });

  it("are the mean of their spans by bytes", () => {
    const spans = loadDeclaration("scripts").classes.flatMap((text) => text.heldOut);
    const held = spans.reduce((sum, span) => sum + span.end - span.start, 0);
    for (const { bits, bitsOfSpan } of table) {
      expect(bitsOfSpan).to.have.length(spans.length);
      expect(bitsOfSpan.reduce((sum, x) => sum + x, 0) / held).to.be.closeTo(bits, 1e-12);
    }
  });
});

describe("the text that n-grams are counted on", () => {
  const classes = [5000, 300].map((length, c) => ({ training: Uint8Array.from({ length }, (_, i) => (c * 97 + i) % 251) }));
  const corpus = { classes } as unknown as Corpus;
  const size = (texts: readonly Uint8Array[]): number => texts.reduce((sum, text) => sum + text.length, 0);

  it("is all of it where that is not too much", () => {
    expect(countedText(corpus, 5300)).to.deep.equal(classes.map(({ training }) => training));
    expect(partCounted(corpus)).to.equal(null);
  });

  it("is a part where it is too much, from the beginning to the end of each class, by its share", () => {
    for (const most of [100, 1000, 5299]) {
      const pieces = countedText(corpus, most);
      expect(size(pieces))
        .to.be.at.most(most)
        .and.above(0.6 * most);
      for (const [c, { training }] of classes.entries()) {
        const own = pieces.filter(({ buffer }) => buffer === training.buffer);
        expect(own[0].byteOffset, `class ${c}`).to.equal(0);
        expect(own.at(-1)!.byteOffset + own.at(-1)!.length, `class ${c}`).to.equal(training.length);
        expect(size(own) / size(pieces)).to.be.closeTo(training.length / 5300, 0.06);
      }
    }
  });

  it("is said to be a part in a sentence, and takes a bounded time however long the text is", () => {
    const long = { classes: [{ training: new Uint8Array(8e6) }] } as unknown as Corpus;
    expect(size(countedText(long))).to.be.at.most(2 ** 20);
    expect(partCounted(long)).to.match(/^n-grams are counted on 1\.0 of 8\.0 million bytes, in pieces evenly spread/);
  });
});
