/** The task of the main job: each byte of a text from those before it. */
import { tensor } from "switchyard-moe";
import type { Key } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { crossEntropy } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { evaluateModel } from "./evaluation.ts";
import type { Batch, Sequence } from "./sequences.ts";
import { sampleBatch, spread, validationWindows } from "./sequences.ts";
import type { At, Forwarded, Task } from "./task.ts";
import type { Corpus } from "./text.ts";

/** Windows that a validation during training looks at; the last one looks at all. */
const QUICK_WINDOWS = 256;

export class LanguageModelling implements Task<DecoderLanguageModel> {
  readonly unit = "bits/byte";
  readonly tokens: number;
  readonly #corpus: Corpus;
  readonly #size: { readonly size: number; readonly length: number };
  #windows: readonly Sequence[] | undefined;

  constructor(corpus: Corpus, { batch, length }: { readonly batch: number; readonly length: number }) {
    this.#corpus = corpus;
    this.#size = { size: batch, length };
    this.tokens = batch * length;
  }

  /** A training batch: the same for the same key, whatever the model. */
  batch(key: Key): Batch {
    return sampleBatch(this.#corpus, this.#size, (i) => key.number(i));
  }

  forward(model: DecoderLanguageModel, { batch, pass }: At): Forwarded {
    const { size, length, inputs, targets } = this.batch(batch);
    const { logits, losses, routings } = model.forward(tensor(inputs, { shape: [size, length] }), {}, pass);
    const loss = crossEntropy(logits, tensor(targets, { shape: [size, length] }));
    return { loss, auxiliary: losses, routings: routings as Routing[] };
  }

  async validate(model: DecoderLanguageModel): Promise<number> {
    const { size, length } = this.#size;
    this.#windows ??= spread(validationWindows(this.#corpus, { length }), QUICK_WINDOWS);
    return (await evaluateModel(model, this.#windows, { batch: size, languages: this.#corpus.classes.length })).bits;
  }
}
