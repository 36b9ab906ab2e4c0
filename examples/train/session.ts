/** From the first step of a run to its account, for every kind of run: begin or go on, listen for signals, conclude. */
import type { Module } from "switchyard-moe/nn";
import type { RunConfig } from "./checkpoint.ts";
import { claimFolder } from "./folders.ts";
import type { Change, Job, Run } from "./run.ts";
import type { RunOutcome } from "./runLoop.ts";
import type { Processes } from "./processes.ts";
import { screenOf, silent } from "./progress.ts";
import { byLead, newRun, restoreRun } from "./run.ts";
import { continueRun } from "./runLoop.ts";
import { listenForStop } from "./stopping.ts";
import { wireLines } from "./wireAccount.ts";

/** A job, and what is said of it. */
export interface Work<M extends Module> {
  readonly job: Job<M>;
  /** What its folder is called by default. */
  readonly name: string;
  /** Before the first step. */
  describe(run: Run<M>): void;
  /** After the last one: prints what came of it and leaves a page. */
  conclude(run: Run<M>): Promise<void>;
}

export async function begin<M extends Module>(
  work: Work<M>,
  config: RunConfig,
  folder: { readonly out: string; readonly overwrite: boolean },
  processes: Processes | null = null,
): Promise<void> {
  const claimed = byLead(processes, () => claimFolder(work.name, folder));
  const run = newRun(claimed, config, work.job, processes);
  if (leads(run)) {
    describeProcesses(run);
    work.describe(run);
  }
  await finish(work, run);
}

export async function goOn<M extends Module>(
  work: Work<M>,
  folder: string,
  change: Change,
  processes: Processes | null = null,
): Promise<void> {
  const run = restoreRun(folder, () => work.job, change, processes);
  if (leads(run)) {
    describeProcesses(run);
    for (const note of run.notes) console.log(`note: ${note}`);
    console.log(whereItStands(run));
  }
  await finish(work, run);
}

function describeProcesses<M extends Module>({ processes, config: { training } }: Run<M>): void {
  if (processes) console.log(`processes: ${processes.description}; shards of a batch: ${training.shards ?? 1}`);
}

/** Whether this process speaks for the run. */
function leads<M extends Module>({ processes }: Run<M>): boolean {
  return processes?.leads ?? true;
}

function whereItStands<M extends Module>({ folder, trainer, config: { training }, seconds }: Run<M>): string {
  if (trainer.steps >= training.steps)
    return `${folder} has taken all of its ${training.steps} steps; --steps N adds more. Its account once more:`;
  if (training.seconds > 0 && seconds >= training.seconds)
    return (
      `${folder} has used its ${training.seconds} seconds after step ${trainer.steps} of ${training.steps}; --seconds N gives more. ` +
      "Its account once more:"
    );
  return `going on with ${folder} after step ${trainer.steps} of ${training.steps}`;
}

async function finish<M extends Module>(work: Work<M>, run: Run<M>): Promise<void> {
  const outcome = await trained(run, run.folder);
  if (!leads(run)) return;
  if (run.wire) console.log(`\n${wireLines(run.wire).join("\n")}`);
  if (outcome !== "interrupted") await work.conclude(run);
}

/** Trains to the end or until a signal asks to stop, which is answered with how to go on. */
export async function trained<M extends Module>(run: Run<M>, folder: string): Promise<RunOutcome> {
  const stop = listenForStop();
  try {
    const outcome = await continueRun(run, { screen: leads(run) ? screenOf() : silent, interrupted: stop.asked });
    if (outcome === "interrupted" && leads(run)) {
      if (!run.processes) process.exitCode = stop.code(); // else mpirun would take it for a failure
      console.log(`interrupted after step ${run.trainer.steps}; saved. Go on with: npm start -- resume --from ${folder}`);
    }
    return outcome;
  } finally {
    stop.end();
  }
}
