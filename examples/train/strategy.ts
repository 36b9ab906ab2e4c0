/** How one step is taken: here alone, or shared with other processes. One training loop serves both. */
import { afterStep } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { gradNorm } from "switchyard-moe/nn";
import type { Module, Parameters } from "switchyard-moe/nn";
import type { Tensor } from "switchyard-moe";

/** A part of a step: some rows of a micro-batch, routed together. */
export interface Shard {
  /** Which micro-batch. */
  readonly part: number;
  /** Which shard of it, from 0. */
  readonly index: number;
}

/** The parts of a training step that differ between one process and several. */
export interface Strategy {
  /** The shards that are computed here, in order. */
  readonly shards: readonly Shard[];
  /** The parameters that are moved here. */
  readonly parameters: Parameters;
  /** Names the step, for errors. */
  begin(step: number): void;
  /** The backward pass from the loss of one shard. */
  backward(loss: Tensor): void;
  /** Sums the gradients of all shards of the step; returns their norm. */
  reduce(): Tensor;
  /** Sends the parameters that were updated here to the other processes that hold them. */
  share(): void;
  /** Passes the routings of the step, of each shard, to the routers. */
  afterStep(routings: readonly (readonly Routing[])[]): void;
  /** Gathers some numbers of each shard of the step, the same number from each, in order of shards. */
  gather(own: readonly Float64Array[]): Float64Array[];
}

export interface StepParts {
  /** Micro-batches of a step. */
  readonly accumulate: number;
  /** Shards of each micro-batch. Default 1. */
  readonly shards?: number;
}

/** The shards of a step in order: those of the first micro-batch first. */
export function shardsOf({ accumulate, shards = 1 }: StepParts): Shard[] {
  return Array.from({ length: accumulate * shards }, (_, i) => ({ part: Math.floor(i / shards), index: i % shards }));
}

/** Everything in this process. */
export function oneProcess(model: Module, parts: StepParts): Strategy {
  const parameters = model.parameters();
  return {
    shards: shardsOf(parts),
    parameters: model,
    begin: () => undefined,
    backward: (loss) => loss.backward({ release: true }),
    reduce: () => gradNorm(parameters),
    share: () => undefined,
    afterStep: (routings) => afterStep(model, ...routings),
    gather: (own) => [...own],
  };
}
