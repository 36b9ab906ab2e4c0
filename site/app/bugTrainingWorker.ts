/** The worker of a room: trains the right and the broken twin of a bug, step by step in turn, and tells what it sees. */
import { useBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { Corpus } from "../../examples/train/text.ts";
import { trainedOf } from "../../test/moe/gallery/trained/index.ts";
import { TwinRun } from "../../test/moe/gallery/trained/run.ts";
import { corpusOf } from "./pageCorpus.ts";
import type { TrainingReport, TrainingRequest } from "./bugTrainingProtocol.ts";

interface WorkerScope {
  postMessage(message: TrainingReport): void;
  onmessage: ((event: { readonly data: TrainingRequest }) => void) | null;
}
const page = globalThis as unknown as WorkerScope;

page.onmessage = ({ data }) => {
  train(data).catch((error: unknown) =>
    page.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
};

async function train({ title, seed, text }: TrainingRequest): Promise<void> {
  const { watched, setting: { variant, ...wish } = {} } = trainedOf(title);
  const [corpus, { description }] = await Promise.all([corpusAt(text), device()]);
  const run = new TwinRun(title, corpus, { seed });
  const { model, training } = run.setting;
  page.postMessage({
    kind: "started",
    watched: { name: watched.name, as: watched.as },
    steps: training.steps,
    sizes: {
      layers: model.layers,
      width: model.width,
      experts: model.experts,
      choices: model.router === "switch" ? 1 : (model.variant?.choices ?? 1),
      tokens: training.batch * training.length,
      languages: corpus.classes.length,
    },
    wished: Object.entries({ ...wish, ...variant }).map(([name, value]) => `${name} ${String(value)}`),
    device: description,
  });
  while (!run.ended) {
    const made = await run.step();
    if (made.right && made.right.error !== null) throw new Error(made.right.error);
    page.postMessage({ kind: "step", ...made, step: run.steps });
  }
  page.postMessage({ kind: "finished" });
}

/**
 * WebAssembly where the browser has it, plain JavaScript where not. The models are so small that one thread is as quick as several, and the page
 * keeps a processor to draw with.
 */
async function device(): Promise<Backend> {
  try {
    return await useBackend(await wasm({ threads: 1 }));
  } catch {
    return useBackend("cpu");
  }
}

/** The declaration in languages of several scripts, as the playground has it. */
async function corpusAt(address: string): Promise<Corpus> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  const { scripts } = (await answer.json()) as { scripts: readonly { name: string; code: string; training: string }[] };
  return corpusOf(scripts.map((part) => ({ ...part, training: new TextEncoder().encode(part.training) })));
}
