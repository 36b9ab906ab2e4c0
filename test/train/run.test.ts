/** A run is a pure function of its configuration: interrupted and resumed it is the same, bit for bit. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { loadCheckpoint, restoreModel } from "../../examples/train/checkpoint.ts";
import { evaluateModel } from "../../examples/train/evaluation.ts";
import { openModel } from "../../examples/train/generateText.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import type { RunOptions } from "../../examples/train/run.ts";
import { bestModel, continueRun, lastFile, modelFile, newRun, restoreRun } from "../../examples/train/run.ts";
import { validationWindows } from "../../examples/train/sequences.ts";
import { configOf, corpusOf } from "../../examples/train/trainCommand.ts";
import { UserError } from "../../examples/train/userError.ts";

const silent = { write: (): boolean => true };
const options: RunOptions = { every: 2, seconds: 0, screen: silent };
const config = configOf({
  ...trainDefaults(),
  languages: "eng,ell",
  steps: 6,
  width: 8,
  heads: 2,
  hidden: 16,
  experts: 3,
  length: 16,
  batch: 4,
  warmup: 2,
});

describe("a training run", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-run-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is the same bit for bit when interrupted and resumed", async () => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    await continueRun(newRun(whole, config, corpusOf(config)), options);
    const run = newRun(parts, config, corpusOf(config));
    expect(await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 3 })).to.equal("interrupted");
    expect(run.trainer.steps).to.equal(3);
    const resumed = restoreRun(parts, corpusOf, 0);
    expect(resumed.trainer.steps).to.equal(3);
    expect(await continueRun(resumed, options)).to.equal("finished");
    const [a, b] = [whole, parts].map((path) => readFileSync(lastFile(path)));
    expect(b.equals(a)).to.equal(true);
    const losses = [whole, parts].map((path) => readFileSync(join(path, "metrics.jsonl"), "utf8").replace(/"seconds":[^,]+,/g, ""));
    expect(losses[1]).to.equal(losses[0]);
  });

  it("keeps a model that scores as it did when it was saved", async () => {
    const corpus = corpusOf(config);
    const run = newRun(folder, config, corpus);
    await continueRun(run, options);
    const saved = loadCheckpoint(modelFile(folder));
    const windows = validationWindows(corpus, { length: config.training.length }).slice(0, 4);
    const score = async (model: typeof run.trainer.model): Promise<number> =>
      (await evaluateModel(model, windows, { batch: 4, languages: 2 })).bits;
    expect(saved.step).to.equal(run.best?.step);
    if (saved.step === run.trainer.steps)
      expect(await score(restoreModel(modelFile(folder), saved))).to.equal(await score(run.trainer.model));
    expect(await score(restoreModel(modelFile(folder), saved))).to.equal(
      await score(restoreModel(modelFile(folder), loadCheckpoint(modelFile(folder)))),
    );
  });

  it("starts afresh where another run has been, though it ends before its first validation", async () => {
    await continueRun(newRun(folder, config, corpusOf(config)), options);
    expect([lastFile, modelFile].map((file) => existsSync(file(folder)))).to.deep.equal([true, true]);
    const other = { ...config, model: { ...config.model, width: 4 } };
    const run = newRun(folder, other, corpusOf(other));
    expect([lastFile, modelFile].map((file) => existsSync(file(folder)))).to.deep.equal([false, false]);
    await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 1 });
    expect(bestModel(run)).to.equal(run.trainer.model);
    expect(openModel(folder).checkpoint).to.have.property("step", 1);
  });

  it("validates when its time is up, so that there is a model to use", async () => {
    const endless = { ...config, training: { ...config.training, steps: 1e6 } };
    const run = newRun(folder, endless, corpusOf(endless));
    expect(await continueRun(run, { ...options, every: 1e6, seconds: 0.1 })).to.equal("time");
    expect(run.measurements.map(({ step }) => step)).to.deep.equal([run.trainer.steps]);
    expect(loadCheckpoint(modelFile(folder)).step).to.equal(run.trainer.steps);
  });

  it("says in one line what cannot be written, and leaves nothing half written", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const made = (path: string) => () => newRun(path, config, corpusOf(config));
    expect(made(file)).to.throw(UserError, /config\.json cannot be written: not a directory|file already exists/);
    mkdirSync(join(folder, "run", "config.json"), { recursive: true });
    expect(made(join(folder, "run"))).to.throw(UserError, /config\.json cannot be written: (illegal operation on|is) a directory/);
    expect(readdirSync(join(folder, "run"))).to.deep.equal(["config.json"]);
  });

  it("says in one line what is wrong with a file", async () => {
    await continueRun(newRun(folder, config, corpusOf(config)), options);
    const file = lastFile(folder);
    truncateSync(file, readFileSync(file).length - 100);
    expect(() => loadCheckpoint(file)).to.throw(/damaged or no checkpoint: .*truncated/);
    writeFileSync(file, "no checkpoint");
    expect(() => loadCheckpoint(file)).to.throw(/damaged or no checkpoint/);
    expect(() => loadCheckpoint(join(folder, "nothing"))).to.throw(/cannot be read: no such file/);
  });

  it("stops at a loss that is not finite, names the first operation and keeps the last good checkpoint", async () => {
    const wild = { ...config, training: { ...config.training, lr: 1e30, clip: 1e30, steps: 40, warmup: 0 } };
    const error = await continueRun(newRun(folder, wild, corpusOf(wild)), { ...options, every: 1 }).catch((thrown: unknown) => thrown);
    expect(error).to.be.an("error").with.property("message").matches(/^step \d+: the loss is (NaN|-?Infinity); first: \w+: made (NaN|Infinity) out of .*last good checkpoint is .*step \d+/); // prettier-ignore
    const kept = loadCheckpoint(lastFile(folder));
    expect([...(await kept.weights.get("head.weight")!.data())].every((x) => !Number.isNaN(x))).to.equal(true);
  });
});
