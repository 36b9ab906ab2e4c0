/** Scoring a language model on held-out sequences. B batch, T tokens. */
import { noGrad } from "../autograd/context.ts";
import type { Backend } from "../autograd/contract.ts";
import { key } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { crossEntropy } from "./crossEntropy.ts";
import type { LanguageModelInput, LanguageModelOutput } from "./languageModel.ts";
import type { Pass } from "./module.ts";

/** A pass that draws nothing. */
export const evaluation: Pass = { training: false, random: key("evaluation") };

export interface LanguageModel {
  /** Where its parameters live; the current backend, if it does not say. */
  readonly backend?: Backend;
  forward(ids: Tensor, input: LanguageModelInput, pass: Pass): LanguageModelOutput;
}

export interface Batch {
  /** [B, T] int32 */
  readonly ids: Tensor;
  /** [B, T] int32: the token that follows each; -100 where it shall not be scored (padding, mere context). */
  readonly targets: Tensor;
  /** [B, T], 0 for padding. */
  readonly mask?: Tensor;
}

export interface Evaluation {
  /** Nats per scored token. */
  readonly loss: number;
  /** Bits per scored token: per byte, where tokens are bytes. */
  readonly bits: number;
  /** How many were scored. */
  readonly tokens: number;
}

/** The mean cross-entropy over all scored tokens of `data`, each counted once. Nothing is drawn, recorded or kept. */
export async function evaluate(model: LanguageModel, data: Iterable<Batch>): Promise<Evaluation> {
  let [sum, tokens] = [0, 0];
  for (const { ids, targets, mask } of data) {
    const parts = noGrad(() =>
      scope(() => {
        const { logits } = model.forward(ids, mask ? { mask } : {}, evaluation);
        return { sum: crossEntropy(logits, targets, { reduction: "sum" }), count: targets.notEqual(-100).sum() };
      }),
    );
    sum += await parts.sum.item();
    tokens += await parts.count.item();
    parts.sum.dispose();
    parts.count.dispose();
  }
  if (tokens === 0) throw new RangeError("evaluate: the data holds no token to score");
  return { loss: sum / tokens, bits: sum / tokens / Math.LN2, tokens };
}
