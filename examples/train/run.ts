/**
 * One training run and its folder: runs/NAME holds last.safetensors (to go on with), model.safetensors (the best on held-out text),
 * config.json and metrics.jsonl. Interrupting saves; numbers that are not finite stop the run and are traced to their first operation.
 *
 * Processes that share a run all call the same functions here. What they decide by they agree on; the first of them writes, but for the
 * folder `last`, which takes the place of last.safetensors and to which each writes its part.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Module } from "switchyard-moe/nn";
import type { Checkpoint, RunConfig } from "./checkpoint.ts";
import { loadCheckpoint, notFinite, openCheckpoint, restoreModel, saveCheckpoint, saveSharded, FOREIGN } from "./checkpoint.ts";
import type { OpenCheckpoint } from "./checkpoint.ts";
import { firstFault } from "./faults.ts";
import { attempt, writeAtomically } from "./files.ts";
import { configFile, lastFile, lastSharded, lastWhole, metricsFile, modelFile } from "./folders.ts";
import { appendMeasurement, readMeasurements } from "./metrics.ts";
import type { Measurement } from "./metrics.ts";
import type { MakeExperts } from "./model.ts";
import type { Processes } from "./processes.ts";
import type { Screen } from "./progress.ts";
import { ProgressLine } from "./progress.ts";
import type { Task } from "./task.ts";
import type { StepReport } from "./training.ts";
import { Trainer } from "./training.ts";
import { UserError } from "./userError.ts";
import type { WireReport } from "./wireAccount.ts";
import { restoreShards } from "switchyard-moe/distributed";

/** What a configuration stands for, loaded. */
export interface Job<M extends Module> {
  readonly task: Task<M>;
  /** A new model; `make` makes the experts of a process that holds some of them. */
  readonly build: (make?: MakeExperts) => M;
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
  /** Those that share it; null: nobody. */
  readonly processes: Processes | null;
  /** What crossed the wire, when training has ended. */
  wire: WireReport | null;
}

/** A run in a folder that is its own: see `claimFolder`. */
export function newRun<M extends Module>(folder: string, config: RunConfig, job: Job<M>, processes: Processes | null = null): Run<M> {
  const trainer = newTrainer(job, config, processes);
  byLead(processes, () => openFolder(folder, config));
  return { folder, config, job, trainer, measurements: [], best: null, seconds: 0, notes: [], processes, wire: null };
}

function openFolder(folder: string, config: RunConfig): null {
  const inside = existsSync(folder) ? readdirSync(folder) : [];
  if (inside.length > 0)
    throw new UserError(`${folder}: a run wants a folder of its own, and this one holds ${inside.slice(0, 3).join(", ")}`);
  writeAtomically(configFile(folder), `${JSON.stringify(config, null, 2)}\n`);
  writeAtomically(metricsFile(folder), "");
  return null;
}

/** What is done once, by the first of the processes, and answered on all of them. */
export function byLead<T>(processes: Processes | null, act: () => T): T {
  return processes ? (JSON.parse(processes.led(() => JSON.stringify(act()))) as T) : act();
}

function newTrainer<M extends Module>(job: Job<M>, { training }: RunConfig, processes: Processes | null): Trainer<M> {
  const model = job.build(processes?.makeExperts);
  job.begin?.(model);
  return trainerOf(model, job, training, processes);
}

function trainerOf<M extends Module>(model: M, { task }: Job<M>, training: RunConfig["training"], processes: Processes | null): Trainer<M> {
  if ((training.shards ?? 1) > 1 && !task.cutsBatches)
    throw new UserError(`--shards ${training.shards}: this task cannot be cut into shards`);
  return new Trainer(model, task, training, processes?.strategyOf(model, training));
}

/** What `resume` may change of a run; 0, and what is absent: as it was. */
export interface Change {
  readonly steps: number;
  readonly seconds: number;
  readonly every: number;
  readonly sharing?: RunConfig["sharing"];
  readonly shards?: number;
}

