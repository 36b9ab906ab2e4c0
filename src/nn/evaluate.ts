/** Scoring a language model on held-out sequences. B batch, T tokens. */
import { aTensor, check, describe, having, optional } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import type { Backend } from "../autograd/contract.ts";
import { key } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { crossEntropy } from "./crossEntropy.ts";
import type { LanguageModelInput, LanguageModelOutput } from "./languageModel.ts";
import type { Pass } from "./module.ts";

/** The pass for evaluation: dropout, jitter and noise are off, and nothing is drawn. */
export const evaluation: Pass = { training: false, random: key("evaluation") };

/** The same without auxiliary losses, for generation and scoring. */
export const scoring: Pass = { ...evaluation, losses: false };

/** What `evaluate` and `generate` take: a model from ids [B, T] to logits [B, T, V]. */
export interface LanguageModel {
  /** Where its parameters live. Default: the current backend. */
  readonly backend?: Backend;
  forward(ids: Tensor, input: LanguageModelInput, pass: Pass): LanguageModelOutput;
}

/** Sequences to be scored together. */
export interface Batch {
  /** [B, T] int32 */
  readonly ids: Tensor;
  /** [B, T] int32: the token that follows each; -100 where it is not scored (padding, context). */
  readonly targets: Tensor;
  /** [B, T], 0 for padding. */
  readonly mask?: Tensor;
}

/** How well a model predicts. */
export interface Evaluation {
  /** Nats per scored token. */
  readonly loss: number;
  /** Bits per scored token; where tokens are bytes, bits per byte. */
  readonly bits: number;
  /** How many were scored. */
  readonly tokens: number;
}

/**
 * Scores a model: the mean cross-entropy over all scored tokens of `data`, so that batches of any size weigh by their tokens. It records nothing
 * and frees what it made. Throws where no token is scored.
 */
export async function evaluate(model: LanguageModel, data: Iterable<Batch>): Promise<Evaluation> {
  check("evaluate", "model", model, having("a language model", "forward"));
  if (typeof data !== "object" || data === null || !(Symbol.iterator in data))
    throw new TypeError(`evaluate: data ${describe(data)}: want batches, such as [{ ids, targets }]`);
  let [sum, tokens] = [0, 0];
  for (const batch of data) {
    check("evaluate", "a batch", batch, having("an object with ids and targets", "ids", "targets"));
    const { ids, targets, mask } = batch;
    for (const [name, value] of Object.entries({ ids, targets })) check("evaluate", `${name} of a batch`, value, aTensor);
    check("evaluate", "mask of a batch", mask, optional(aTensor));
    const parts = noGrad(() =>
      scope(() => {
        const { logits } = model.forward(ids, mask ? { mask } : {}, scoring);
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
