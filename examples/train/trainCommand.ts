/** The commands that make a run or go on with one. */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { RunConfig } from "./checkpoint.ts";
import { configOfCheckpoint } from "./checkpoint.ts";
import { selected } from "./commandLine.ts";
import { backendNow, configOf } from "./configuration.ts";
import { lastFile, modelFile, newestRun } from "./folders.ts";
import { trainingOptions } from "./options.ts";
import type { Command, DistilOptions, FinetuneOptions, ResumeOptions, TrainOptions } from "./options.ts";
import { Processes } from "./processes.ts";
import { checkedShards, isShared } from "./processOptions.ts";
import type { Sharing } from "./processOptions.ts";
import { begin, goOn } from "./session.ts";
import { stepsOf } from "./short.ts";
import { UserError } from "./userError.ts";
import { withWork } from "./work.ts";

export async function train(options: TrainOptions): Promise<void> {
  const config = configOf(options);
  const processes = config.sharing ? await Processes.start(config.sharing) : null;
  await withWork(config, (work) => begin(work, config, options, processes));
}

export async function finetune(options: FinetuneOptions): Promise<void> {
  const { task, data, languages, examples, dropout, expertDropout } = options;
  const { folder, config: base } = givenRun(options.from);
  const config: RunConfig = {
    model: { ...base.model, dropout, expertDropout },
    training: { ...selected(trainingOptions, options), steps: stepsOf(options.steps), length: base.training.length },
    goal: { kind: "finetune", task: data ? "pairs" : task, text: data ? { data } : { languages }, examples, from: folder },
    backend: backendNow(),
  };
  await withWork(config, (work) => begin(work, config, options));
}

export async function distil(options: DistilOptions): Promise<void> {
  const { hard, soft, noCopy } = options;
  const { folder, config: teacher } = givenRun(options.from);
  if (teacher.goal.kind !== "text")
    throw new UserError(`--from ${folder}: only a run of "train" can teach, this one is of "${teacher.goal.kind}"`);
  const config: RunConfig = {
    model: { ...teacher.model, router: "dense" },
    training: { ...selected(trainingOptions, options), steps: stepsOf(options.steps), length: teacher.training.length },
    goal: { kind: "distil", text: teacher.goal.text, from: folder, hard, soft, copy: !noCopy },
    backend: backendNow(),
  };
  await withWork(config, (work) => begin(work, config, options));
}

/** The folder of a run that another one begins with, and what it was. */
function givenRun(from: string): { readonly folder: string; readonly config: RunConfig } {
  if (!existsSync(from)) throw new UserError(`--from ${from}: there is no such file or folder`);
  const folder = statSync(from).isDirectory() ? from : dirname(from);
  if (!existsSync(modelFile(folder)))
    throw new UserError(`--from ${from}: there is no model.safetensors in it; a run has one after its first validation`);
  return { folder, config: configOfCheckpoint(modelFile(folder)) };
}

/** The run that `resume` goes on with. */
export function resumedFolder({ from }: ResumeOptions): string {
  const folder = from || newestRun();
  if (!existsSync(lastFile(folder)))
    throw new UserError(`resume: ${lastFile(folder)} is not there: no run, or it ended before it first saved`);
  return folder;
}

/** The backend of a run that is resumed: its own, unless another is asked for. */
export function resumedBackend(options: ResumeOptions) {
  if (options.backend !== "run") return options.backend;
  const { name } = configOfCheckpoint(lastFile(resumedFolder(options))).backend;
  return name === "cpu" || name === "wasm" || name === "gpu" ? name : "auto";
}

/** How many processes a command asks for, checked as far as one process can check it. */
export function processesOf(asked: Command): number {
  if (asked.command !== "train" && asked.command !== "resume") return 1;
  const train = asked.command === "train";
  const processes = train ? asked.options.processes : (resumedSharing(asked.options)?.sharing.processes ?? 1);
  if (processes > 1) withWork(train ? configOf(asked.options) : configOfCheckpoint(lastFile(resumedFolder(asked.options))), () => null);
  return processes;
}

/** How a run is shared from now on, and in how many shards its batches are cut; null: it is not shared. */
export function resumedSharing(options: ResumeOptions): { readonly sharing: Sharing; readonly shards: number } | null {
  const config = configOfCheckpoint(lastFile(resumedFolder(options)));
  const { sharing: before } = config;
  const { shards: cut = 1, accumulate } = config.training;
  const processes = options.processes || (before?.processes ?? 1);
  const kept = before && processes % before.expertsOver === 0 ? before.expertsOver : 1;
  const sharing: Sharing = {
    processes,
    expertsOver: options.expertsOver || kept,
    ordered: options.ordered || (before?.ordered ?? false),
    sharedState: options.sharedState || (before?.sharedState ?? false),
  };
  const shards = (cut * accumulate) % processes === 0 ? cut : 0;
  if (!before && !isShared({ ...sharing, shards: cut })) return null;
  return { sharing, shards: checkedShards({ ...sharing, shards }, config) };
}

export async function resume(options: ResumeOptions): Promise<void> {
  const folder = resumedFolder(options);
  const config = configOfCheckpoint(lastFile(folder));
  const shared = resumedSharing(options);
  const processes = shared ? await Processes.start(shared.sharing) : null;
  const before = config.training.shards ?? 1;
  if (shared && shared.shards !== before && processes?.leads)
    console.log(
      `note: ${shared.sharing.processes} processes do not divide ${before} shards: batches are cut into ${shared.shards} from now ` +
        "on, each routed apart with its own capacity",
    );
  await withWork(config, (work) => goOn(work, folder, { ...options, ...shared }, processes));
}
