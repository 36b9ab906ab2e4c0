/** The commands `train` and `resume`: from options to a trained model and an honest account of it. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { defaultBackend, key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import { baselines } from "./baselines.ts";
import type { RunConfig } from "./checkpoint.ts";
import { conclude } from "./conclusion.ts";
import type { ModelConfig } from "./model.ts";
import { buildModel } from "./model.ts";
import type { ResumeOptions, TrainOptions } from "./options.ts";
import { caution } from "./routers.ts";
import type { Run } from "./run.ts";
import { continueRun, lastFile, newRun, restoreRun } from "./run.ts";
import { stepsOf } from "./short.ts";
import type { Corpus } from "./text.ts";
import { loadDeclaration, loadFiles } from "./text.ts";
import type { TrainingConfig } from "./training.ts";
import { UserError } from "./userError.ts";

const RUNS = "runs";

export async function train(options: TrainOptions): Promise<void> {
  const config = configOf(options);
  const corpus = corpusOf(config);
  describeText(corpus);
  const run = newRun(options.out || join(RUNS, runName(config)), config, corpus);
  describeModels(config.model, run);
  await finish(run, options);
}

export async function resume({ from, steps, seconds }: ResumeOptions): Promise<void> {
  const folder = from || newestRun();
  if (!existsSync(lastFile(folder)))
    throw new UserError(`resume: ${lastFile(folder)} is not there: no run, or it ended before it first saved`);
  const run = restoreRun(folder, corpusOf, steps);
  console.log(`going on with ${folder} after step ${run.trainer.steps} of ${run.config.training.steps}`);
  await finish(run, { every: 100, seconds });
}

async function finish(run: Run, { every, seconds }: { readonly every: number; readonly seconds: number }): Promise<void> {
  const stop = interruptible();
  const outcome = await continueRun(run, { every, seconds, screen: process.stdout, interrupted: stop.asked });
  stop.end();
  if (outcome === "interrupted")
    return console.log(`interrupted after step ${run.trainer.steps}; saved. Go on with: npm start -- resume --from ${run.folder}`);
  await conclude(run);
}

/**
 * The first Ctrl-C asks to stop after the step; a second one ends the program as usual. So does a reader that leaves: in
 * `npm start | tee log` Ctrl-C ends tee as well, and a run is to be saved all the same.
 */
function interruptible(): { asked: () => boolean; end: () => void } {
  let asked = false;
  const stop = (): void => {
    asked = true;
    process.off("SIGINT", stop);
  };
  process.on("SIGINT", stop);
  process.stdout.on("error", stop);
  return { asked: () => asked, end: () => process.off("SIGINT", stop) };
}

/** A run as its options say. */
export function configOf(options: TrainOptions, router: ModelConfig["router"] = options.router): RunConfig {
  const { steps, batch, length, lr, warmup, accumulate, clip, weightDecay, seed, data, languages } = options;
  const { width, layers, heads, hidden, experts, sparseEvery, capacityFactor, alpha, zLoss, jitter, group, balanceScope, priority, expertDropout, initScale, precision } = options; // prettier-ignore
  const model: ModelConfig = { router, width, layers, heads, hidden, experts, sparseEvery, length, capacityFactor, alpha, zLoss, jitter, group, balanceScope, priority, expertDropout, initScale, precision }; // prettier-ignore
  const training: TrainingConfig = { steps: stepsOf(steps), batch, length, lr, warmup, accumulate, clip, weightDecay, seed };
  return { model, training, text: data ? { data } : { languages }, backend: defaultBackend().description };
}

export function corpusOf({ text }: RunConfig): Corpus {
  return "data" in text ? loadFiles(text.data) : loadDeclaration(text.languages);
}

function runName({ model, training, text }: RunConfig): string {
  const source = "data" in text ? "data" : text.languages.replaceAll(",", "-");
  return `${model.router}-${source}-${training.seed}`;
}

function newestRun(): string {
  const runs = existsSync(RUNS) ? readdirSync(RUNS).map((name) => join(RUNS, name)).filter((folder) => existsSync(lastFile(folder))) : []; // prettier-ignore
  const newest = runs.toSorted((a, b) => statSync(lastFile(b)).mtimeMs - statSync(lastFile(a)).mtimeMs)[0];
  if (newest === undefined) throw new UserError(`resume: there is no run in ${RUNS}/; name one with --from FOLDER`);
  return newest;
}

export function describeText(corpus: Corpus): void {
  const bytes = corpus.classes.reduce((sum, { training }) => sum + training.length, 0);
  const heldOut = corpus.classes.reduce((sum, text) => sum + text.document.length - text.training.length, 0);
  console.log(`text: ${corpus.source}; ${corpus.classes.map(({ name }) => name).join(", ")}`);
  console.log(`  ${bytes.toLocaleString("en-US")} bytes to learn from, ${heldOut.toLocaleString("en-US")} held out`);
  console.log(`  counting alone, bits per byte: ${baselines(corpus).map(({ name, bits }) => `${name} ${bits.toFixed(3)}`).join(", ")}`); // prettier-ignore
}

function describeModels(config: ModelConfig, run: Run): void {
  const { length } = config;
  console.log(String(summary(run.trainer.model, { length })));
  const twin = summary(buildModel({ ...config, router: "dense" }, key(0)), { length });
  const numbers = (n: number): string => Math.round(n).toLocaleString("en-US");
  console.log(
    `its dense twin: ${numbers(twin.parameters)} parameters, ${numbers(twin.active)} active and ${numbers(twin.flops)} FLOPs per token\n`,
  );
  const warning = caution(run.trainer.model);
  if (warning) console.log(`note: ${warning}\n`);
}
