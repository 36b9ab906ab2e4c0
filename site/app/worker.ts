/** The worker of the playground: trains both columns, step by step in turn, and answers what the page asks to see. */
import { key, useBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { NgramModel } from "../../examples/train/baselines.ts";
import { causalModel } from "../../examples/train/layers.ts";
import { canGenerate, caution } from "../../examples/train/routers.ts";
import { BytePrediction } from "../../examples/train/bytePrediction.ts";
import type { Corpus } from "../../examples/train/text.ts";
import { Trainer } from "../../examples/train/training.ts";
import { modelConfig, trainingConfig } from "./configs.ts";
import { exportModel } from "./exportModel.ts";
import { Fingerprint } from "./fingerprint.ts";
import { observe, writeOn } from "./observe.ts";
import { corpusOf } from "./pageCorpus.ts";
import type { Report, Request, Side, StepNumbers, TextPart } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { isDevice, sides } from "./settings.ts";

/** What a worker sees of the page. */
interface WorkerScope {
  /** The device that the page will ask for. */
  readonly name: string;
  postMessage(message: Report, transfer?: ArrayBufferLike[]): void;
  onmessage: ((event: { readonly data: Request }) => void) | null;
}
const page = globalThis as unknown as WorkerScope;

/** One run of both columns. A new "start" makes a new one; the old one ends at its next turn. */
class Run {
  readonly settings: Settings;
  readonly corpus: Corpus;
  readonly trainers: Readonly<Record<Side, Trainer<DecoderLanguageModel>>>;
  readonly task: BytePrediction;
  readonly backend: Backend;
  readonly #fingerprint = new Fingerprint();
  paused = false;
  rest = 0;

  constructor(settings: Settings, text: readonly TextPart[], backend: Backend) {
    this.settings = settings;
    this.corpus = corpusOf(text);
    this.task = new BytePrediction(this.corpus, settings.shared);
    this.backend = backend;
    const trainer = (side: Side): Trainer<DecoderLanguageModel> =>
      new Trainer(
        causalModel(modelConfig(settings, side), key(settings.shared.seed).at("init")),
        this.task,
        trainingConfig(settings.shared),
      );
    this.trainers = { a: trainer("a"), b: trainer("b") };
  }

  get steps(): number {
    return this.trainers.b.steps;
  }

  get ended(): boolean {
    return this.steps >= this.settings.shared.steps;
  }

  /** One step of both columns. */
  async step(): Promise<Report> {
    const start = performance.now();
    const numbers = { a: await numbersOf(this.trainers.a), b: await numbersOf(this.trainers.b) };
    for (const side of sides) this.#fingerprint.add(numbers[side].bits);
    const { batch, length } = this.settings.shared;
    return {
      kind: "steps",
      numbers,
      fingerprint: this.#fingerprint.text,
      tokensPerSecond: (2000 * batch * length) / (performance.now() - start),
      tensorBytes: this.backend.stats().liveBytes,
    };
  }
}

async function numbersOf(trainer: Trainer<DecoderLanguageModel>): Promise<StepNumbers> {
  const { step, loss, auxiliary, dropped, layers } = await trainer.step();
  const added = Object.values(auxiliary).reduce((sum, value) => sum + value, 0);
  return { step, bits: loss / Math.LN2, auxiliary: added, dropped, layers };
}

let run: Run | undefined;

/** The threads of this device leave a processor to the page, which draws and answers meanwhile. */
let sparing: Promise<Backend> | undefined;

async function sparingWasm(): Promise<Backend> {
  sparing ??= import("switchyard-moe/backend/wasm").then(({ wasm }) => wasm({ spare: 1 }));
  try {
    return await sparing;
  } catch (error) {
    sparing = undefined;
    throw error;
  }
}

async function use(device: Settings["shared"]["backend"]): Promise<Backend> {
  return useBackend(device === "wasm" ? await sparingWasm() : device);
}

// The device is made ready while the page is still read and drawn; where it cannot be had, "start" says why.
const early = isDevice(page.name) ? use(page.name).catch(() => {}) : undefined;

page.onmessage = ({ data }) => {
  answer(data).catch((error: unknown) =>
    page.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
};

async function answer(request: Request): Promise<void> {
  if (request.kind === "start") return start(request);
  if (!run) return;
  switch (request.kind) {
    case "pause":
      run.paused = true; // the loop says so when the step at hand is done
      return;
    case "resume":
      run.paused = false;
      return loop(run);
    case "step":
      if (!run.ended) page.postMessage(await run.step());
      return;
    case "speed":
      run.rest = request.rest;
      return;
    case "observe":
      for (const side of sides) page.postMessage({ kind: "observed", side, observation: await observe(run.trainers[side], run.task, run.corpus, request.passage) }); // prettier-ignore
      return;
    case "write":
      for (const side of sides) page.postMessage(await written(run, side, request.prompt, request.bytes));
      return;
    case "export": {
      const file = await exportModel(run.trainers[request.side], run.settings, request.side);
      return page.postMessage({ kind: "exported", side: request.side, file }, [file.buffer]);
    }
  }
}

async function start({ settings, text, paused }: Request & { kind: "start" }): Promise<void> {
  run = undefined;
  await early; // or it would become the device of a run that asks for another one
  const backend = await use(settings.shared.backend);
  const made = new Run(settings, text, backend);
  made.paused = paused;
  run = made;
  const { a, b } = made.trainers;
  const parameters = { a: a.model.parameters().reduce((sum, { size }) => sum + size, 0), b: b.model.parameters().reduce((sum, { size }) => sum + size, 0) }; // prettier-ignore
  page.postMessage({
    kind: "started",
    description: backend.description,
    parameters,
    caution: { a: caution(a.model), b: caution(b.model) },
  });
  // Counting takes longer than a step, which the reader waits for.
  if (!paused) page.postMessage(await made.step());
  page.postMessage({ kind: "counted", baselines: countingOf(made.corpus) });
  await loop(made);
}

const NAMES = ["unigram", "bigram", "3-gram"];
const COUNTED = 20_000;

/** What tables of the training text need for the beginning of each class, in bits per byte: lines for the curve. */
function countingOf({ classes }: Corpus): { name: string; bits: number }[] {
  const texts = classes.map(({ training }) => training.subarray(0, COUNTED));
  const model = new NgramModel(NAMES.length);
  for (const text of texts) model.add(text);
  const bytes = texts.reduce((sum, text) => sum + text.length, 0);
  const bits = texts.map((text) => model.bits(text));
  return NAMES.map((name, n) => ({ name, bits: bits.reduce((sum, ofText) => sum + ofText[n], 0) / bytes }));
}

async function loop(of: Run): Promise<void> {
  while (run === of && !of.paused && !of.ended) {
    page.postMessage(await of.step());
    await turn(of.rest);
  }
  if (run === of && of.paused && !of.ended) page.postMessage({ kind: "paused", step: of.steps });
  if (run === of && of.ended) page.postMessage({ kind: "finished", step: of.steps });
}

/** A turn of the event loop, in which a request can arrive. */
function turn(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function written({ trainers, settings }: Run, side: Side, prompt: string, bytes: number): Promise<Report> {
  const { model } = trainers[side];
  if (!canGenerate(model))
    return {
      kind: "wrote",
      side,
      bytes: new Uint8Array(),
      expert: new Int32Array(),
      why: caution(model) ?? "its routers cannot write text",
    };
  const { text, expert } = await writeOn(model, prompt, { bytes, length: settings.shared.length, random: key(settings.shared.seed).at("write", trainers[side].steps) }); // prettier-ignore
  return { kind: "wrote", side, bytes: text, expert, why: null };
}
