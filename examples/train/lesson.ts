/** What the numbered lessons share: a short form, a place for pictures, and a model trained in one call. */
import { join } from "node:path";
import { key, useBackend } from "switchyard-moe";
import { writeAtomically } from "./checkpoint.ts";
import type { Evaluation } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import type { ModelConfig } from "./model.ts";
import { buildModel } from "./model.ts";
import { trainDefaults } from "./options.ts";
import type { TrainOptions } from "./options.ts";
import { short, stepsOf } from "./short.ts";
import type { Sequence } from "./sequences.ts";
import { spread, validationWindows } from "./sequences.ts";
import type { Corpus } from "./text.ts";
import { configOf } from "./trainCommand.ts";
import type { StepReport } from "./training.ts";
import { Trainer } from "./training.ts";

export { short, stepsOf };

/** The main job with half of its experts. */
export function lessonDefaults(): TrainOptions {
  return { ...trainDefaults(), experts: 8 };
}

/** The backend that lessons train on. */
export async function begin(title: string): Promise<void> {
  const { backend } = lessonDefaults();
  const { description } = await useBackend(backend);
  console.log(`${title}\n(${description})\n`);
}

/** Keeps a drawing in runs/lessons and says where. */
export function keepPicture(name: string, svg: string): void {
  const path = join("runs", "lessons", `${name}.svg`);
  writeAtomically(path, svg);
  console.log(`picture: ${path}`);
}

export type LessonOptions = Partial<ModelConfig> & { readonly steps: number; readonly seed?: number; readonly lr?: number };

export interface LessonRun {
  readonly trainer: Trainer;
  readonly reports: readonly StepReport[];
  /** Seconds after each step. */
  readonly seconds: readonly number[];
}

/** Trains the small model of the main job with a few things changed. */
export async function trainLesson(corpus: Corpus, { steps, seed = 1, lr, ...change }: LessonOptions): Promise<LessonRun> {
  const defaults = lessonDefaults();
  const { model, training } = configOf({ ...defaults, steps, seed, lr: lr ?? defaults.lr });
  const trainer = new Trainer(buildModel({ ...model, ...change }, key(seed).at("init")), corpus, training);
  const reports: StepReport[] = [];
  const seconds: number[] = [];
  const start = performance.now();
  while (trainer.steps < steps) {
    reports.push(await trainer.step()());
    seconds.push((performance.now() - start) / 1000);
  }
  return { trainer, reports, seconds };
}

/** A sample of the held-out text scored by the trained model. */
export function score({ trainer }: LessonRun, corpus: Corpus, windows = 160): Promise<Evaluation> {
  return evaluateModel(trainer.model, sample(corpus, short ? 16 : windows), { batch: 16, languages: corpus.classes.length });
}

export function sample(corpus: Corpus, windows: number): Sequence[] {
  return spread(validationWindows(corpus, { length: lessonDefaults().length }), windows);
}

/** Mean training loss of the last quarter, in bits per byte: less noisy than the last step. */
export function recentBits(reports: readonly StepReport[]): number {
  return meanBits(reports.slice(-Math.max(1, reports.length >> 2)));
}

/** Mean training loss in bits per byte. */
export function meanBits(reports: readonly StepReport[]): number {
  return reports.reduce((sum, { loss }) => sum + loss, 0) / reports.length / Math.LN2;
}
