/** A run is a pure function of its configuration: interrupted and resumed it is the same, bit for bit, and nothing of it is lost. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { tensor } from "switchyard-moe";
import type { RunConfig } from "../../examples/train/checkpoint.ts";
import { configOfCheckpoint, loadCheckpoint, notFinite, restoreModel } from "../../examples/train/checkpoint.ts";
import { evaluateModel } from "../../examples/train/evaluation.ts";
import { lastFile, metricsFile, modelFile } from "../../examples/train/folders.ts";
import { openModel } from "../../examples/train/generateText.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import type { RunOptions } from "../../examples/train/runLoop.ts";
import { newRun, restoreRun } from "../../examples/train/run.ts";
import { bestModel, continueRun } from "../../examples/train/runLoop.ts";
import { validationWindows } from "../../examples/train/sequences.ts";
import { configOf } from "../../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";
import { UserError } from "../../examples/train/userError.ts";

const options: RunOptions = { screen: { write: (): boolean => true } };
const config = configOf({
  ...trainDefaults(),
  languages: "eng,ell",
  steps: 6,
  every: 2,
  width: 8,
  heads: 2,
  hidden: 16,
  experts: 3,
  length: 16,
  batch: 4,
  warmup: 2,
});
const corpus = corpusOf({ languages: "eng,ell" });
const jobOf = (one: RunConfig) => languageJob(one, corpus);
const job = jobOf(config);
const unchanged = { steps: 0, seconds: 0, every: 0 };
const withTraining = (change: Partial<RunConfig["training"]>): RunConfig => ({ ...config, training: { ...config.training, ...change } });
const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: Error) => error.message,
  );

describe("a training run", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-run-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is the same bit for bit when interrupted and resumed", async () => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    await continueRun(newRun(whole, config, job), options);
    const run = newRun(parts, config, job);
    expect(await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 3 })).to.equal("interrupted");
    const resumed = restoreRun(parts, jobOf, unchanged);
    expect(resumed.trainer.steps).to.equal(3);
    expect(await continueRun(resumed, options)).to.equal("finished");
    const [a, b] = [whole, parts].map((path) => readFileSync(lastFile(path)));
    expect(b.equals(a)).to.equal(true);
    const losses = [whole, parts].map((path) => readFileSync(metricsFile(path), "utf8").replace(/"seconds":[^,]+,/g, ""));
    expect(losses[1]).to.equal(losses[0]);
  });

  it("keeps a model that scores as it did when it was saved", async () => {
    const run = newRun(folder, config, job);
    await continueRun(run, options);
    const saved = loadCheckpoint(modelFile(folder));
    const windows = validationWindows(corpus, { length: config.training.length }).slice(0, 4);
    const score = async (model: typeof run.trainer.model): Promise<number> =>
      (await evaluateModel(model, windows, { batch: 4, languages: 2 })).bits;
    expect(saved.step).to.equal(run.best?.step);
    const again = restoreModel(modelFile(folder), saved, job.build);
    if (saved.step === run.trainer.steps) expect(await score(again)).to.equal(await score(run.trainer.model));
    expect(await score(again)).to.equal(await score(restoreModel(modelFile(folder), loadCheckpoint(modelFile(folder)), job.build)));
  });

  it("refuses a folder that holds anything", async () => {
    await continueRun(newRun(folder, config, job), options);
    const before = readFileSync(lastFile(folder));
    expect(() => newRun(folder, config, job)).to.throw(UserError, /a run wants a folder of its own, and this one holds config\.json/);
    expect(readFileSync(lastFile(folder)).equals(before)).to.equal(true);
  });

  it("can be used though it ends before its first validation", async () => {
    const run = newRun(folder, config, job);
    await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 1 });
    expect(bestModel(run)).to.equal(run.trainer.model);
    expect(openModel(folder).checkpoint).to.have.property("step", 1);
  });

  it("validates when its time is up, so that there is a model to use", async () => {
    const endless = withTraining({ steps: 1e6, every: 1e6, seconds: 0.1 });
    const run = newRun(folder, endless, jobOf(endless));
    expect(await continueRun(run, options)).to.equal("time");
    expect(run.measurements.map(({ step }) => step)).to.deep.equal([run.trainer.steps]);
    expect(loadCheckpoint(modelFile(folder)).step).to.equal(run.trainer.steps);
    const resumed = restoreRun(folder, jobOf, unchanged);
    expect(await continueRun(resumed, options), "its time is used up").to.equal("time");
    expect(resumed.trainer.steps).to.equal(run.trainer.steps);
  });

  it("says in one line what cannot be written, and leaves nothing half written", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => newRun(join(file, "run"), config, job)).to.throw(UserError, /config\.json cannot be written: not a directory/);
  });

  it("says in one line what is wrong with a file", async () => {
    await continueRun(newRun(folder, config, job), options);
    const file = lastFile(folder);
    truncateSync(file, readFileSync(file).length - 100);
    expect(() => loadCheckpoint(file)).to.throw(/damaged or no checkpoint: .*truncated/);
    writeFileSync(file, "no checkpoint");
    expect(() => loadCheckpoint(file)).to.throw(/damaged or no checkpoint/);
    expect(() => configOfCheckpoint(file)).to.throw(UserError, /damaged or no checkpoint/);
    expect(() => loadCheckpoint(join(folder, "nothing"))).to.throw(/cannot be read: no such file/);
  });

  it("says what it was started with without making a tensor", async () => {
    await continueRun(newRun(folder, config, job), options);
    expect(configOfCheckpoint(lastFile(folder))).to.deep.equal(config);
  });
});

describe("a run that is resumed", () => {
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "switchyard-run-"));
    const run = newRun(folder, config, job);
    await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 4 });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("keeps its own settings unless others are given", () => {
    expect(restoreRun(folder, jobOf, unchanged).config).to.deep.equal(config);
    expect(restoreRun(folder, jobOf, { steps: 9, seconds: 3, every: 1 }).config.training).to.deep.equal({ ...config.training, steps: 9, seconds: 3, every: 1 }); // prettier-ignore
  });

  it("is not asked for fewer steps than it has taken", () => {
    expect(() => restoreRun(folder, jobOf, { ...unchanged, steps: 3 })).to.throw(UserError, "resume: --steps 3: the run has taken 4 steps already; name more, or none to keep its own 6"); // prettier-ignore
  });

  it("drops a line of metrics that was cut, and says so", () => {
    const path = metricsFile(folder);
    const whole = readFileSync(path, "utf8");
    appendFileSync(path, '{"step":4,"seconds":1.2,"trai');
    const { notes, measurements } = restoreRun(folder, jobOf, unchanged);
    expect(notes).to.deep.equal([`${path}: the last line was cut while it was written; it is dropped`]);
    expect(measurements.map(({ step }) => step)).to.deep.equal([2, 4]);
    expect(readFileSync(path, "utf8")).to.equal(whole);
  });

  it("names the line of metrics that somebody else has damaged", () => {
    const path = metricsFile(folder);
    writeFileSync(path, `not a line\n${readFileSync(path, "utf8")}`);
    expect(() => restoreRun(folder, jobOf, unchanged)).to.throw(UserError, /metrics\.jsonl, line 1 is damaged: not a line/);
  });

  it("refuses to go on when its text has changed", () => {
    const [first, ...rest] = corpus.classes;
    const document = Uint8Array.from(first.document);
    document[100] ^= 1;
    const other = { ...corpus, classes: [{ ...first, document }, ...rest] };
    expect(() => restoreRun(folder, (one) => languageJob(one, other), unchanged)).to.throw(UserError, /what it learned from has changed since it was saved/); // prettier-ignore
  });

  it("removes what a killed process had begun to write, and nothing else", () => {
    for (const name of ["last.safetensors.123.tmp", "model.safetensors.9.tmp", "notes.tmp"]) writeFileSync(join(folder, name), "half");
    restoreRun(folder, jobOf, unchanged);
    expect(readdirSync(folder)).to.have.members(["config.json", "last.safetensors", "metrics.jsonl", "model.safetensors", "notes.tmp"]);
  });
});

describe("a run whose numbers are not finite any more", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-run-"))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const wild = (lr: number, every: number) => withTraining({ lr, clip: 1e30, steps: 40, warmup: 0, every });

  it("stops, names the first operation and keeps the last good checkpoint", async () => {
    const message = await messageOf(continueRun(newRun(folder, wild(1e30, 1), job), options));
    expect(message).to.match(/^(step \d+: the (loss|norm of the gradient) is|after step \d+: not finite: ).*; first, in step \d+: .*last good checkpoint is .*step \d+/); // prettier-ignore
    expect(await notFinite(loadCheckpoint(lastFile(folder)).weights)).to.deep.equal([]);
  });

  for (const [lr, every] of [
    [1e10, 1],
    [1e25, 1],
    [1e25, 3],
    [1e38, 1],
  ])
    // prettier-ignore
    it(`keeps only finite weights and a finite best at a learning rate of ${lr}, saved every ${every}`, async () => {
      const run = newRun(folder, wild(lr, every), job);
      const message = await messageOf(continueRun(run, options));
      const kept = [lastFile(folder), modelFile(folder)].filter(existsSync);
      if (message.includes("last good checkpoint is")) expect(kept).to.include(lastFile(folder));
      for (const file of kept) expect(await notFinite(loadCheckpoint(file).weights), file).to.deep.equal([]);
      if (run.best) expect(run.best.bits).to.satisfy(Number.isFinite);
    });

  it("has its bad tensors named", async () => {
    const weights = new Map([["good", tensor([1, 2])], ["bad", tensor([1, NaN])], ["worse", tensor([[-Infinity]])], ["ids", tensor([3], { dtype: "int32" })]]); // prettier-ignore
    expect(await notFinite(weights)).to.deep.equal(["bad", "worse"]);
  });
});

describe("a disk that is full", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-run-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const full = "/dev/full"; // answers every write with ENOSPC
  (existsSync(full) ? it : it.skip)(
    "stops the run with one line; the checkpoint is whole and the run goes on when there is room",
    async () => {
      const run = newRun(folder, config, job);
      await continueRun(run, { ...options, interrupted: () => run.trainer.steps >= 2 });
      const path = metricsFile(folder);
      const lines = readFileSync(path);
      const resumed = restoreRun(folder, jobOf, unchanged);
      rmSync(path);
      symlinkSync(full, path);
      expect(await messageOf(continueRun(resumed, options))).to.match(/metrics\.jsonl cannot be written: no space left on device/);
      rmSync(path);
      writeFileSync(path, lines);
      const later = restoreRun(folder, jobOf, unchanged);
      expect(later.trainer.steps).to.equal(4);
      expect(await continueRun(later, options)).to.equal("finished");
    },
  );
});
