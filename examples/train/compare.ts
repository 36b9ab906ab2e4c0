/**
 * Sparse against dense at equal compute per token. Each side gets the better of two learning rates and two initialisation scales (chosen on
 * the first seed), then three seeds. Both see the same batches. The result is printed, whatever it is, and kept as a page.
 */
import { join } from "node:path";
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { baselines } from "./baselines.ts";
import { pairedBootstrap } from "./bootstrap.ts";
import type { PairedScore } from "./bootstrap.ts";
import type { TextSource } from "./checkpoint.ts";
import type { Evaluation } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import { writeAtomically } from "./files.ts";
import { claimFolder, reportFile } from "./folders.ts";
import { configOf } from "./configuration.ts";
import type { ModelConfig } from "./modelOptions.ts";
import type { TrainOptions } from "./options.ts";
import { noSingleRun, reportHtml } from "./report.ts";
import { caution } from "./routers.ts";
import type { Run } from "./run.ts";
import { newRun } from "./run.ts";
import { bestModel, continueRun } from "./runLoop.ts";
import { validationWindows } from "./sequences.ts";
import { listenForStop } from "./stopping.ts";
import type { Stop } from "./stopping.ts";
import { curve } from "./svg/index.ts";
import type { Series } from "./svg/index.ts";
import type { Corpus } from "./text.ts";
import { describeText, corpusOf, languageJob, runName } from "./languageWork.ts";
import { UserError } from "./userError.ts";

const SEEDS = 3;

interface Outcome {
  readonly run: Run<DecoderLanguageModel>;
  readonly evaluation: Evaluation;
}

type Setting = Pick<TrainOptions, "lr" | "initScale">;

/** The seeds of one side at its better setting. */
interface Side {
  readonly name: ModelConfig["router"];
  readonly setting: Setting;
  readonly outcomes: readonly Outcome[];
}

/** What all runs of a comparison share. */
interface Race {
  readonly options: TrainOptions;
  readonly corpus: Corpus;
  readonly folder: string;
  readonly stop: Stop;
}

const textOf = ({ data, languages }: TrainOptions): TextSource => (data ? { data } : { languages });

export async function compare(options: TrainOptions): Promise<void> {
  const config = configOf(options);
  const corpus = corpusOf(textOf(options));
  describeText(corpus);
  const race = { options, corpus, folder: claimFolder(`compare-${runName(config, textOf(options))}`, options), stop: listenForStop() };
  const sparse = await side(race, options.router);
  const dense = await side(race, "dense");
  race.stop.end();
  const warning = caution(sparse.outcomes[0].run.trainer.model);
  const findings = [
    inWords(sparse),
    inWords(dense),
    paired(options, sparse, dense),
    equalSeconds(sparse, dense),
    ...(warning ? [`but ${warning}`] : []),
  ];
  for (const line of findings) console.log(line);
  writeAtomically(reportFile(race.folder), page(race, sparse, dense, findings));
  console.log(`\nkept in ${race.folder}; to look at: ${reportFile(race.folder)}`);
}

async function side(race: Race, name: Side["name"]): Promise<Side> {
  const { options } = race;
  const tried: (Outcome & Setting)[] = [];
  for (const lr of [options.lr, options.lr / 2])
    for (const initScale of [1, 0.1]) tried.push({ ...(await once(race, name, options.seed, { lr, initScale })), lr, initScale });
  const [best] = tried.toSorted((a, b) => a.evaluation.bits - b.evaluation.bits);
  console.log(`${name}: best of four with lr ${best.lr}, initial scale ${best.initScale}`);
  const outcomes: Outcome[] = [best];
  for (let seed = options.seed + 1; seed < options.seed + SEEDS; seed++) outcomes.push(await once(race, name, seed, best));
  return { name, setting: best, outcomes };
}