/** A run as it was when last saved. A UserError where its data has changed since. */
export function restoreRun<M extends Module>(
  folder: string,
  jobOf: (config: RunConfig) => Job<M>,
  change: Change,
  processes: Processes | null = null,
): Run<M> {
  const path = lastFile(folder);
  const saved = openCheckpoint(path);
  const config = changed(saved, change);
  const job = jobOf(config);
  if (job.fingerprint !== saved.fingerprint)
    throw new UserError(
      `${path}: what it learned from has changed since it was saved (SHA-256 ${saved.fingerprint.slice(0, 12)} then, ${job.fingerprint.slice(0, 12)} now); its held-out scores would be of two texts. Start a new run, or bring the old text back`,
    );
  const trainer = restoredTrainer(path, saved, job, config, processes);
  const { kept, note, best } = byLead(processes, () => {
    removeUnfinished(folder);
    const found = existsSync(modelFile(folder)) ? bestOf(openCheckpoint(modelFile(folder))) : null;
    return { ...readMeasurements(folder, saved.step), best: found };
  });
  return {
    folder,
    config,
    job,
    trainer,
    measurements: kept,
    best,
    seconds: kept.at(-1)?.seconds ?? 0,
    notes: note ? [note] : [],
    processes,
    wire: null,
  };
}

