/**
 * Every bug of the gallery is switched on inside a model in training: the right twin is the plain model bit for bit, and what is said to betray
 * the bug does so, so that a switch that switches nothing is found.
 */
import { expect } from "chai";
import fc from "fast-check";
import { eye, key, scope, tensor, useBackend } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { FeedForwardExperts, MoE, SwitchRouter } from "../../src/moe/index.ts";
import type { Routing } from "../../src/moe/index.ts";
import { buildModel } from "../../examples/train/model.ts";
import { loadDeclaration } from "../../examples/train/text.ts";
import { Trainer } from "../../examples/train/training.ts";
import { list, near, rows, table } from "./gallery/bug.ts";
import { chapters } from "./gallery/index.ts";
import { gaveBroken } from "./gallery/trained/gallery.ts";
import { trained, trainedOf } from "./gallery/trained/index.ts";
import { partsOf } from "./gallery/trained/layer.ts";
import { TwinRun, taskOf } from "./gallery/trained/run.ts";
import type { TwinStep } from "./gallery/trained/twins.ts";

const titles = chapters.flatMap(({ bugs }) => bugs.map(({ title }) => title));
const corpus = loadDeclaration("scripts");

/** What betrays a bug, where it is not that the number is 0 without the bug and far from it with the bug. */
const otherwise: Readonly<Record<string, (right: number, broken: number) => boolean>> = {
  fullest: (right, broken) => right === 80 && broken > 100, // 512 tokens x 1.25 / 8 experts
  firstLost: (right, broken) => broken > 1.5 * right,
  trueZ: (right, broken) => broken > 1.01 * right,
  atFirst: (right, broken) => broken < 0.95 * right,
  largestShare: (right, broken) => broken > 1.005 * right,
  pressure: (right, broken) => right > 1e-3 && broken === 0,
  perAlpha: (right, broken) => Math.abs(right - 1) < 0.1 && Math.abs(broken - 4) < 0.4,
  overDefinition: (right, broken) => Math.abs(right - 1) < 1e-5 && Math.abs(broken - 4 / 3) < 1e-5,
  expectedExperts: (right, broken) => Math.abs(right - 2) < 0.1 && Math.abs(broken - 2) > 0.5,
  added: (right, broken) => Math.abs(broken / right - 100) < 10,
  taskGradient: (right, broken) => right > 1e-2 && broken === 0,
  apart: (right, broken) => right > 0.9 && broken < 0.1,
  zOfPadding: (right, broken) => Math.abs(right) < 1e-6 && Math.abs(broken) > 1e-2, // (ln E)^2 is more or less than what tokens pay
};
const fromZero = (right: number, broken: number): boolean => Math.abs(right) < 1e-6 && broken > 1e-2;

/** These are seen in what the run has learned, after some steps. */
const later = new Set(["trueZ", "atFirst", "largestShare", "gateLessScore"]);
const ended: Readonly<Record<string, RegExp>> = {
  "More slots than tokens": /^topK: k = 4 of an axis of 3/,
  "Zero times infinity": /^NaN$/,
};

/** The first bits per byte of the plain model, which nobody looks at. */
async function plainBits(title: string, steps: number): Promise<number[]> {
  const { setting } = new TwinRun(title, corpus);
  const { right } = trainedOf(title);
  const model = buildModel(setting.model, key(setting.training.seed).at("init"));
  if (right)
    for (const block of model.blocks)
      if (block.feedForward instanceof MoE) Object.assign(block, { feedForward: new MoE(right(partsOf(block.feedForward))) });
  const trainer = new Trainer(model, taskOf(setting, corpus), setting.training);
  const bits: number[] = [];
  while (bits.length < steps) bits.push((await trainer.step()).loss / Math.LN2);
  return bits;
}

async function steps(run: TwinRun, count: number): Promise<{ right: TwinStep[]; broken: TwinStep[] }> {
  const made: { right: TwinStep[]; broken: TwinStep[] } = { right: [], broken: [] };
  for (let i = 0; i < count; i++) {
    const { right, broken } = await run.step();
    if (right) made.right.push(right);
    if (broken) made.broken.push(broken);
  }
  return made;
}

