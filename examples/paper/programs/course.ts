/** The training of one run: the main job's steps, with a look at held-out text now and then. E experts of L layers. */
import { maxViolation } from "switchyard-moe/moe";
import type { Module } from "switchyard-moe/nn";
import { meanBits, recentBits, takeSteps } from "../../train/lesson.ts";
import type { StepReport, Trainer } from "../../train/training.ts";
import type { Point } from "../../train/svg/index.ts";

export interface Course {
  readonly reports: readonly StepReport[];
  /** Bits of training, means of twentieths, at the last step of each; and held out. */
  readonly training: readonly Point[];
  readonly heldOut: readonly Point[];
}

interface Looking {
  /** How often to look, evenly spread. */
  readonly looks: number;
  readonly look: () => Promise<number>;
  readonly afterStep: (() => void) | undefined;
}

/** Trains to the last step, or until a loss is not finite. */
export async function courseOf<M extends Module>(trainer: Trainer<M>, steps: number, { looks, look, afterStep }: Looking): Promise<Course> {
  const reports: StepReport[] = [];
  const heldOut: [number, number][] = [];
  for (let step = 1; step <= steps; step++) {
    reports.push(...(await takeSteps(trainer, step)));
    afterStep?.();
    if (!Number.isFinite(reports[reports.length - 1].loss)) break;
    if (step === steps || step % Math.ceil(steps / looks) === 0) heldOut.push([step, await look()]);
  }
  return {
    reports,
    training: blocks(reports, Math.max(1, Math.floor(steps / 20))),
    heldOut: heldOut.filter(([, bits]) => Number.isFinite(bits)),
  };
}

function blocks(reports: readonly StepReport[], size: number): Point[] {
  const ends = reports.map(({ step }) => step).filter((step) => step % size === 0);
  return ends.map((end): Point => [end, meanBits(reports.slice(end - size, end))]).filter(([, bits]) => Number.isFinite(bits));
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / Math.max(1, values.length);

/** Numbers of the training itself: losses in bits, drops, the load of the last quarter, the norm of the gradient. */
export function trainingValues({ reports }: Course): Record<string, number> {
  const [early, late] = [reports.slice(0, 20), reports.slice(-Math.max(1, reports.length >> 2))];
  const dropped = (of: readonly StepReport[]): number => mean(of.map((report) => report.dropped));
  const [first, last] = [reports[0].loss, reports[reports.length - 1].loss];
  return {
    training: recentBits(reports),
    diverged: Number(!Number.isFinite(last) || last > first),
    droppedEarly: dropped(early),
    dropped: dropped(late),
    ...violations(late),
    gradNorm: mean(late.map(({ gradNorm }) => gradNorm)),
    gradNormMost: Math.max(...late.map(({ gradNorm }) => gradNorm)),
  };
}

/** MaxVio, the mean over layers: of each step's batch, and of all tokens of these steps together. Wang et al. 2024, section 4.1. */
function violations(reports: readonly StepReport[]): Record<string, number> {
  const layers = reports[0].layers.map((_, l) => reports.map((report) => report.layers[l])); // [L][step][E]
  if (layers.length === 0) return {};
  const together = (loads: readonly (readonly number[])[]): number[] => loads[0].map((_, e) => mean(loads.map((load) => load[e])));
  return {
    maxVioBatch: mean(layers.map((loads) => mean(loads.map((load) => maxViolation(load))))),
    maxVio: mean(layers.map((loads) => maxViolation(together(loads)))),
  };
}