async function once(
  { options, corpus, folder, stop }: Race,
  name: Side["name"],
  seed: number,
  { lr, initScale }: Setting,
): Promise<Outcome> {
  const config = configOf({ ...options, seed, lr, initScale }, name);
  const run = newRun(join(folder, `${name}-lr${lr}-init${initScale}-seed${seed}`), config, languageJob(config, corpus));
  console.log(`\n${name}, seed ${seed}, lr ${lr}, initial scale ${initScale}`);
  const outcome = await continueRun(run, { screen: process.stdout, interrupted: stop.asked });
  if (outcome === "interrupted")
    throw new UserError(`interrupted; a comparison cannot be resumed, but its runs are kept in ${folder}`, stop.code());
  const windows = validationWindows(corpus, { length: config.training.length });
  const evaluation = await evaluateModel(bestModel(run), windows, { batch: config.training.batch, languages: corpus.classes.length });
  return { run, evaluation };
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const secondsOf = ({ run }: Outcome): number => run.measurements.at(-1)?.seconds ?? 0;

function inWords({ name, outcomes }: Side): string {
  const bits = outcomes.map(({ evaluation }) => evaluation.bits);
  const range = `${Math.min(...bits).toFixed(3)} to ${Math.max(...bits).toFixed(3)}`;
  const seconds = mean(outcomes.map(secondsOf)).toFixed(0);
  return `${name.padEnd(8)} ${mean(bits).toFixed(3)} bits per byte over ${bits.length} seeds (${range}), ${seconds} s a run`;
}

/** Articles are drawn together over languages and seeds: an article that is hard is hard for both sides. */
function paired({ router, seed }: TrainOptions, sparse: Side, dense: Side): string {
  const scores = sparse.outcomes.flatMap(({ evaluation }, i) =>
    evaluation.spans.map(({ label, bytes, bits }, s): PairedScore => ({
      label,
      bytes,
      first: dense.outcomes[i].evaluation.spans[s].bits,
      second: bits,
    })),
  );
  const random = key(seed).at("bootstrap");
  const { mean: saved, low, high } = pairedBootstrap(scores, (i) => random.number(i));
  const verdict =
    low > 0 ? `${router} is better` : high < 0 ? "dense is better" : "the difference is within what articles alone would give";
  const interval = `95 % by article: ${low.toFixed(3)} to ${high.toFixed(3)}`;
  return `at equal steps ${router} saves ${saved.toFixed(3)} bits per byte (${interval}): ${verdict}`;
}

/** What each side had reached when the faster one was done. */
function equalSeconds(sparse: Side, dense: Side): string {
  const limit = Math.min(...[...sparse.outcomes, ...dense.outcomes].map(secondsOf));
  const best = ({ run }: Outcome): number =>
    Math.min(...run.measurements.filter(({ seconds }) => seconds <= limit).map(({ validation }) => validation ?? Infinity));
  const reached = ({ outcomes }: Side): string => {
    const bits = mean(outcomes.map(best));
    return Number.isFinite(bits) ? bits.toFixed(3) : "not validated yet";
  };
  return `at equal seconds (${limit.toFixed(0)} s; validation sample): ${sparse.name} ${reached(sparse)}, dense ${reached(dense)}`;
}

function page({ options, corpus, folder }: Race, sparse: Side, dense: Side, findings: readonly string[]): string {
  const sides = [sparse, dense];
  const courses = (x: "step" | "seconds"): Series[] =>
    sides.map(({ name, outcomes: [first] }) => ({
      name,
      points: first.run.measurements.flatMap((one): [number, number][] => (one.validation === null ? [] : [[one[x], one.validation]])),
    }));
  const levels = baselines(corpus).slice(2).map(({ name, bits }) => ({ name, value: bits })); // prettier-ignore
  const draw = (title: string, x: string, series: Series[]): string =>
    curve({ title, description: "Held-out sample, first seed", series, baselines: levels, x, y: "bits per byte" });
  const rows = sides.flatMap(({ name, setting, outcomes }) =>
    outcomes.map((outcome) => [
      name,
      String(outcome.run.config.training.seed),
      `lr ${setting.lr}, init ${setting.initScale}`,
      outcome.evaluation.bits.toFixed(3),
      `${secondsOf(outcome).toFixed(0)} s`,
    ]),
  );
  return reportHtml({
    ...noSingleRun,
    title: `${options.router} against dense at equal compute per byte`,
    lead: `${findings[2]}.`,
    command: ["npm start --", ...process.argv.slice(2)].join(" "),
    settings: { steps: options.steps, seeds: SEEDS, text: corpus.source, folder },
    comparisons: [
      { text: "At equal steps.", drawing: draw("Bits per byte by step", "step", courses("step")) },
      { text: findings[3], drawing: draw("Bits per byte by seconds of training", "seconds", courses("seconds")) },
    ],
    summary: sides.map(({ outcomes: [{ run }] }) => String(summary(run.trainer.model, { length: options.length }))).join("\n\n"),
    tables: [
      { caption: "Held out, each run's best model", columns: ["side", "seed", "setting", "bits per byte", "training"], rows },
      {
        caption: "What counting needs on the same text",
        columns: ["table", "bits per byte"],
        rows: baselines(corpus).map(({ name, bits }) => [name, bits.toFixed(3)]),
      },
    ],
    notes: [...findings, corpus.split],
  });
}
