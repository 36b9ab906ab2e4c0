/**
 * One training run and its folder: runs/NAME holds last.safetensors (to go on with), model.safetensors (the best on held-out text),
 * config.json and metrics.jsonl. Interrupting saves; a loss that is not finite stops the run and is traced to its first operation.
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { debug, defaultBackend, key } from "switchyard-moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import type { Checkpoint, RunConfig } from "./checkpoint.ts";
import { attempt, loadCheckpoint, restoreModel, saveCheckpoint, writeAtomically } from "./checkpoint.ts";
import { evaluateModel } from "./evaluation.ts";
import { buildModel } from "./model.ts";
import type { Screen } from "./progress.ts";
import { ProgressLine } from "./progress.ts";
import type { Sequence } from "./sequences.ts";
import { spread, validationWindows } from "./sequences.ts";
import type { Corpus } from "./text.ts";
import type { StepReport } from "./training.ts";
import { Trainer } from "./training.ts";
import { UserError, reason } from "./userError.ts";

/** One line of metrics.jsonl. */
export interface Measurement {
  readonly step: number;
  readonly seconds: number;
  /** Bits per byte of the step's batch, and of the held-out text where it was measured. */
  readonly training: number;
  readonly validation: number | null;
  readonly dropped: number;
  /** Tokens of each expert in each sparse layer, of the step's batch. */
  readonly layers: readonly (readonly number[])[];
}

export interface Run {
  readonly folder: string;
  readonly config: RunConfig;
  readonly corpus: Corpus;
  readonly trainer: Trainer;
  readonly measurements: Measurement[];
  /** Bits per byte of the best validation so far; null before the first. */
  best: { readonly step: number; readonly bits: number } | null;
}

export const lastFile = (folder: string): string => join(folder, "last.safetensors");
export const modelFile = (folder: string): string => join(folder, "model.safetensors");
export const reportFile = (folder: string): string => join(folder, "report.html");

