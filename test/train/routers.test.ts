/** Every router of the main job trains, resumes, is traced and reported, and says what is not to be believed. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import { evaluateModel } from "../../examples/train/evaluation.ts";
import { generateText } from "../../examples/train/generateText.ts";
import { buildModel } from "../../examples/train/model.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { canGenerate, caution, sparseLayers } from "../../examples/train/routers.ts";
import { routerNames } from "../../examples/train/routerNames.ts";
import type { RouterName } from "../../examples/train/routerNames.ts";
import { lastFile, modelFile } from "../../examples/train/folders.ts";
import { newRun, restoreRun } from "../../examples/train/run.ts";
import { continueRun } from "../../examples/train/runLoop.ts";
import { conclude } from "../../examples/train/conclusion.ts";
import { validationWindows } from "../../examples/train/sequences.ts";
import { traceText } from "../../examples/train/traceText.ts";
import { configOf } from "../../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";

const silent = { screen: { write: (): boolean => true } };
const configFor = (router: RouterName) =>
  configOf({
    ...trainDefaults(),
    router,
    languages: "eng,ell",
    steps: 2,
    every: 2,
    width: 8,
    heads: 2,
    layers: 1,
    hidden: 16,
    experts: 4,
    length: 16,
    batch: 4,
    warmup: 1,
  });
const corpus = corpusOf({ languages: "eng,ell" });
const unchanged = { steps: 0, seconds: 0, every: 0 };
const modelOf = (router: RouterName) => buildModel(configFor(router).model, key(1));

/** What `use` prints, line by line. */
async function printed(use: () => Promise<unknown>): Promise<string[]> {
  const { log } = console;
  const lines: string[] = [];
  console.log = (...values: unknown[]) => void lines.push(values.join(" "));
  try {
    await use();
  } finally {
    console.log = log;
  }
  return lines;
}

describe("the routers of the main job", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-routers-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const router of routerNames) {
    it(`${router} trains and resumes bit for bit, and is traced`, async () => {
      const config = configFor(router);
      const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
      const job = languageJob(config, corpus);
      const run = newRun(whole, config, job);
      await continueRun(run, silent);
      const last = run.measurements[run.measurements.length - 1];
      expect(last.validation).to.be.within(4, 12);
      expect(last.dropped).to.be.within(0, 1);
      const halved = newRun(parts, config, job);
      await continueRun(halved, { ...silent, interrupted: () => halved.trainer.steps >= 1 });
      await continueRun(
        restoreRun(parts, () => job, unchanged),
        silent,
      );
      expect(readFileSync(lastFile(parts)).equals(readFileSync(lastFile(whole)))).to.equal(true);
      const lines = await printed(() => traceText({ from: whole, text: "ab", capacityFactor: Infinity, backend: "cpu" }));
      expect(lines.join("\n")).to.match(/^layer 0, sequence 0\n {4}0 {2}"a" .*expert \d+ gate/);
    });
  }

  it("costs a byte as many operations as any other in its experts", () => {
    const flops = (router: RouterName): number => summary(modelOf(router), { length: 16 }).flops;
    const routing = (router: RouterName): number =>
      sparseLayers(modelOf(router)).reduce((sum, layer) => sum + layer.router.cost(16).flops, 0);
    const experts = routerNames.map((router) => flops(router) - routing(router));
    expect(new Set(experts)).to.deep.equal(new Set([flops("switch") - routing("switch")]));
  });

  it("says what to believe of those that look at later bytes, and nothing of those that do not", () => {
    const silentOnes = routerNames.filter((router) => caution(modelOf(router)) === null);
    expect(silentOnes).to.have.members(["switch", "dropless", "dense-softmax", "mixtral", "deepseek", "loss-free", "hash"]);
    expect(caution(modelOf("expert-choice"))).to.include("neither its training loss nor its held-out loss");
    expect(caution(modelOf("balanced"))).to.include("its training loss is not to be believed");
  });

  it("moves the bias of routers without a balance loss", async () => {
    const run = newRun(folder, configFor("loss-free"), languageJob(configFor("loss-free"), corpus));
    const bias = run.trainer.model.state().get("blocks.0.feedForward.router.bias")!;
    await run.trainer.step();
    const moved = [...(await bias.data())];
    expect(moved.every((b) => Math.abs(b) < 0.0011) && moved.some((b) => b !== 0)).to.equal(true);
    await evaluateModel(run.trainer.model, validationWindows(corpus, { length: 16 }).slice(0, 4), { batch: 4, languages: 2 });
    expect([...(await bias.data())]).to.deep.equal(moved);
  });

  it("writes no text where bytes are served together, and says so in its report", async () => {
    expect(routerNames.filter((router) => !canGenerate(modelOf(router)))).to.have.members([
      "expert-choice",
      "expert-choice-capped",
      "soft",
    ]);
    const run = newRun(folder, configFor("expert-choice"), languageJob(configFor("expert-choice"), corpus));
    await continueRun(run, silent);
    const lines = await printed(() => conclude(run, corpus));
    expect(lines.join("\n")).to.include("held-out loss is to be believed");
    expect(readFileSync(join(folder, "report.html"), "utf8")).to.include("held-out loss is to be believed");
    const options = { from: modelFile(folder), prompt: "a", bytes: 4, temperature: 0, topK: 0, topP: 1, seed: 1, backend: "cpu" } as const;
    const error = await generateText(options).catch((thrown: unknown) => thrown);
    expect(error).to.be.an("error").with.property("message").that.includes("cannot write text");
  });

  it("counts for a byte of several experts the one with the largest gate", async () => {
    const { trainer } = newRun(folder, configFor("dense-softmax"), languageJob(configFor("dense-softmax"), corpus));
    const windows = validationWindows(corpus, { length: 16 }).slice(0, 8);
    const { observed, dropped } = await evaluateModel(trainer.model, windows, { batch: 4, languages: 2 });
    expect(new Set(Array.from(observed[0].expert)).size).to.be.greaterThan(2); // its first choice is expert 0 for every byte
    expect(dropped).to.equal(0);
  });
});
