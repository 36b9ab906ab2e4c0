/**
 * A training run and its folder: runs/NAME holds last.safetensors (to continue from), model.safetensors (the best on held-out text),
 * config.json and metrics.jsonl. Here a run begins, or is restored from its folder; runLoop.ts trains it.
 *
 * Processes that share a run all call the same functions here, and agree on every decision. Only the first of them writes, except for the
 * folder `last`, which takes the place of last.safetensors: each process writes its part there.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Module } from "switchyard-moe/nn";
import type { RunConfig } from "./checkpoint.ts";
import { loadCheckpoint, openCheckpoint, restoreModel, FOREIGN } from "./checkpoint.ts";
import type { OpenCheckpoint } from "./checkpoint.ts";
import { attempt, writeAtomically } from "./files.ts";
import { configFile, lastFile, metricsFile, modelFile } from "./folders.ts";
import { readMeasurements } from "./metrics.ts";
import type { Measurement } from "./metrics.ts";
import type { MakeExperts } from "./layers.ts";
import type { Processes } from "./processes.ts";
import type { Task } from "./task.ts";
import { Trainer } from "./training.ts";
import { UserError } from "./userError.ts";
import type { WireReport } from "./wireAccount.ts";
import { restoreShards } from "switchyard-moe/distributed";

/** A configuration with its data and models: what a run needs. */
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
  /** Notes for the user about the folder that it was restored from. */
  readonly notes: readonly string[];
  /** The processes that share it; null: it is not shared. */
  readonly processes: Processes | null;
  /** What crossed the wire, when training has ended. */
  wire: WireReport | null;
}

/** A new run in an empty folder, which `claimFolder` makes. */
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

/** Runs `act` on the first of the processes only, and returns its result on all of them. */
export function byLead<T>(processes: Processes | null, act: () => T): T {
  return processes ? (JSON.parse(processes.led(() => JSON.stringify(act()))) as T) : act();
}

export function newTrainer<M extends Module>(job: Job<M>, { training }: RunConfig, processes: Processes | null): Trainer<M> {
  const model = job.build(processes?.makeExperts);
  job.begin?.(model);
  return trainerOf(model, job, training, processes);
}

function trainerOf<M extends Module>(model: M, { task }: Job<M>, training: RunConfig["training"], processes: Processes | null): Trainer<M> {
  if ((training.shards ?? 1) > 1 && !task.cutsBatches)
    throw new UserError(`--shards ${training.shards}: this task cannot be cut into shards`);
  return new Trainer(model, task, training, processes?.strategyOf(model, training));
}

/** What `resume` may change of a run; what is 0 or absent stays as it was. */
export interface Change {
  readonly steps: number;
  readonly seconds: number;
  readonly every: number;
  readonly sharing?: RunConfig["sharing"];
  readonly shards?: number;
}

/** A run as it was when last saved. Throws a UserError where its data has changed. */
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
      `${path}: what it learned from has changed since it was saved (SHA-256 ${saved.fingerprint.slice(0, 12)} then, ` +
        `${job.fingerprint.slice(0, 12)} now); its held-out scores would be of two texts. Start a new run, or bring the old text back`,
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

export function restoredTrainer<M extends Module>(
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
