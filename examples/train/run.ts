/**
 * One training run and its folder: runs/NAME holds last.safetensors (to go on with), model.safetensors (the best on held-out text),
 * config.json and metrics.jsonl. Interrupting saves; numbers that are not finite stop the run and are traced to their first operation.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Module } from "switchyard-moe/nn";
import type { Checkpoint, RunConfig } from "./checkpoint.ts";
import { loadCheckpoint, notFinite, restoreModel, saveCheckpoint } from "./checkpoint.ts";
import { firstFault } from "./faults.ts";
import { writeAtomically } from "./files.ts";
import { configFile, lastFile, metricsFile, modelFile } from "./folders.ts";
import { appendMeasurement, readMeasurements } from "./metrics.ts";
import type { Measurement } from "./metrics.ts";
import type { Screen } from "./progress.ts";
import { ProgressLine } from "./progress.ts";
import type { Task } from "./task.ts";
import type { StepReport } from "./training.ts";
import { Trainer } from "./training.ts";
import { UserError } from "./userError.ts";

/** What a configuration stands for, loaded. */
export interface Job<M extends Module> {
  readonly task: Task<M>;
  /** A new model. */
  readonly build: () => M;
  /** Gives a new model the weights that it begins with, where they are not those of `build`. */
  readonly begin?: (model: M) => void;
  /** SHA-256 of what is learned from. */
  readonly fingerprint: string;
}

export interface Run<M extends Module> {
  readonly folder: string;
  readonly config: RunConfig;
  readonly job: Job<M>;
  readonly trainer: Trainer<M>;
  readonly measurements: Measurement[];
  /** The best validation so far; null before the first. */
  best: { readonly step: number; readonly bits: number } | null;
  /** Of training so far; after a restart, of what was recorded. */
  seconds: number;
  /** What a person should know of the folder that it was restored from. */
  readonly notes: readonly string[];
}

/** A run in a folder that is its own: see `claimFolder`. */
export function newRun<M extends Module>(folder: string, config: RunConfig, job: Job<M>): Run<M> {
  const inside = existsSync(folder) ? readdirSync(folder) : [];
  if (inside.length > 0)
    throw new UserError(`${folder}: a run wants a folder of its own, and this one holds ${inside.slice(0, 3).join(", ")}`);
  const trainer = newTrainer(job, config);
  writeAtomically(configFile(folder), `${JSON.stringify(config, null, 2)}\n`);
  writeAtomically(metricsFile(folder), "");
  return { folder, config, job, trainer, measurements: [], best: null, seconds: 0, notes: [] };
}

function newTrainer<M extends Module>(job: Job<M>, { training }: RunConfig): Trainer<M> {
  const model = job.build();
  job.begin?.(model);
  return new Trainer(model, job.task, training);
}

/** What `resume` may change of a run; 0: as it was. */
export interface Change {
  readonly steps: number;
  readonly seconds: number;
  readonly every: number;
}

/** A run as it was when last saved. A UserError where its data has changed since. */
export function restoreRun<M extends Module>(folder: string, jobOf: (config: RunConfig) => Job<M>, change: Change): Run<M> {
  const path = lastFile(folder);
  const saved = loadCheckpoint(path);
  const config = changed(saved, change);
  const job = jobOf(config);
  if (job.fingerprint !== saved.fingerprint)
    throw new UserError(
      `${path}: what it learned from has changed since it was saved (SHA-256 ${saved.fingerprint.slice(0, 12)} then, ${job.fingerprint.slice(0, 12)} now); its held-out scores would be of two texts. Start a new run, or bring the old text back`,
    );
  removeUnfinished(folder);
  const { kept, note } = readMeasurements(folder, saved.step);
  return {
    folder,
    config,
    job,
    trainer: restoredTrainer(path, saved, job, config),
    measurements: kept,
    best: existsSync(modelFile(folder)) ? bestOf(loadCheckpoint(modelFile(folder))) : null,
    seconds: kept.at(-1)?.seconds ?? 0,
    notes: note ? [note] : [],
  };
}

function changed({ config, step }: Checkpoint, { steps, seconds, every }: Change): RunConfig {
  if (steps > 0 && steps < step) {
    const taken = `the run has taken ${step} steps already`;
    throw new UserError(`resume: --steps ${steps}: ${taken}; name more, or none to keep its own ${config.training.steps}`);
  }
  return {
    ...config,
    training: {
      ...config.training,
      steps: steps || config.training.steps,
      every: every || config.training.every,
      seconds: seconds || config.training.seconds,
    },
  };
}

/** Files that a killed process had begun to write. */
function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder))
    if (/^(last|model)\.safetensors\.\d+\.tmp$/.test(name)) rmSync(join(folder, name), { force: true });
}

function restoredTrainer<M extends Module>(path: string, saved: Checkpoint, job: Job<M>, { training }: RunConfig): Trainer<M> {
  const trainer = new Trainer(restoreModel(path, saved, job.build), job.task, training);
  if (!saved.optimizer) throw new UserError(`${path} holds weights only and cannot be trained on`);
  trainer.optimizer.load(saved.optimizer);
  return trainer;
}

function bestOf({ step, bits }: Checkpoint): Run<Module>["best"] {
  return bits === null ? null : { step, bits };
}

export interface RunOptions {
  readonly screen: Screen;
  /** Whether to stop, asked before each step: Ctrl-C. */
  readonly interrupted?: () => boolean;
}

