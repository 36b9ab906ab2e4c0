import { expect } from "chai";
import * as fc from "fast-check";
import { collate, inBatches, sampleBatch, spread, validationWindows } from "../../examples/train/sequences.ts";
import { loadDeclaration, type Corpus, type Span } from "../../examples/train/text.ts";
import { seeded } from "../../examples/train/uniform.ts";
import { UserError } from "../../examples/train/userError.ts";

// T positions of a window, n bytes of a document.

/** A document whose byte i is i, so that every byte tells where it stands. */
function ramp(n: number, heldOut: readonly Span[]): Corpus {
  const document = Uint8Array.from({ length: n }, (_, i) => i);
  const training = document.filter((i) => !heldOut.some((span) => span.start <= i && i < span.end));
  return {
    source: "ramp",
    unit: "class",
    split: "",
    classes: [{ code: "ramp", name: "ramp", lang: "", dir: "ltr", document, heldOut, training }],
  };
}

const layouts = fc
  .record({
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: 199 }), { minLength: 2, maxLength: 8 }),
    length: fc.integer({ min: 1, max: 60 }),
  })
  .chain(({ cuts, length }) =>
    fc.record({
      cuts: fc.constant(cuts.toSorted((x, y) => x - y)),
      length: fc.constant(length),
      stride: fc.integer({ min: 1, max: length }),
    }),
  );

const spansOf = (cuts: readonly number[]): Span[] =>
  cuts.flatMap((start, i) => (i % 2 === 0 && i + 1 < cuts.length ? [{ label: `span ${i}`, start, end: cuts[i + 1] }] : []));

describe("validation windows", () => {
  it("score each held-out byte exactly once, and no other", () => {
    fc.assert(
      fc.property(layouts, ({ cuts, length, stride }) => {
        const spans = spansOf(cuts);
        const scored = validationWindows(ramp(200, spans), { length, stride }).flatMap((window) =>
          [...window.targets].filter((_, t) => window.scored[t] === 1),
        );
        const held = spans.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
        expect(scored).to.deep.equal(held);
      }),
    );
  });

  it("are T consecutive bytes with their successors as targets", () => {
    fc.assert(
      fc.property(layouts, ({ cuts, length, stride }) => {
        for (const { inputs, targets, scored } of validationWindows(ramp(200, spansOf(cuts)), { length, stride })) {
          expect([inputs.length, targets.length, scored.length]).to.deep.equal([length, length, length]);
          inputs.forEach((byte, t) => expect(byte).to.equal(inputs[0] + t));
          targets.forEach((byte, t) => expect(byte).to.equal(inputs[t] + 1));
        }
      }),
    );
  });

  it("give each scored byte T - stride bytes of context where the document has them", () => {
    fc.assert(
      fc.property(layouts, ({ cuts, length, stride }) => {
        for (const { targets, scored } of validationWindows(ramp(200, spansOf(cuts)), { length, stride })) {
          const first = scored.indexOf(1);
          expect(first).to.be.at.least(Math.min(length - stride, targets[first] - 1));
        }
      }),
    );
  });

  it("refuse a document shorter than a window, and a stride that would skip bytes", () => {
    const corpus = ramp(100, [{ label: "end", start: 90, end: 100 }]);
    expect(() => validationWindows(corpus, { length: 100 })).to.throw(UserError, "ramp has 100 bytes of text, and a sequence needs 101");
    expect(() => validationWindows(corpus, { length: 10, stride: 11 })).to.throw(RangeError, "stride 11 is not in 1..10");
  });
});

describe("training batches", () => {
  const corpus = loadDeclaration("scripts");
  const batch = (seed: number) => sampleBatch(corpus, { size: 8, length: 16 }, seeded(seed));

  it("are balanced over the classes", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 40 }), (seed, size) => {
        const counts = new Array<number>(8).fill(0);
        for (const c of sampleBatch(corpus, { size, length: 16 }, seeded(seed)).classOf) counts[c]++;
        expect(Math.max(...counts) - Math.min(...counts)).to.be.at.most(1);
      }),
      { numRuns: 30 },
    );
  });

  it("hold pieces of the training text of their class", () => {
    const { size, length, inputs, targets, classOf } = sampleBatch(corpus, { size: 16, length: 32 }, seeded(3));
    for (let b = 0; b < size; b++) {
      const row = [...inputs.subarray(b * length, (b + 1) * length), targets[(b + 1) * length - 1]];
      expect(Buffer.from(corpus.classes[classOf[b]].training).includes(Buffer.from(row))).to.equal(true);
      expect([...targets.subarray(b * length, (b + 1) * length)]).to.deep.equal(row.slice(1));
    }
  });

  it("are the same for the same key and differ for another, in order too", () => {
    expect(batch(1)).to.deep.equal(batch(1));
    expect(batch(1).inputs).not.to.deep.equal(batch(2).inputs);
    const orders = new Set([1, 2, 3, 4].map((seed) => batch(seed).classOf.join()));
    expect(orders.size).to.be.greaterThan(1);
  });

  it("have no order of classes that repeats", () => {
    const halves = [1, 2, 3, 4].map((seed) => [...sampleBatch(corpus, { size: 16, length: 16 }, seeded(seed)).classOf]);
    const repeating = halves.filter((classes) => classes.slice(0, 8).join() === classes.slice(8).join());
    expect(repeating).to.deep.equal([]);
  });

  it("reach the first and the last place of the training text", () => {
    const small = ramp(12, [{ label: "end", start: 10, end: 12 }]);
    const at = (u: number) => [...sampleBatch(small, { size: 1, length: 4 }, () => u).inputs];
    expect(at(0)).to.deep.equal([0, 1, 2, 3]);
    expect(at(1 - 2 ** -24)).to.deep.equal([5, 6, 7, 8]);
  });

  it("are refused when the text is too short for the length", () => {
    const small = ramp(12, [{ label: "end", start: 10, end: 12 }]);
    expect(() => sampleBatch(small, { size: 1, length: 10 }, seeded(0))).to.throw(UserError, "--length 10: ramp has 10 bytes");
  });
});

describe("batches", () => {
  const windows = validationWindows(ramp(200, [{ label: "x", start: 100, end: 200 }]), { length: 10 });

  it("keep all windows in order", () => {
    const batches = inBatches(windows, 7);
    expect(batches.map((batch) => batch.size)).to.deep.equal([7, 7, 6]);
    expect(batches.flatMap((batch) => [...batch.inputs])).to.deep.equal(windows.flatMap((window) => [...window.inputs]));
    expect(collate(windows).labels).to.deep.equal(windows.map(() => "x"));
  });

  it("are spread evenly when there is time for a few only", () => {
    expect(spread([...Array(100).keys()], 4)).to.deep.equal([12, 37, 62, 87]);
    expect(spread([1, 2], 5)).to.deep.equal([1, 2]);
  });
});
