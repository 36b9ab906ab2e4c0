/** Training with a bug of many processes and without it: on which case, for how long, and over which data. */
import type { LayoutCase, LayoutRun } from "switchyard-moe/testing";
import { shardOf } from "../../src/testing/layouts/cases.ts";
import { ofCheckpoints } from "../../test/testing/brokenLayouts.ts";

/** What is trained. */
export interface Training {
  readonly case: LayoutCase;
  /** An even number: half of them before the training is saved. */
  readonly steps: number;
  /** Sequences of each shard in the last step, where it has a batch of its own: the end of an epoch is short. */
  readonly last: readonly number[] | null;
  /** Whether the training is saved in the middle and goes on from that. */
  readonly saved: boolean;
}

const usual: LayoutCase = { seed: 1, ranks: 2, expertsOver: 2, expertsEach: 2, router: "switch", factor: 2, shards: [8, 5], padding: [0, 0], balance: "rank", sharedState: false }; // prettier-ignore
/** What a bug needs to be there at all: replicas of experts, a bias, a balance loss over the global batch, experts without tokens. */
const needs: Readonly<Record<string, Partial<LayoutCase>>> = {
  ExpertReplicasNotReduced: { expertsOver: 1 },
  BiasByOwnCounts: { router: "loss-free" },
  GlobalBalanceTooSmall: { balance: "global" },
  UnusedExpertsStandStill: { expertsEach: 1, shards: [1, 1], padding: [2, 2] },
};
/** Bugs that full batches do not show: in the last step only rank 0 has tokens. Then ranks wait for ever. */
export const ofShortBatches: readonly string[] = ["BranchOnData", "NoTokensNoBackward"];

export function trainingOf(variant: string): Training {
  return {
    case: { ...usual, ...needs[variant] },
    steps: 120,
    last: ofShortBatches.includes(variant) ? [8, 0] : null,
    saved: ofCheckpoints.includes(variant),
  };
}

/** A run that learns one batch by heart, the same in each step: what is drawn at random can be learned in no other way. Tells the loss of each step. */
export function learning(Run: typeof LayoutRun, { last, steps }: Training, heard: (step: number, loss: number) => void): typeof LayoutRun {
  return class extends Run {
    protected override shardOf(step: number, shard: number) {
      if (last === null || step < steps - 1) return super.shardOf(0, shard);
      return shardOf({ ...this.case, shards: last }, 0, shard, this.precision);
    }

    override step(step: number) {
      const taken = super.step(step);
      heard(step, taken.loss);
      return taken;
    }
  };
}
