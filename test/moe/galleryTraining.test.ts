/**
 * Every bug of the gallery is switched on inside a model in training: the right twin is the plain model bit for bit, and what is said to betray
 * the bug does so, so that a switch that switches nothing is found.
 */
import { expect } from "chai";
import { key, useBackend } from "../../src/index.ts";
import { MoE } from "../../src/moe/index.ts";
import { buildModel } from "../../examples/train/model.ts";
import { loadDeclaration } from "../../examples/train/text.ts";
import { Trainer } from "../../examples/train/training.ts";
import { chapters } from "./gallery/index.ts";
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
