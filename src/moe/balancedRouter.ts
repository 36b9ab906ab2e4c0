/**
 * Balanced assignment: while training, Sinkhorn's algorithm evens out the logits before the best expert is chosen, so that all experts get
 * nearly equal loads. The raw logits make the gates, and in evaluation the choice too. No loss is needed.
 * Clark et al. 2022, arXiv:2202.01169 (S-BASE).
 *
 * It departs from BASE, Lewis et al. 2021, arXiv:2103.16716, which S-BASE simplifies: there an auction runs until each expert has exactly
 * S / E tokens. Here the number of rounds is fixed, so the load is nearly even, and tokens beyond an expert's slots are dropped.
 *
 * While training, a token's expert depends on all tokens of the group, so the router is not for causal models.
 * G groups, S tokens of a group, E experts, K choices, D width.
 */
import { noGrad } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { checkOptions, optional, upTo } from "./arguments.ts";
import type { AssignmentOptions } from "./assignment.ts";
import { assignmentKinds, sinkhorn } from "./assignment.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import type { GroupedTokens } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices, SeatingOptions } from "./seating.ts";

/** Options of balanced assignment; `temperature` and `rounds` are Sinkhorn's. */
export interface BalancedOptions extends ProjectionOptions, SeatingOptions, AssignmentOptions {
  /** K. Default 1, whose gate is the sigmoid of the logit; with more, gates are the softmax over all experts. */
  readonly choices?: number;
  /** Whether a causal model may use it nevertheless, to study what it does there. Default false. */
  readonly allowCausal?: boolean;
}

/**
 * Sends each token to its K best experts after the load has been evened out: in training it chooses by Sinkhorn's assignment of the logits, in
 * evaluation by the logits. Gates always come from the raw logits. It needs no balance loss. An acausal router: refused in a causal model.
 * Throws for an option that it does not know or that is out of range. Clark et al. 2022, arXiv:2202.01169 (S-BASE).
 */
export class BalancedRouter extends Router {
  readonly projection: Projection;
  readonly options: BalancedOptions;

  constructor(options: BalancedOptions) {
    const { group, priority, queueBy, allowCausal } = routerKinds;
    checkOptions<BalancedOptions>("BalancedRouter", options, {
      ...projectionKinds,
      ...assignmentKinds,
      group,
      priority,
      queueBy,
      allowCausal,
      choices: optional(upTo(options?.experts)),
    });
    const { choices = 1 } = options;
    super(options, {
      name: "balanced assignment",
      choosing: "tokens",
      choices,
      capacity: true,
      time: "acausal",
      gatesSumToOne: false,
      learns: true,
      scores: choices === 1 ? "sigmoid" : "softmax",
      readsIds: false,
    });
    this.options = options;
    this.projection = new Projection(projectionOptions(options));
  }

  protected choose(x: Tensor, { mask, pass }: GroupedTokens): Choices {
    const { choices = 1 } = this.options;
    const logits = this.projection.forward(x); // [G, S, E]
    const probs = logits.softmax(-1);
    const scores = choices === 1 ? logits.sigmoid() : probs;
    const balanced = pass.training ? noGrad(() => sinkhorn(logits, mask?.unsqueeze(2), assignmentOf(this.options))) : logits;
    const expertOfChoice = balanced.topK(choices).indices;
    return { expertOfChoice, gate: scores.takeAlong(expertOfChoice, 2), logits, probs };
  }
}

function assignmentOf({ temperature, rounds }: AssignmentOptions): AssignmentOptions {
  return { ...(temperature !== undefined && { temperature }), ...(rounds !== undefined && { rounds }) };
}