function changed({ config, step }: OpenCheckpoint, change: Change): RunConfig {
  const { steps, seconds, every, sharing = config.sharing, shards = config.training.shards } = change;
  if (steps > 0 && steps < step) {
    const taken = `the run has taken ${step} steps already`;
    throw new UserError(`resume: --steps ${steps}: ${taken}; name more, or none to keep its own ${config.training.steps}`);
  }
  return {
    ...config,
    ...(sharing && { sharing }),
    training: {
      ...config.training,
      ...(shards !== undefined && { shards }),
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

function restoredTrainer<M extends Module>(
  path: string,
  { source }: OpenCheckpoint,
  job: Job<M>,
  config: RunConfig,
  processes: Processes | null,
): Trainer<M> {
  if (processes) {
    const trainer = newTrainer(job, config, processes);
    attempt(path, FOREIGN, () => restoreShards(source, trainer.model, processes.replicas, trainer.optimizer));
    return trainer;
  }
  const saved = loadCheckpoint(path);
  const trainer = trainerOf(restoreModel(path, saved, job.build), job, config.training, null);
  if (!saved.optimizer) throw new UserError(`${path} holds weights only and cannot be trained on`);
  trainer.optimizer.load(saved.optimizer);
  return trainer;
}

function bestOf({ step, bits }: OpenCheckpoint): Run<Module>["best"] {
  return bits === null ? null : { step, bits };
}

export interface RunOptions {
  readonly screen: Screen;
  /** Whether to stop, asked before each step: Ctrl-C. */
  readonly interrupted?: () => boolean;
}

/** Why a run ends; where processes differ, the first of these that one of them has. */
const outcomes = ["interrupted", "time", "finished"] as const;
export type RunOutcome = (typeof outcomes)[number];

/** Trains to the end, or until time is up or someone interrupts. Saves in any case. */
export async function continueRun<M extends Module>(run: Run<M>, { screen, interrupted }: RunOptions): Promise<RunOutcome> {
  const { trainer, config } = run;
  const line = new ProgressLine(screen);
  const clock = new Clock(run);
  const own = (): RunOutcome | null => {
    if (trainer.steps >= config.training.steps) return "finished";
    if (interrupted?.()) return "interrupted";
    return config.training.seconds > 0 && run.seconds >= config.training.seconds ? "time" : null;
  };
  let unrecorded: StepReport | null = null;
  let ended = agreed(run, own());
  for (; ended === null; ended = agreed(run, own())) {
    const report = await trainer.step();
    clock.tick();
    if (!Number.isFinite(report.loss)) await explain(run, `step ${report.step}: the loss is ${report.loss}${whose(run, report)}`);
    if (!Number.isFinite(report.gradNorm)) await explain(run, `step ${report.step}: the norm of the gradient is ${report.gradNorm}`);
    line.show(progressOf(report, run, clock.perStep));
    unrecorded = report;
    if (report.step % config.training.every !== 0 && report.step !== config.training.steps) continue;
    await record(run, report, line);
    clock.tick();
    unrecorded = null;
  }
  line.end();
  if (ended === "time" && unrecorded) await record(run, unrecorded, line);
  await save(run);
  run.wire = run.processes?.wire.report() ?? null;
  return ended;
}

/** The outcome of all processes: each has its own clock, and a signal may reach one of them alone. */
function agreed<M extends Module>({ processes }: Run<M>, own: RunOutcome | null): RunOutcome | null {
  if (!processes) return own;
  const rank = own === null ? 0 : outcomes.length - outcomes.indexOf(own);
  const most = processes.agree(rank);
  return most === 0 ? null : outcomes[outcomes.length - most];
}

/** Whose loss it was that is not finite. */
function whose<M extends Module>({ processes }: Run<M>, { shards }: StepReport): string {
  if (!processes) return "";
  const shard = shards.findIndex((loss) => !Number.isFinite(loss));
  return `, of shard ${shard} (process ${Math.floor((shard * processes.size) / shards.length)})`;
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
  const bits = await run.job.task.validate(run.trainer.model, run.processes ?? undefined);
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
  const leads = run.processes?.leads ?? true;
  if (leads) appendMeasurement(run.folder, measurement);
  if (!known || (run.best && bits >= run.best.bits)) return;
  run.best = { step: report.step, bits };
  const { weights, ...rest } = stateOf(run);
  const whole = run.processes?.whole(weights) ?? weights;
  if (leads) await saveCheckpoint(modelFile(run.folder), { ...rest, weights: whole, optimizer: null });
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
  const { folder, processes, trainer } = run;
  const state = stateOf(run);
  const bad = faultsOf(run, await notFinite(new Map([...state.weights, ...(state.optimizer?.tensors ?? [])])));
  if (bad !== "") await explain(run, `after step ${state.step}: not finite: ${bad}`);
  const other = processes ? lastWhole(folder) : lastSharded(folder); // of a layout that the run had before
  if (processes) await saveSharded(lastSharded(folder), state, trainer.model, processes);
  else await saveCheckpoint(lastWhole(folder), state);
  if (processes?.leads ?? true) rmSync(other, { recursive: true, force: true });
}

/** Names of tensors in words, those of all processes; "" where no process has any. */
function faultsOf<M extends Module>({ processes }: Run<M>, bad: readonly string[]): string {
  const shown = bad.slice(0, 3).join(", ") + (bad.length > 3 ? ` and ${bad.length - 3} more` : "");
  if (!processes) return shown;
  const all = processes.texts(shown).flatMap((text, rank) => (text === "" ? [] : [`${text} (process ${rank})`]));
  return all.join("; ");
}

/** The best model of a run, or the one in training where none was validated. */
export function bestModel<M extends Module>({ folder, job, trainer, processes }: Run<M>): M {
  const read = (path: string): M => restoreModel(path, loadCheckpoint(path), job.build);
  if (existsSync(modelFile(folder))) return read(modelFile(folder));
  return processes ? read(lastFile(folder)) : trainer.model; // a process may hold some of the experts only
}

/** Stops a run whose numbers are not finite any more, with the operation that made the first of them and what is left to go on with. */
async function explain<M extends Module>(run: Run<M>, what: string): Promise<never> {
  const { folder, job, config, processes, trainer } = run;
  const kept = existsSync(lastFile(folder)) ? openCheckpoint(lastFile(folder)) : null;
  const again = (): Trainer<M> => (kept ? restoredTrainer(lastFile(folder), kept, job, config, null) : newTrainer(job, config, null));
  const saved = kept ? `the last good checkpoint is ${lastFile(folder)} (step ${kept.step})` : "no checkpoint had been saved";
  const first = processes ? "taken again in one process, it names the operation" : await firstFault(again, trainer.steps);
  throw new UserError(`${what}; ${first}; ${saved}`);
}