export type RunOutcome = "finished" | "time" | "interrupted";

/** Trains to the end, or until time is up or someone interrupts. Saves in any case. */
export async function continueRun<M extends Module>(run: Run<M>, { screen, interrupted }: RunOptions): Promise<RunOutcome> {
  const { trainer, config } = run;
  const line = new ProgressLine(screen);
  const clock = new Clock(run);
  const outcome = (): RunOutcome | null => {
    if (trainer.steps >= config.training.steps) return "finished";
    if (interrupted?.()) return "interrupted";
    return config.training.seconds > 0 && run.seconds >= config.training.seconds ? "time" : null;
  };
  let unrecorded: StepReport | null = null;
  while (outcome() === null) {
    const report = await trainer.step();
    clock.tick();
    if (!Number.isFinite(report.loss)) await explain(run, `step ${report.step}: the loss is ${report.loss}`);
    if (!Number.isFinite(report.gradNorm)) await explain(run, `step ${report.step}: the norm of the gradient is ${report.gradNorm}`);
    line.show(progressOf(report, run, clock.perStep));
    unrecorded = report;
    if (report.step % config.training.every !== 0 && report.step !== config.training.steps) continue;
    await record(run, report, line);
    clock.tick();
    unrecorded = null;
  }
  line.end();
  const ended = outcome() ?? "finished";
  if (ended === "time" && unrecorded) await record(run, unrecorded, line);
  await save(run);
  return ended;
}

/** Adds to the seconds of a run, those of earlier sessions included. */
class Clock<M extends Module> {
  readonly #run: Run<M>;
  readonly #start = performance.now();
  readonly #before: number;
  readonly #stepsBefore: number;

  constructor(run: Run<M>) {
    this.#run = run;
    this.#before = run.seconds;
    this.#stepsBefore = run.trainer.steps;
  }

  tick(): void {
    this.#run.seconds = this.#before + (performance.now() - this.#start) / 1000;
  }

  /** Seconds per step of this session. */
  get perStep(): number {
    return (this.#run.seconds - this.#before) / (this.#run.trainer.steps - this.#stepsBefore);
  }
}

function progressOf<M extends Module>(report: StepReport, { config: { training }, job: { task } }: Run<M>, perStep: number) {
  return {
    step: report.step,
    steps: training.steps,
    loss: Object.values(report.auxiliary).reduce((sum, auxiliary) => sum + auxiliary, report.loss),
    bits: report.loss / Math.LN2,
    unit: task.unit,
    tokensPerSecond: (task.tokens * training.accumulate) / perStep,
    secondsLeft: perStep * (training.steps - report.step),
    dropped: report.dropped,
    load: report.load,
  };
}

/** Validates, keeps the best model, and writes a line of metrics. */
async function record<M extends Module>(run: Run<M>, report: StepReport, line: ProgressLine): Promise<void> {
  const bits = await run.job.task.validate(run.trainer.model);
  const known = Number.isFinite(bits);
  if (!known) line.note(`step ${report.step}: the held-out loss is ${bits}, so this model is not kept as the best`);
  const measurement = {
    step: report.step,
    seconds: run.seconds,
    training: report.loss / Math.LN2,
    validation: known ? bits : null,
    dropped: report.dropped,
    layers: report.layers,
  };
  await save(run);
  run.measurements.push(measurement);
  appendMeasurement(run.folder, measurement);
  if (!known || (run.best && bits >= run.best.bits)) return;
  run.best = { step: report.step, bits };
  await saveCheckpoint(modelFile(run.folder), { ...stateOf(run), optimizer: null });
}

function stateOf<M extends Module>({ config, job, trainer, best }: Run<M>): Checkpoint {
  return {
    config,
    step: trainer.steps,
    weights: trainer.model.state(),
    optimizer: trainer.optimizer.state(),
    bits: best?.bits ?? null,
    fingerprint: job.fingerprint,
  };
}

/** Saves what can be trained on; what is not finite cannot, and stops the run. */
async function save<M extends Module>(run: Run<M>): Promise<void> {
  const state = stateOf(run);
  const bad = await notFinite(new Map([...state.weights, ...(state.optimizer?.tensors ?? [])]));
  if (bad.length > 0) {
    const shown = bad.slice(0, 3).join(", ") + (bad.length > 3 ? ` and ${bad.length - 3} more` : "");
    await explain(run, `after step ${state.step}: not finite: ${shown}`);
  }
  await saveCheckpoint(lastFile(run.folder), state);
}

/** The best model of a run, or the one in training where none was validated. */
export function bestModel<M extends Module>({ folder, job, trainer }: Run<M>): M {
  const path = modelFile(folder);
  return existsSync(path) ? restoreModel(path, loadCheckpoint(path), job.build) : trainer.model;
}

/** Stops a run whose numbers are not finite any more, with the operation that made the first of them and what is left to go on with. */
async function explain<M extends Module>(run: Run<M>, what: string): Promise<never> {
  const kept = existsSync(lastFile(run.folder)) ? loadCheckpoint(lastFile(run.folder)) : null;
  const { job, config } = run;
  const again = (): Trainer<M> => (kept ? restoredTrainer(lastFile(run.folder), kept, job, config) : newTrainer(job, config));
  const saved = kept ? `the last good checkpoint is ${lastFile(run.folder)} (step ${kept.step})` : "no checkpoint had been saved";
  throw new UserError(`${what}; ${await firstFault(again, run.trainer.steps)}; ${saved}`);
}
