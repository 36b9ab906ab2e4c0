/**
 * Balanced assignment: while training, logits are first evened out by Sinkhorn's algorithm, so that choosing the best loads all
 * experts nearly alike; the raw logits make the gates, and in evaluation the choice too. No loss is needed.
 * Clark et al. 2022, arXiv:2202.01169 (S-BASE).
 *
 * It departs from BASE, Lewis et al. 2021, arXiv:2103.16716, which S-BASE simplifies: there an auction assigns each expert exactly S / E
 * tokens, as many rounds as it takes. Here rounds are fixed, so the load is nearly even; what goes beyond an expert's slots is dropped.
 *
 * While it trains, a token's expert depends on all tokens of the group: not for causal models.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, K choices, D width.
 */
import { noGrad } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { AssignmentOptions } from "./assignment.ts";
import { sinkhorn } from "./assignment.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection } from "./projection.ts";
import type { RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest, grouped, groupsOf, refuseCausal } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { SeatingOptions } from "./tokenChoice.ts";
import { seat } from "./tokenChoice.ts";

export interface BalancedOptions extends ProjectionOptions, SeatingOptions, AssignmentOptions {
  /** K. Default 1, weighed by a sigmoid; more are weighed by a softmax over all experts. */
  readonly choices?: number;
  /** Serve in a causal model all the same. */
  readonly allowCausal?: boolean;
}

export class BalancedRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  readonly options: BalancedOptions;

  constructor(options: BalancedOptions) {
    super();
    const { experts, choices = 1 } = options;
    if (!Number.isInteger(choices) || choices < 1 || choices > experts)
      throw new RangeError(`choices ${choices}: must be a whole number from 1 to the ${experts} experts`);
    this.options = options;
    this.experts = experts;
    this.projection = new Projection(options);
    this.traits = {
      name: "balanced assignment",
      choosing: "tokens",
      choices,
      capacity: true,
      time: "acausal",
      gatesSumToOne: false,
      learns: true,
      scores: choices === 1 ? "sigmoid" : "softmax",
      readsIds: false,
    };
  }

  route(request: RouteRequest): Routing {
    const { choices = 1, allowCausal, width } = this.options;
    checkRequest(request, width);
    refuseCausal("balanced assignment", "while it trains, a token's expert depends on later tokens", request, allowCausal);
    const logits = this.projection.forward(this.projection.input(request.tokens, request.mask)); // [B, T, E]
    const probs = logits.softmax(-1);
    const scores = choices === 1 ? logits.sigmoid() : probs;
    const worth = request.pass.training ? noGrad(() => this.#evened(logits, request)) : logits;
    const expertOfChoice = worth.topK(choices).indices;
    const gate = scores.takeAlong(expertOfChoice, 2);
    return seat({ experts: this.experts, expertOfChoice, gate, logits, probs, losses: {} }, request, this.options);
  }

  #evened(logits: Tensor, { tokens, mask }: RouteRequest): Tensor {
    const groups = groupsOf(tokens, this.options.group ?? "batch");
    return sinkhorn(grouped(logits, groups), mask && grouped(mask, groups).unsqueeze(2), this.options).reshape(logits.shape);
  }
}
