/** Learning each byte of a text from those before it. Scoring is in another file, so that a page that only trains need not load it. */
import { tensor } from "switchyard-moe";
import type { Key, Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import type { Predicted } from "./predicting.ts";
import { hardLoss } from "./predicting.ts";
import type { Batch } from "./sequences.ts";
import { sampleBatch } from "./sequences.ts";
import type { At, Forwarded, Objective } from "./task.ts";
import type { Corpus } from "./text.ts";

export class BytePrediction implements Objective<DecoderLanguageModel> {
  readonly unit = "bits/byte";
  readonly cutsBatches = true;
  readonly tokens: number;
  readonly corpus: Corpus;
  /** Sequences of a batch, and bytes of each. */
  readonly size: { readonly size: number; readonly length: number };

  constructor(corpus: Corpus, { batch, length }: { readonly batch: number; readonly length: number }) {
    this.corpus = corpus;
    this.size = { size: batch, length };
    this.tokens = batch * length;
  }

  /** A training batch: the same for the same key, whatever the model. */
  batch(key: Key): Batch {
    return sampleBatch(this.corpus, this.size, (i) => key.number(i));
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
}
