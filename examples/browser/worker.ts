/** The worker: trains the small Switch Transformer of the main job, and reports every step. */
import { key, useBackend } from "switchyard-moe";
import { LanguageModelling } from "../train/languageModelling.ts";
import { buildModel } from "../train/model.ts";
import type { ModelConfig } from "../train/modelOptions.ts";
import type { Corpus } from "../train/text.ts";
import { Trainer } from "../train/training.ts";
import type { TrainingConfig } from "../train/training.ts";
import type { Report, Request, TextFile } from "./protocol.ts";

const model: ModelConfig = {
  architecture: "decoder",
  router: "switch",
  width: 32,
  layers: 2,
  heads: 2,
  hidden: 64,
  experts: 8,
  sparseEvery: 1,
  length: 32,
  capacityFactor: 1.25,
  alpha: 0.01,
  zLoss: 0,
  jitter: 0.01,
  group: "batch",
  balanceScope: "batch",
  priority: "position",
  expertDropout: 0,
  dropout: 0,
  initScale: 0.1,
  precision: "float32",
};
const training: Omit<TrainingConfig, "seed"> = {
  steps: 1000,
  batch: 16,
  length: 32,
  lr: 3e-3,
  warmup: 20,
  accumulate: 1,
  clip: 1,
  weightDecay: 0.01,
};

/** What a worker sees of the page. */
interface WorkerScope {
  postMessage(message: Report): void;
  onmessage: ((event: { readonly data: Request }) => void) | null;
}
const worker = globalThis as unknown as WorkerScope;
const report = (message: Report): void => worker.postMessage(message);

/** The latest request; a run goes on while it is its own. */
let current: Request | undefined;

worker.onmessage = ({ data }) => {
  current = data;
  if (data.kind === "train") train(data).catch((error: Error) => report({ kind: "failed", message: error.message }));
};

async function train(request: Request & { kind: "train" }): Promise<void> {
  const corpus = await loadText();
  const backend = await useBackend(request.backend);
  const wanted = (): boolean => current === request;
  if (!wanted()) return;
  const trainer = new Trainer(buildModel(model, key(request.seed).at("init")), new LanguageModelling(corpus, training), {
    ...training,
    seed: request.seed,
  });
  const parameters = trainer.model.parameters().reduce((sum, { size }) => sum + size, 0);
  report({ kind: "started", backend: request.backend, description: backend.description, parameters });
  while (wanted() && trainer.steps < training.steps) {
    const start = performance.now();
    const { step, loss, layers, dropped } = await trainer.step();
    const tokensPerSecond = (1000 * training.batch * training.length) / (performance.now() - start);
    report({ kind: "step", step, steps: training.steps, bits: loss / Math.LN2, layers, dropped, tokensPerSecond });
    await turn();
  }
  if (wanted() || stopped()) report({ kind: "stopped", step: trainer.steps });
}

function stopped(): boolean {
  return current?.kind === "stop";
}

/** A turn of the event loop, in which a new request can arrive. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function loadText(): Promise<Corpus> {
  const { source, classes } = (await (await fetch("/text.json")).json()) as TextFile;
  const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return {
    source,
    unit: "language",
    split: "Nothing is held out.",
    classes: classes.map(({ name, code, training: text }) => {
      const document = bytes(text);
      return { name, code, lang: code, dir: "ltr", document, heldOut: [], training: document };
    }),
  };
}
