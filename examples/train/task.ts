/** What a run learns, apart from how it is trained: one training loop serves every task. */
import type { Key, Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import type { Module, Pass } from "switchyard-moe/nn";

/** Sequences [from, to) of a batch. */
export interface Rows {
  readonly from: number;
  readonly to: number;
}

/** Where a micro-batch takes its numbers from. */
export interface At {
  /** Of the choice of the batch. */
  readonly batch: Key;
  /** The sequences of it that are learned from; absent: all. Only where the task `cutsBatches`. */
  readonly rows?: Rows | undefined;
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

/** Those that share a validation. */
export interface Peers {
  readonly rank: number;
  readonly size: number;
  /** Numbers of all of them, one after the other; each gives equally many. */
  allGather(numbers: Float64Array): Float64Array;
}

/** What training makes smaller; M is the kind of model that learns it. All that a trainer needs. */
export interface Objective<M extends Module> {
  /** Tokens that a model reads in a micro-batch: what "tokens per second" counts. */
  readonly tokens: number;
  /** What the loss is counted in, by its base 2: "bits/byte". */
  readonly unit: string;
  /**
   * Whether it can learn from some rows of a batch: where every sequence scores equally many tokens, so that shards weigh as their rows.
   */
  readonly cutsBatches?: true;
  forward(model: M, at: At): Forwarded;
}

/** Something to learn, and how well it was learned. */
export interface Task<M extends Module> extends Objective<M> {
  /** Loss on a sample of what is held out, in the unit. With `peers`, which all call it, each looks at a part of the sample. */
  validate(model: M, peers?: Peers): Promise<number>;
}
