/** The task of the main job: each byte of a text from those before it. */
import { tensor } from "switchyard-moe";
import type { Key, Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { evaluateModel } from "./evaluation.ts";
import type { Evaluation, EvaluationOptions } from "./evaluation.ts";
import type { Batch, Sequence } from "./sequences.ts";
import { sampleBatch, spread, validationWindows } from "./sequences.ts";
import type { Predicted, PredictingTask, Progress } from "./predicting.ts";
import { hardLoss } from "./predicting.ts";
import type { At, Forwarded, Peers } from "./task.ts";
import type { Corpus } from "./text.ts";

/** Windows that a validation during training looks at; the last one looks at all. */
const QUICK_WINDOWS = 256;

export class LanguageModelling implements PredictingTask<DecoderLanguageModel> {
  readonly unit = "bits/byte";
  readonly cutsBatches = true;
  readonly tokens: number;
  readonly #corpus: Corpus;
  readonly #size: { readonly size: number; readonly length: number };
  #quick: readonly Sequence[] | undefined;

  constructor(corpus: Corpus, { batch, length }: { readonly batch: number; readonly length: number }) {
    this.#corpus = corpus;
    this.#size = { size: batch, length };
    this.tokens = batch * length;
  }

  /** A training batch: the same for the same key, whatever the model. */
  batch(key: Key): Batch {
    return sampleBatch(this.#corpus, this.#size, (i) => key.number(i));
  }

  predict(model: DecoderLanguageModel, { batch, pass, rows }: At): Predicted {
    const { size, length, inputs, targets } = this.batch(batch);
    const { from, to } = rows ?? { from: 0, to: size };
    const table = (all: Int32Array): Tensor => tensor(all.slice(from * length, to * length), { shape: [to - from, length] });
    const { logits, losses, routings } = model.forward(table(inputs), {}, pass);
    return { logits, targets: table(targets), auxiliary: losses, routings: routings as Routing[] };
  }

  forward(model: DecoderLanguageModel, at: At): Forwarded {
    return hardLoss(this.predict(model, at));
  }

  async validate(model: DecoderLanguageModel, peers?: Peers): Promise<number> {
    this.#quick ??= spread(this.#windows(), QUICK_WINDOWS);
    if (peers) return sharedBits(this.#quick, peers, (windows) => evaluateModel(model, windows, this.#options()));
    return (await evaluateModel(model, this.#quick, this.#options())).bits;
  }

  async score(model: DecoderLanguageModel, progress: Progress): Promise<number> {
    return (await evaluateModel(model, this.#windows(), { ...this.#options(), progress })).bits;
  }

  #windows(): Sequence[] {
    return validationWindows(this.#corpus, { length: this.#size.length });
  }

  #options(): EvaluationOptions {
    return { batch: this.#size.size, languages: this.#corpus.classes.length };
  }
}

/**
 * Bits per byte over windows that peers share out. All of them look at equally many, some at one again, since models whose experts are spread
 * must run equally often; sums go window by window, so that they do not depend on the number of peers.
 */
async function sharedBits(
  windows: readonly Sequence[],
  peers: Peers,
  evaluate: (own: readonly Sequence[]) => Promise<Evaluation>,
): Promise<number> {
  const { rank, size } = peers;
  const each = Math.ceil(windows.length / size);
  const own = Array.from({ length: each }, (_, i) => ({ ...windows[(i * size + rank) % windows.length], label: String(i) }));
  const { spans } = await evaluate(own);
  const sums = new Float64Array(2 * each);
  for (const { label, bits, bytes } of spans) sums.set([bits, bytes], 2 * Number(label));
  const all = peers.allGather(sums); // [n, each, 2]
  const place = (window: number): number => 2 * ((window % size) * each + Math.floor(window / size));
  const total = (of: 0 | 1): number => windows.reduce((sum, _, window) => sum + all[place(window) + of], 0);
  return total(0) / total(1);
}
