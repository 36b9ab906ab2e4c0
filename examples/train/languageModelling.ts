/** The task of the main job: each byte of a text from those before it. */
import { tensor } from "switchyard-moe";
import type { Key } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { evaluateModel } from "./evaluation.ts";
import type { EvaluationOptions } from "./evaluation.ts";
import type { Batch, Sequence } from "./sequences.ts";
import { sampleBatch, spread, validationWindows } from "./sequences.ts";
import type { Predicted, PredictingTask, Progress } from "./predicting.ts";
import { hardLoss } from "./predicting.ts";
import type { At, Forwarded } from "./task.ts";
import type { Corpus } from "./text.ts";

/** Windows that a validation during training looks at; the last one looks at all. */
const QUICK_WINDOWS = 256;

export class LanguageModelling implements PredictingTask<DecoderLanguageModel> {
  readonly unit = "bits/byte";
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

  predict(model: DecoderLanguageModel, { batch, pass }: At): Predicted {
    const { size, length, inputs, targets } = this.batch(batch);
    const { logits, losses, routings } = model.forward(tensor(inputs, { shape: [size, length] }), {}, pass);
    return { logits, targets: tensor(targets, { shape: [size, length] }), auxiliary: losses, routings: routings as Routing[] };
  }

  forward(model: DecoderLanguageModel, at: At): Forwarded {
    return hardLoss(this.predict(model, at));
  }

  async validate(model: DecoderLanguageModel): Promise<number> {
    this.#quick ??= spread(this.#windows(), QUICK_WINDOWS);
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