describe("bugs in training", () => {
  // The device on which a page trains them.
  before(() => useBackend("wasm"));
  after(() => useBackend("cpu"));

  it("are all bugs of the gallery", () => expect(Object.keys(trained).sort()).to.deep.equal([...titles].sort()));

  for (const title of titles)
    it(title, async () => {
      const { name } = trainedOf(title).watched;
      const { right, broken } = await steps(new TwinRun(title, corpus, { every: 1 }), later.has(name) ? 6 : 2);
      const plain = await plainBits(title, 2);
      expect(right.slice(0, 2).map(({ bits }) => bits), "the right twin is not the plain model").to.deep.equal(plain); // prettier-ignore
      expect(right.every(({ error, watched }) => error === null && Number.isFinite(watched))).to.equal(true);
      const last = broken[broken.length - 1];
      if (ended[title]) {
        expect(broken).to.have.length(1);
        expect(last.error ?? String(last.bits)).to.match(ended[title]);
      } else {
        expect(last.error).to.equal(null);
        expect(broken.map(({ bits }) => bits).every(Number.isFinite)).to.equal(true);
      }
      if (last.error !== null) return;
      const seen = [right[right.length - 1].watched, last.watched].map(Number);
      expect((otherwise[name] ?? fromZero)(seen[0], seen[1]), `${name}: ${seen.join(" right, ")} broken`).to.equal(true);
    });
});

describe("bugs in training are those of the gallery", () => {
  interface Case {
    readonly h: readonly (readonly number[])[];
    readonly padding: number;
    readonly slots: number;
  }
  const cases: fc.Arbitrary<Case> = fc.record({
    h: table({ min: 3, max: 3 }, { min: 3, max: 7 }),
    padding: fc.integer({ min: 1, max: 3 }),
    slots: fc.integer({ min: 1, max: 3 }),
  });
  /** Logits are the tokens themselves. */
  const identity = ([rows_, columns]: readonly number[], _: unknown, options = {}): Tensor =>
    eye(rows_, columns, { ...options, dtype: "float64" });

  /** What the broken router of a bug makes of tokens, and of padding behind them. */
  function routed(title: string, { h, padding, slots }: Case): Routing {
    const [tokens, experts] = [h.length + padding, h[0].length];
    const sizes = { width: experts, experts, random: key(1) };
    const router = new SwitchRouter({ ...sizes, dtype: "float64", initializer: identity, balance: 1, zLoss: 1, jitter: 0 });
    const right = { router, experts: new FeedForwardExperts({ ...sizes, hidden: 1 }) };
    const broken = trainedOf(title).broken?.(right).router ?? router;
    return broken.route({
      tokens: rows([...h, ...Array.from({ length: padding }, () => h[0].map(() => 0))]),
      mask: tensor(Int32Array.from({ length: tokens }, (_, t) => Number(t < h.length)), { shape: [1, tokens] }), // prettier-ignore
      capacityFactor: (slots * experts) / tokens,
      pass: { training: true, random: key(0) },
    });
  }
  const named = (name: string) => (routing: Routing) => [routing.losses[name].itemSync()];
  const seated = ({ books }: Routing): number[] => list(books.slotOfChoice).map((slot) => Number(slot >= 0));
  const best = ({ h }: Case): number[] => h.map((row) => row.indexOf(Math.max(...row)));

  /** For each bug: what the routing says, what the gallery's function is asked, and whether the case has padding. */
  const forms: Readonly<Record<string, readonly [(routing: Routing) => number[], (of: Case) => unknown[], padded?: boolean]>> = {
    "The z-loss of a probability": [named("z"), ({ h }) => [h, 0]],
    "Padding that pays (ln E)^2": [named("z"), ({ h, padding }) => [h, padding], true],
    "Padding has a favourite expert": [named("balance"), ({ h, padding }) => [h, padding], true],
    "Counting after closing the doors": [named("balance"), ({ h, slots }) => [h, slots]],
    "A loss without an opinion": [named("balance"), ({ h }) => [3, h.length]],
    "Nothing beats a negative": [seated, ({ h, slots }) => [h, slots]],
    "One slot too few": [seated, (of) => [best(of), of.slots]],
  };
  for (const [title, [mine, asked, padded = false]] of Object.entries(forms))
    it(title, () => {
      const agrees = (drawn: Case): boolean => {
        const of = padded ? drawn : { ...drawn, padding: 0 };
        const [own, theirs] = [mine(routed(title, of)), gaveBroken(title, ...asked(of))];
        return own.length === theirs.length && own.every((x, i) => near(x, theirs[i], 1e-6));
      };
      fc.assert(fc.property(cases, (drawn) => scope(() => agrees(drawn))), { numRuns: 30 }); // prettier-ignore
    });
});
