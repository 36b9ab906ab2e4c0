/** Trains one model with the main job's own loop, and measures it. */
import { readFileSync } from "node:fs";
import { key, noGrad, ones, scope, tensor } from "switchyard-moe";
import { copyShared, entropy } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { RMSNorm, evaluation, readSafetensors, summary, writeSafetensors } from "switchyard-moe/nn";
import type { DecoderLanguageModel, EncoderDecoder, Module } from "switchyard-moe/nn";
import { Distillation } from "../../train/distillation.ts";
import { evaluateModel } from "../../train/evaluation.ts";
import { writeAtomically } from "../../train/files.ts";
import type { Observations } from "../../train/information.ts";
import { specialisation } from "../../train/information.ts";
import { LanguageModelling } from "../../train/languageModelling.ts";
import { buildEncoderDecoder, buildModel } from "../../train/model.ts";
import { evaluatePairs } from "../../train/pairEvaluation.ts";
import { PairTask } from "../../train/pairTask.ts";
import { collatePairs } from "../../train/pairs.ts";
import type { PredictingTask } from "../../train/predicting.ts";
import { inBatches, spread, validationWindows } from "../../train/sequences.ts";
import { sparseLayerNames } from "../../train/routers.ts";
import { SpanFilling } from "../../train/spanFilling.ts";
import { loadPairs } from "../../train/textPairs.ts";
import { Trainer } from "../../train/training.ts";
import type { Result, TrainSettings } from "../settings.ts";
import { courseOf, trainingValues } from "./course.ts";
import type { Tools } from "./serve.ts";
import { Probe } from "./probe.ts";
import { textOf } from "./texts.ts";

/** Held-out pieces for a look during training, for the score at the end, and for the probe of the routers. */
const pieces = { look: 48, scored: 320, probed: 96 };
/** A run of so few steps is only to show that it works, and looks at few pieces. */
const [FEW_STEPS, FEW_PIECES] = [20, 4];
/** Looks during training. */
const LOOKS = 8;

type Steps = Pick<TrainSettings["training"], "steps">;
const countOf = (of: keyof typeof pieces, { steps }: Steps): number => (steps < FEW_STEPS ? FEW_PIECES : pieces[of]);

/** What is learned and how it is scored, for one kind of model. */
interface Subject<M extends Module> {
  readonly task: PredictingTask<M>;
  readonly build: (settings: TrainSettings) => M;
  /** Bits per byte or token on so many held-out pieces, and what each sparse layer did with them. */
  score(model: M, count: number): Promise<{ bits: number; observed: readonly Observations[] }>;
  /** Runs so many held-out pieces through the model in batches as large as those of training. */
  probe(model: M, count: number): Promise<Probe>;
}

export function run(settings: TrainSettings, tools: Tools): Promise<Result> {
  if (settings.model.architecture === "decoder") return runOf(causal(settings), settings, tools);
  return runOf(pairs(settings), settings, tools);
}

const initOf = ({ seed }: TrainSettings) => key(seed).at("init");

function causal({ text, training }: TrainSettings): Subject<DecoderLanguageModel> {
  const corpus = textOf(text);
  const windows = validationWindows(corpus, { length: training.length });
  return {
    task: new LanguageModelling(corpus, training),
    build: (settings) => buildModel(settings.model, initOf(settings)),
    score: (model, count) => evaluateModel(model, spread(windows, count), { batch: 64, languages: corpus.classes.length }),
    probe: (model, count) =>
      probed(inBatches(spread(windows, count), training.batch), ({ size, length, inputs }) =>
        model.forward(tensor(inputs, { shape: [size, length] }), {}, evaluation).routings,
      ), // prettier-ignore
  };
}

/** An encoder-decoder that learns to fill in spans, or to write phonemes. */
function pairs(settings: TrainSettings): Subject<EncoderDecoder> {
  const { batch } = settings.training;
  const languages = settings.pairs === undefined ? textOf(settings.text).classes.length : 1;
  const task =
    settings.pairs === undefined ? new SpanFilling(textOf(settings.text), settings.training) : phonemes(settings, settings.pairs);
  const { heldOut } = task;
  return {
    task,
    build: ({ model }) => buildEncoderDecoder(model, initOf(settings)),
    score: async (model, count) => {
      const { bitsPerToken, observed } = await evaluatePairs(model, spread(heldOut, count), { batch: 64, languages });
      return { bits: bitsPerToken, observed };
    },
    probe: (model, count) => {
      const some = spread(heldOut, count);
      const batches = Array.from({ length: Math.ceil(some.length / batch) }, (_, i) => some.slice(i * batch, (i + 1) * batch));
      return probed(batches, (part) => {
        const { routings } = model.forward(collatePairs(part).given, evaluation);
        return [...routings.encoder, ...routings.decoder];
      });
    },
  };
}

