/** Tasks whose loss is the cross-entropy of predicted tokens: the form that a teacher's predictions fit too. */
import type { Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { crossEntropy } from "switchyard-moe/nn";
import type { EncoderDecoder, Module, Pass } from "switchyard-moe/nn";
import type { PairBatch } from "./pairs.ts";
import type { At, Forwarded, Task } from "./task.ts";

export interface Predicted {
  /** [..., V] */
  readonly logits: Tensor;
  /** [...] int32, -100 where nothing is scored. */
  readonly targets: Tensor;
  readonly auxiliary: Readonly<Record<string, Tensor>>;
  readonly routings: readonly Routing[];
}

/** Hears of the share that is done. */
export type Progress = (share: number) => void;

export interface PredictingTask<M extends Module> extends Task<M> {
  predict(model: M, at: At): Predicted;
  /** Loss on all that is held out, in the unit. */
  score(model: M, progress: Progress): Promise<number>;
}

/** The loss of what was predicted. */
export function hardLoss({ logits, targets, auxiliary, routings }: Predicted): Forwarded {
  return { loss: crossEntropy(logits, targets), auxiliary, routings };
}

/** What an encoder-decoder predicts of a batch of pairs. */
export function predictPairs(model: EncoderDecoder, { given, targets }: PairBatch, pass: Pass): Predicted {
  const { logits, losses, routings } = model.forward(given, pass);
  return { logits, targets, auxiliary: losses, routings: [...routings.encoder, ...routings.decoder] as Routing[] };
}
