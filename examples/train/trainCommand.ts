/** The commands `train` and `resume`: from options to a trained model and an honest account of it. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { defaultBackend, key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { baselines, partCounted } from "./baselines.ts";
import { configOfCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./checkpoint.ts";
import { selected } from "./commandLine.ts";
import { conclude } from "./conclusion.ts";
import { claimFolder, lastFile, newestRun } from "./folders.ts";
import { LanguageModelling } from "./languageModelling.ts";
import { buildModel } from "./model.ts";
import { modelOptions } from "./modelOptions.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { trainingOptions } from "./options.ts";
import type { ResumeOptions, TrainOptions } from "./options.ts";
import { caution } from "./routers.ts";
import type { Job, Run } from "./run.ts";
import { continueRun, newRun, restoreRun } from "./run.ts";
import { stepsOf } from "./short.ts";
import { listenForStop } from "./stopping.ts";
import type { Corpus } from "./text.ts";
import { loadDeclaration, loadFiles } from "./text.ts";
import { UserError } from "./userError.ts";

export async function train(options: TrainOptions): Promise<void> {
  const config = configOf(options);
  const corpus = corpusOf(config);
  describeText(corpus);
  const run = newRun(claimFolder(runName(config), options), config, languageJob(config, corpus));
  describeModels(config.model, run);
  await finish(run, corpus);
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

export async function resume(options: ResumeOptions): Promise<void> {
  const folder = resumedFolder(options);
  const corpus = corpusOf(configOfCheckpoint(lastFile(folder)));
  const run = restoreRun(folder, (config) => languageJob(config, corpus), options);
  for (const note of run.notes) console.log(`note: ${note}`);
  console.log(whereItStands(run));
  await finish(run, corpus);
}

function whereItStands({ folder, trainer, config: { training }, seconds }: Run<DecoderLanguageModel>): string {
  if (trainer.steps >= training.steps)
    return `${folder} has taken all of its ${training.steps} steps; --steps N adds more. Its account once more:`;
  if (training.seconds > 0 && seconds >= training.seconds)
    return `${folder} has used its ${training.seconds} seconds after step ${trainer.steps} of ${training.steps}; --seconds N gives more. Its account once more:`;
  return `going on with ${folder} after step ${trainer.steps} of ${training.steps}`;
}

async function finish(run: Run<DecoderLanguageModel>, corpus: Corpus): Promise<void> {
  const stop = listenForStop();
  const outcome = await continueRun(run, { screen: process.stdout, interrupted: stop.asked });
  stop.end();
  if (outcome === "interrupted") {
    process.exitCode = stop.code();
    return console.log(`interrupted after step ${run.trainer.steps}; saved. Go on with: npm start -- resume --from ${run.folder}`);
  }
  await conclude(run, corpus);
}

/** A run as its options say. */
export function configOf(options: TrainOptions, router: ModelConfig["router"] = options.router): RunConfig {
  const { steps, length, data, languages } = options;
  const { name, description } = defaultBackend();
  return {
    model: { ...selected(modelOptions, options), router },
    training: { ...selected(trainingOptions, options), steps: stepsOf(steps), length },
    text: data ? { data } : { languages },
    backend: { name, description },
  };
}

export function corpusOf({ text }: RunConfig): Corpus {
  return "data" in text ? loadFiles(text.data) : loadDeclaration(text.languages);
}

export function languageJob({ model, training }: RunConfig, corpus: Corpus): Job<DecoderLanguageModel> {
  return {
    task: new LanguageModelling(corpus, training),
    build: () => buildModel(model, key(training.seed).at("init")),
    fingerprint: fingerprintOf(corpus),
  };
}

/** SHA-256 over names, texts and what of them is held out. */
function fingerprintOf({ classes }: Corpus): string {
  const hash = createHash("sha256");
  for (const { code, document, heldOut } of classes) hash.update(JSON.stringify([code, document.length, heldOut])).update(document);
  return hash.digest("hex");
}

/** What a run is called by default. */
export function runName({ model, training, text }: RunConfig): string {
  return [model.router, sourceName(text), String(training.seed)].join("-");
}

/** What the text is called in a folder's name. */
function sourceName(text: RunConfig["text"]): string {
  const name = "data" in text ? basename(text.data) : text.languages;
  return name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "data";
}

export function describeText(corpus: Corpus): void {
  const bytes = corpus.classes.reduce((sum, { training }) => sum + training.length, 0);
  const heldOut = corpus.classes.reduce((sum, text) => sum + text.document.length - text.training.length, 0);
  console.log(`text: ${corpus.source}; ${corpus.classes.map(({ name }) => name).join(", ")}`);
  console.log(`  ${bytes.toLocaleString("en-US")} bytes to learn from, ${heldOut.toLocaleString("en-US")} held out`);
  const part = partCounted(corpus);
  if (part) console.log(`  ${part}; counting now`);
  const counted = baselines(corpus).map(({ name, bits }) => `${name} ${bits.toFixed(3)}`);
  console.log(`  counting alone, bits per byte: ${counted.join(", ")}`);
}

function describeModels(config: ModelConfig, run: Run<DecoderLanguageModel>): void {
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