function phonemes({ training, text }: TrainSettings, examples: number): PairTask {
  return new PairTask(loadPairs({ kind: "finetune", task: "phonemes", text: { languages: text }, examples, from: "" }), training);
}

/** What the routers do with batches as large as those of training. */
async function probed<B>(batches: readonly B[], route: (batch: B) => readonly object[]): Promise<Probe> {
  const probe = new Probe();
  for (const batch of batches) {
    const reading: Promise<void>[] = [];
    scope(() => noGrad(() => void reading.push(probe.add(route(batch) as Routing[]))));
    await Promise.all(reading);
  }
  return probe;
}

async function runOf<M extends Module>(subject: Subject<M>, settings: TrainSettings, tools: Tools): Promise<Result> {
  const { begin, teacher, training } = settings;
  const model = subject.build(settings);
  if (begin) give(model, restored(subject, begin.from, tools), begin.parts);
  const task = teacher ? new Distillation(subject.task, restored(subject, teacher.from, tools), teacher) : subject.task;
  const trainer = new Trainer(model, task, training);
  const course = await courseOf(trainer, training.steps, {
    looks: LOOKS,
    look: async () => (await subject.score(model, countOf("look", training))).bits,
    afterStep: settings.normScale === "held" ? () => holdScales(model) : undefined,
  });
  if (tools.keep) writeAtomically(tools.keep, await writeSafetensors(model.state()));
  const values = { ...trainingValues(course), ...(await heldOutValues(subject, model, training)), ...sizes(model, training.length) };
  return {
    values: Object.fromEntries(Object.entries(values).map(([name, x]) => [name, Number.isFinite(x) ? x : null])),
    courses: { training: course.training, heldOut: course.heldOut },
  };
}

/** The model that another run has left. */
function restored<M extends Module>({ build }: Subject<M>, from: TrainSettings, { weightsOf }: Tools): M {
  const model = build(from);
  model.load(readSafetensors(readFileSync(weightsOf(from))).tensors);
  return model;
}

function give<M extends Module>(model: M, from: M, parts: "all" | "shared"): void {
  if (parts === "all") model.load(from.state());
  else copyShared(from, model);
}

function holdScales(model: Module): void {
  for (const [, module] of model.namedModules()) if (module instanceof RMSNorm) module.weight.assign(onesLike(module.weight));
}

const onesLike = ({ shape }: { shape: readonly number[] }) => ones(shape);

async function heldOutValues<M extends Module>({ score, probe }: Subject<M>, model: M, training: Steps): Promise<Record<string, number>> {
  const { bits, observed } = await score(model, countOf("scored", training));
  const names = sparseLayerNames(model);
  const stacks = ["encoder", "decoder"].filter((stack) => names.some((name) => name.startsWith(stack)));
  const found = await probe(model, countOf("probed", training));
  return {
    bits,
    nats: -bits * Math.LN2,
    ...found.values(),
    ...knowledge(observed),
    ...Object.assign({}, ...stacks.map((stack) => ofStack(stack, names, observed, found))),
  };
}

/** Numbers of one stack of an encoder-decoder: "encoder.entropy". */
function ofStack(stack: string, names: readonly string[], observed: readonly Observations[], probe: Probe): Record<string, number> {
  const inside = (layer: number): boolean => names[layer].startsWith(stack);
  const values = { ...probe.values(inside), ...knowledge(observed.filter((_, layer) => inside(layer))) };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${stack}.${name}`, value]));
}

/** What the expert of a byte tells, in bits, and how much of it the byte leaves open, in nats: means over layers; none in a dense model. */
function knowledge(observed: readonly Observations[]): Record<string, number> {
  if (observed.length === 0) return {};
  const random = key("shuffle");
  const layers = observed.map((layer) => ({ ...specialisation(layer, (i) => random.number(i)), entropy: usedEntropy(layer) }));
  const mean = (of: (layer: (typeof layers)[number]) => number): number =>
    layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  return {
    infoLanguage: mean(({ expertLanguage }) => expertLanguage),
    infoLanguageShuffled: mean(({ shuffled }) => shuffled.expertLanguage),
    infoLanguageGivenByte: mean(({ expertLanguageGivenByte }) => expertLanguageGivenByte),
    infoByte: mean(({ expertByte }) => expertByte),
    entropyGivenByte: mean(({ entropy, expertByte }) => (entropy - expertByte) * Math.LN2),
  };
}

/** Entropy in bits of the experts that were used. */
function usedEntropy({ expert, experts }: Observations): number {
  const counts = new Array<number>(experts).fill(0);
  for (const e of Array.from(expert)) counts[e]++;
  return entropy(counts);
}

function sizes(model: Module, length: number): Record<string, number> {
  const { parameters, flops } = summary(model, { length });
  return { parameters, flops };
}
