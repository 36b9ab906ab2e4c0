/** What a run learns, apart from how it is trained: one training loop serves every task. */
import type { Key, Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import type { Module, Pass } from "switchyard-moe/nn";

/** Where a micro-batch takes its numbers from. */
export interface At {
  /** Of the choice of the batch. */
  readonly batch: Key;
  /** Of dropout, jitter and noise. */
  readonly pass: Pass;
}

/** What a model made of a micro-batch. */
export interface Forwarded {
  /** Mean over the predicted tokens, in nats; with its history. */
  readonly loss: Tensor;
  /** Auxiliary losses by name, weights inside. */
  readonly auxiliary: Readonly<Record<string, Tensor>>;
  /** Of each sparse layer. */
  readonly routings: readonly Routing[];
}

/** Something to learn; M is the kind of model that learns it. */
export interface Task<M extends Module> {
  /** Tokens that a model reads in a micro-batch: what "tokens per second" counts. */
  readonly tokens: number;
  /** What the loss is counted in, by its base 2: "bits/byte". */
  readonly unit: string;
  forward(model: M, at: At): Forwarded;
  /** Loss on a sample of what is held out, in the unit. */
  validate(model: M): Promise<number>;
}
