/**
 * Sparse against dense at equal compute per token. Each side gets the better of two learning rates and two initialisation scales (chosen on
 * the first seed), then three seeds. Both see the same batches. Printed whichever way it falls.
 */
import { join } from "node:path";
import { key } from "switchyard-moe";
import { pairedBootstrap } from "./bootstrap.ts";
import type { PairedScore } from "./bootstrap.ts";
import type { Evaluation } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import type { ModelConfig } from "./model.ts";
import type { TrainOptions } from "./options.ts";
import { caution } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel, continueRun, newRun } from "./run.ts";
import { validationWindows } from "./sequences.ts";
import type { Corpus } from "./text.ts";
import { configOf, corpusOf, describeText } from "./trainCommand.ts";

const SEEDS = 3;

interface Outcome {
  readonly run: Run;
  readonly evaluation: Evaluation;
  readonly seconds: number;
}

type Setting = Pick<TrainOptions, "lr" | "initScale">;

export async function compare(options: TrainOptions): Promise<void> {
  const corpus = corpusOf(configOf(options));
  describeText(corpus);
  const sparse = await side(options, options.router, corpus);
  const dense = await side(options, "dense", corpus);
  report(options.router, sparse);
  report("dense", dense);
  paired(options, sparse, dense);
  equalSeconds(options.router, sparse, dense);
  const warning = caution(sparse[0].run.trainer.model);
  if (warning) console.log(`but ${warning}`);
}

/** The outcomes of one side, a seed each, at its better setting. */
async function side(options: TrainOptions, router: ModelConfig["router"], corpus: Corpus): Promise<Outcome[]> {
  const tried: (Outcome & Setting)[] = [];
  for (const lr of [options.lr, options.lr / 2])
    for (const initScale of [1, 0.1])
      tried.push({ ...(await once(options, router, corpus, options.seed, { lr, initScale })), lr, initScale });
  const [best] = tried.toSorted((a, b) => a.evaluation.bits - b.evaluation.bits);
  console.log(`${router}: best of four with lr ${best.lr}, initial scale ${best.initScale}`);
  const outcomes: Outcome[] = [best];
  for (let seed = options.seed + 1; seed < options.seed + SEEDS; seed++) outcomes.push(await once(options, router, corpus, seed, best));
  return outcomes;
}

async function once(
  options: TrainOptions,
  router: ModelConfig["router"],
  corpus: Corpus,
  seed: number,
  { lr, initScale }: Setting,
): Promise<Outcome> {
  const config = configOf({ ...options, seed, lr, initScale }, router);
  const folder = join(options.out || "runs/compare", `${router}-lr${lr}-init${initScale}-seed${seed}`);
  const run = newRun(folder, config, corpus);
  console.log(`\n${router}, seed ${seed}, lr ${lr}, initial scale ${initScale}`);
  await continueRun(run, { every: options.every, seconds: options.seconds, screen: process.stdout });
  const windows = validationWindows(corpus, { length: config.training.length });
  const evaluation = await evaluateModel(bestModel(run), windows, { batch: config.training.batch, languages: corpus.classes.length });
  return { run, evaluation, seconds: run.measurements.at(-1)?.seconds ?? 0 };
}

function report(name: string, outcomes: readonly Outcome[]): void {
  const bits = outcomes.map(({ evaluation }) => evaluation.bits);
  const seconds = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0) / outcomes.length;
  const mean = bits.reduce((sum, x) => sum + x, 0) / bits.length;
  console.log(
    `${name.padEnd(8)} ${mean.toFixed(3)} bits per byte over ${bits.length} seeds (${Math.min(...bits).toFixed(3)} to ${Math.max(...bits).toFixed(3)}), ${seconds.toFixed(0)} s a run`,
  );
}

/** Articles are drawn together over languages and seeds: an article that is hard is hard for both sides. */
function paired({ router, seed }: TrainOptions, sparse: readonly Outcome[], dense: readonly Outcome[]): void {
  const scores = sparse.flatMap(({ evaluation }, i) =>
    evaluation.spans.map(({ label, bytes, bits }, s): PairedScore => ({
      label,
      bytes,
      first: dense[i].evaluation.spans[s].bits,
      second: bits,
    })),
  );
  const random = key(seed).at("bootstrap");
  const { mean, low, high } = pairedBootstrap(scores, (i) => random.number(i));
  const verdict =
    low > 0 ? `${router} is better` : high < 0 ? "dense is better" : "the difference is within what articles alone would give";
  console.log(
    `at equal steps ${router} saves ${mean.toFixed(3)} bits per byte (95 % by article: ${low.toFixed(3)} to ${high.toFixed(3)}): ${verdict}`,
  );
}

/** What each side had reached when the faster one was done. */
function equalSeconds(name: string, sparse: readonly Outcome[], dense: readonly Outcome[]): void {
  const limit = Math.min(...[...sparse, ...dense].map(({ seconds }) => seconds));
  const reached = (outcomes: readonly Outcome[]): number =>
    outcomes
      .map(({ run }) =>
        Math.min(...run.measurements.filter(({ seconds }) => seconds <= limit).map(({ validation }) => validation ?? Infinity)),
      )
      .reduce((sum, bits) => sum + bits, 0) / outcomes.length;
  console.log(
    `at equal seconds (${limit.toFixed(0)} s; validation sample): ${name} ${reached(sparse).toFixed(3)}, dense ${reached(dense).toFixed(3)}`,
  );
}
