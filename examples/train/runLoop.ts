/**
 * The loop of a training run: steps, measurements, checkpoints. Numbers that are not finite stop the run and are traced to their first
 * operation.
 */
import { existsSync, rmSync } from "node:fs";
import type { Module } from "switchyard-moe/nn";
import type { Checkpoint } from "./checkpoint.ts";
import { loadCheckpoint, notFinite, openCheckpoint, restoreModel, saveCheckpoint, saveSharded } from "./checkpoint.ts";
import { firstFault } from "./faults.ts";
import { lastFile, lastSharded, lastWhole, modelFile } from "./folders.ts";
import { appendMeasurement } from "./metrics.ts";
import type { Screen } from "./progress.ts";
import { ProgressLine } from "./progress.ts";
import { newTrainer, restoredTrainer } from "./run.ts";
import type { Run } from "./run.ts";
import type { StepReport, Trainer } from "./training.ts";
import { UserError } from "./userError.ts";

/** Options of `continueRun`. */
export interface RunOptions {
  readonly screen: Screen;
  /** Whether to stop, asked before each step: Ctrl-C. */
  readonly interrupted?: () => boolean;
}

/** Why a run ends; where processes differ, the first of these that one of them has. */
const outcomes = ["interrupted", "time", "finished"] as const;
export type RunOutcome = (typeof outcomes)[number];

/** Trains to the last step, until the time is up, or until it is interrupted. Saves in any case. */
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

/** The shard, and the process, whose loss is not finite. */
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

/** Saves the run. Stops it where a weight or the optimiser's state is not finite: such a checkpoint could not be trained on. */
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

/** The names of the tensors of all processes as text; "" where there are none. */
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

/**
 * Stops a run whose numbers are not finite: the error names the operation that made the first of them, and the checkpoint to continue from.
 */
async function explain<M extends Module>(run: Run<M>, what: string): Promise<never> {
  const { folder, job, config, processes, trainer } = run;
  const kept = existsSync(lastFile(folder)) ? openCheckpoint(lastFile(folder)) : null;
  const again = (): Trainer<M> => (kept ? restoredTrainer(lastFile(folder), kept, job, config, null) : newTrainer(job, config, null));
  const saved = kept ? `the last good checkpoint is ${lastFile(folder)} (step ${kept.step})` : "no checkpoint had been saved";
  const first = processes ? "taken again in one process, it names the operation" : await firstFault(again, trainer.steps);
  throw new UserError(`${what}; ${first}; ${saved}`);
}