/** A run in an empty folder, or in place of the one that was there: what that one left must not be taken for this one's. */
export function newRun(folder: string, config: RunConfig, corpus: Corpus): Run {
  const model = buildModel(config.model, key(config.training.seed).at("init"));
  writeAtomically(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  for (const path of [lastFile(folder), modelFile(folder), reportFile(folder)]) rmSync(path, { force: true });
  writeAtomically(join(folder, "metrics.jsonl"), "");
  return { folder, config, corpus, trainer: new Trainer(model, corpus, config.training), measurements: [], best: null };
}

/** A run as it was when last saved. */
export function restoreRun(folder: string, corpusOf: (config: RunConfig) => Corpus, steps: number): Run {
  const saved = loadCheckpoint(lastFile(folder));
  const training = { ...saved.config.training, steps: steps || saved.config.training.steps };
  const config = { ...saved.config, training };
  const corpus = corpusOf(config);
  const run = {
    folder,
    config,
    corpus,
    trainer: restoredTrainer(folder, saved, corpus, config),
    measurements: readMeasurements(folder, saved.step),
    best: null,
  };
  return { ...run, best: existsSync(modelFile(folder)) ? bestOf(loadCheckpoint(modelFile(folder))) : null };
}

function restoredTrainer(folder: string, saved: Checkpoint, corpus: Corpus, { training }: RunConfig): Trainer {
  const trainer = new Trainer(restoreModel(lastFile(folder), saved), corpus, training);
  if (!saved.optimizer) throw new UserError(`${lastFile(folder)} holds weights only and cannot be trained on`);
  trainer.optimizer.load(saved.optimizer);
  return trainer;
}

function bestOf({ step, bits }: Checkpoint): Run["best"] {
  return bits === null ? null : { step, bits };
}

/** What was measured up to a step; lines after it belong to steps that will be taken again. */
function readMeasurements(folder: string, step: number): Measurement[] {
  const path = join(folder, "metrics.jsonl");
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  const kept = lines.map((line) => JSON.parse(line) as Measurement).filter((measurement) => measurement.step <= step);
  writeAtomically(path, kept.map((measurement) => `${JSON.stringify(measurement)}\n`).join(""));
  return kept;
}

export interface RunOptions {
  /** Steps between validations, checkpoints and lines of metrics. */
  readonly every: number;
  /** Stop after this time; 0: only the steps count. */
  readonly seconds: number;
  readonly screen: Screen;
  /** Whether to stop, asked before each step: Ctrl-C. */
  readonly interrupted?: () => boolean;
}

/** Trains to the end, or until time is up or someone interrupts. Saves in any case. */
export async function continueRun(run: Run, options: RunOptions): Promise<"finished" | "time" | "interrupted"> {
  const { trainer, config } = run;
  const line = new ProgressLine(options.screen);
  const windows = spread(validationWindows(run.corpus, { length: config.training.length }), QUICK_WINDOWS);
  const before = run.measurements.at(-1)?.seconds ?? 0;
  const start = performance.now();
  const first = trainer.steps;
  const seconds = (): number => (performance.now() - start) / 1000;
  let outcome: "finished" | "time" | "interrupted" = "finished";
  let unrecorded: StepReport | null = null;
  while (trainer.steps < config.training.steps) {
    if (options.interrupted?.()) outcome = "interrupted";
    else if (options.seconds > 0 && seconds() >= options.seconds) outcome = "time";
    if (outcome !== "finished") break;
    const report = await trainer.step()();
    if (!Number.isFinite(report.loss)) await explain(run, report);
    line.show(progressOf(report, config, trainer.steps - first, seconds()));
    unrecorded = report;
    if (report.step % options.every !== 0 && report.step !== config.training.steps) continue;
    await record(run, report, windows, before + seconds());
    unrecorded = null;
  }
  line.end();
  if (outcome === "time" && unrecorded) await record(run, unrecorded, windows, before + seconds());
  await save(run);
  return outcome;
}

/** Windows that a validation during training looks at; the last one looks at all. */
const QUICK_WINDOWS = 256;

function progressOf(report: StepReport, { training }: RunConfig, taken: number, seconds: number) {
  const bytes = training.batch * training.length * training.accumulate;
  const total = Object.values(report.auxiliary).reduce((sum, auxiliary) => sum + auxiliary, report.loss);
  return {
    step: report.step,
    steps: training.steps,
    loss: total,
    bitsPerByte: report.loss / Math.LN2,
    tokensPerSecond: (taken * bytes) / seconds,
    secondsLeft: (seconds / taken) * (training.steps - report.step),
    dropped: report.dropped,
    load: report.load,
  };
}

/** Validates, keeps the best model, and writes a line of metrics. */
async function record(run: Run, report: StepReport, windows: readonly Sequence[], seconds: number): Promise<void> {
  const { bits } = await evaluateModel(run.trainer.model, windows, {
    batch: run.config.training.batch,
    languages: run.corpus.classes.length,
  });
  const measurement = {
    step: report.step,
    seconds,
    training: report.loss / Math.LN2,
    validation: bits,
    dropped: report.dropped,
    layers: report.layers,
  };
  run.measurements.push(measurement);
  const path = join(run.folder, "metrics.jsonl");
  attempt(path, "cannot be written", () => appendFileSync(path, `${JSON.stringify(measurement)}\n`));
  if (!run.best || bits < run.best.bits) {
    run.best = { step: report.step, bits };
    await saveCheckpoint(modelFile(run.folder), { ...stateOf(run), optimizer: null });
  }
  await save(run);
}

function stateOf({ config, trainer, best }: Run): Checkpoint {
  return { config, step: trainer.steps, weights: trainer.model.state(), optimizer: trainer.optimizer.state(), bits: best?.bits ?? null };
}

async function save(run: Run): Promise<void> {
  await saveCheckpoint(lastFile(run.folder), stateOf(run));
}

/** The best model of a run, or the one in training where none was validated. */
export function bestModel(run: Run): DecoderLanguageModel {
  const path = modelFile(run.folder);
  return existsSync(path) ? restoreModel(path, loadCheckpoint(path)) : run.trainer.model;
}

/**
 * A loss that is not finite: goes back to the last good checkpoint, takes the same steps again (they are a pure function of seed and
 * number) and runs the failing one in debug mode, which names the first operation that made NaN or an infinity.
 */
async function explain(run: Run, { step, loss }: StepReport): Promise<never> {
  const kept = existsSync(lastFile(run.folder)) ? loadCheckpoint(lastFile(run.folder)) : null;
  const saved = kept ? `the last good checkpoint is ${lastFile(run.folder)} (step ${kept.step})` : "no checkpoint had been saved";
  throw new UserError(`step ${step}: the loss is ${loss}; ${firstFault(run, kept, step)}; ${saved}`);
}

function firstFault(run: Run, kept: Checkpoint | null, step: number): string {
  if (!defaultBackend().downloadSync) return "run it again with --backend cpu to name the operation";
  const trainer = kept
    ? restoredTrainer(run.folder, kept, run.corpus, run.config)
    : new Trainer(buildModel(run.config.model, key(run.config.training.seed).at("init")), run.corpus, run.config.training);
  try {
    while (trainer.steps < step - 1) trainer.step();
    debug(() => trainer.step());
    return "taken again in debug mode, the step was finite";
  } catch (error) {
    return `first: ${reason(error)}`;
  }
}
