/** The main job's own work: a causal language model of a text. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { key, random } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { DecoderLanguageModel, Module } from "switchyard-moe/nn";
import { baselines, partCounted } from "./baselines.ts";
import type { Goal, RunConfig, TextSource } from "./checkpoint.ts";
import { conclude } from "./conclusion.ts";
import { LanguageModelling } from "./languageModelling.ts";
import { buildModel } from "./model.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { caution } from "./routers.ts";
import type { Job, Run } from "./run.ts";
import type { Work } from "./session.ts";
import type { Corpus } from "./text.ts";
import { loadDeclaration, loadFiles } from "./text.ts";

export type TextGoal = Extract<Goal, { kind: "text" }>;

export function languageWork(config: RunConfig, { text }: TextGoal): Work<DecoderLanguageModel> {
  const corpus = corpusOf(text);
  return {
    job: languageJob(config, corpus),
    name: runName(config, text),
    describe: (run) => {
      describeText(corpus);
      describeModels(run, buildModel);
    },
    conclude: async (run) => void (await conclude(run, corpus)),
  };
}

export function languageJob({ model, training }: Pick<RunConfig, "model" | "training">, corpus: Corpus): Job<DecoderLanguageModel> {
  return {
    task: new LanguageModelling(corpus, training),
    build: (make) => buildModel(model, key(training.seed).at("init"), make),
    fingerprint: fingerprintOf(corpus),
  };
}

export function corpusOf(text: TextSource): Corpus {
  return "data" in text ? loadFiles(text.data) : loadDeclaration(text.languages);
}

/** SHA-256 over names, texts and what of them is held out. */
export function fingerprintOf({ classes }: Corpus): string {
  const hash = createHash("sha256");
  for (const { code, document, heldOut } of classes) hash.update(JSON.stringify([code, document.length, heldOut])).update(document);
  return hash.digest("hex");
}

/** What a run is called by default. */
export function runName({ model, training }: RunConfig, text: TextSource): string {
  const form = model.architecture === "decoder" ? [] : ["spans"];
  return [...form, model.router, sourceName(text), String(training.seed)].join("-");
}

/** What a text is called in a folder's name. */
export function sourceName(text: TextSource): string {
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

/** The model that is trained, beside the dense one of equal compute, which `build` makes of its configuration. */
export function describeModels<M extends Module>(
  { config, trainer, processes }: Run<M>,
  build: (config: ModelConfig, at: ReturnType<typeof key>) => Module,
): void {
  const { length } = config.training;
  const whole = processes ? random.withoutDrawing(() => build(config.model, key(0))) : trainer.model; // all experts, without their numbers
  console.log(String(summary(whole, { length })));
  const twin = summary(build({ ...config.model, router: "dense" }, key(0)), { length });
  const numbers = (n: number): string => Math.round(n).toLocaleString("en-US");
  console.log(
    `its dense twin: ${numbers(twin.parameters)} parameters, ${numbers(twin.active)} active and ${numbers(twin.flops)} FLOPs per token\n`,
  );
  const warning = caution(trainer.model);
  if (warning) console.log(`note: ${warning}\n`);
}
