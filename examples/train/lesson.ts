/** What the numbered lessons share: a short form, a place for pictures, and a model trained in one call. */
import { join } from "node:path";
import { key, useBackend } from "switchyard-moe";
import { loadEntropy, maxViolation } from "switchyard-moe/moe";
import type { DecoderLanguageModel, Module } from "switchyard-moe/nn";
import type { Evaluation } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import { writeAtomically } from "./files.ts";
import type { Observations } from "./information.ts";
import { specialisation } from "./information.ts";
import { LanguageModelling } from "./languageModelling.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { buildModel } from "./model.ts";
import { trainDefaults } from "./options.ts";
import type { TrainOptions } from "./options.ts";
import { short, stepsOf } from "./short.ts";
import type { Sequence } from "./sequences.ts";
import { spread, validationWindows } from "./sequences.ts";
import type { Corpus } from "./text.ts";
import { configOf } from "./configuration.ts";
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

/**
 * Holds the lesson to its header, which must say "`low` to `high`": prints the number, and whether it is as promised. One that is not makes
 * the program fail. The short form promises nothing.
 */
export function promised(what: string, value: number, low: number, high: number): void {
  const kept = value >= low && value <= high;
  if (!kept && !short) process.exitCode = 1;
  const verdict = short ? "not checked in the short form" : kept ? "as promised" : "NOT AS PROMISED";
  console.log(`${what}: ${Number(value.toPrecision(3))} (the header says ${low} to ${high}: ${verdict})`);
}

/** Takes steps until the run has `steps` of them; returns their reports. */
export async function takeSteps<M extends Module>(trainer: Trainer<M>, steps: number): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  while (trainer.steps < steps) reports.push(await trainer.step());
  return reports;
}

/** Keeps a drawing in runs/lessons and says where. */
export function keepPicture(name: string, svg: string): void {
  const path = join("runs", "lessons", `${name}.svg`);
  writeAtomically(path, svg);
  console.log(`picture: ${path}`);
}

export type LessonOptions = Partial<ModelConfig> & {
  readonly steps: number;
  readonly seed?: number;
  readonly lr?: number;
  readonly batch?: number;
};

export interface LessonRun {
  readonly trainer: Trainer<DecoderLanguageModel>;
  readonly task: LanguageModelling;
  readonly reports: readonly StepReport[];
  /** Seconds after each step. */
  readonly seconds: readonly number[];
}

/** Trains the small model of the main job with a few things changed. */
export async function trainLesson(corpus: Corpus, { steps, seed = 1, lr, batch, ...change }: LessonOptions): Promise<LessonRun> {
  const defaults = lessonDefaults();
  const { model, training } = configOf({ ...defaults, steps, seed, lr: lr ?? defaults.lr, batch: batch ?? defaults.batch });
  const task = new LanguageModelling(corpus, training);
  const trainer = new Trainer(buildModel({ ...model, ...change }, key(seed).at("init")), task, training);
  const reports: StepReport[] = [];
  const seconds: number[] = [];
  const start = performance.now();
  while (trainer.steps < steps) {
    reports.push(await trainer.step());
    seconds.push((performance.now() - start) / 1000);
  }
  return { trainer, task, reports, seconds };
}

/** A sample of the held-out text scored by the trained model. */
export function score({ trainer }: LessonRun, corpus: Corpus, windows = 160): Promise<Evaluation> {
  return evaluateModel(trainer.model, sample(corpus, short ? 16 : windows), { batch: 16, languages: corpus.classes.length });
}

/** What a router did in a run: the load of its last twenty steps, and what its last layer knows of the language. */
export interface Outcome {
  /** Held out. */
  readonly bits: number;
  readonly dropped: number;
  readonly entropy: number;
  readonly violation: number;
  /** I(expert; language) in bits, and of experts dealt out at random; null: nothing is routed. */
  readonly information: { readonly known: number; readonly shuffled: number; readonly layer: Observations } | null;
  /** Of the median step. */
  readonly milliseconds: number;
}

export async function outcomeOf(run: LessonRun, corpus: Corpus, windows?: number): Promise<Outcome> {
  const last = run.reports.slice(-20);
  const load = last[0].load.map((_, e) => last.reduce((sum, report) => sum + report.load[e], 0));
  const { bits, observed } = await score(run, corpus, windows);
  const layer = observed[observed.length - 1]; // none in a dense model
  const random = key(1).at("shuffle");
  const found = layer && specialisation(layer, (i) => random.number(i));
  const gaps = run.seconds.map((second, i) => second - (run.seconds[i - 1] ?? 0)).toSorted((a, b) => a - b);
  return {
    bits,
    dropped: last.reduce((sum, { dropped }) => sum + dropped, 0) / last.length,
    entropy: loadEntropy(load),
    violation: maxViolation(load),
    information: found ? { known: found.expertLanguage, shuffled: found.shuffled.expertLanguage, layer } : null,
    milliseconds: 1000 * gaps[gaps.length >> 1],
  };
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
