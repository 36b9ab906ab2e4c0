/**
 * The classic mixture of experts: every expert sees every token, a softmax weighs them. Jacobs et al. 1991; as the dense limit
 * of sparse gating in Shazeer et al. 2017, arXiv:1701.06538, eq. 2. Nothing is sparse here and nothing is dropped.
 * B sequences, T tokens of each, E experts, D width.
 */
import { arange } from "../autograd/create.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection } from "./projection.ts";
import type { RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { RouterLossOptions } from "./tokenChoice.ts";
import { seat, tokenLosses } from "./tokenChoice.ts";

export interface DenseOptions extends ProjectionOptions, RouterLossOptions {}

export class DenseRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  readonly options: DenseOptions;

  constructor(options: DenseOptions) {
    super();
    this.options = options;
    this.experts = options.experts;
    this.projection = new Projection(options);
    this.traits = {
      name: "dense softmax",
      choosing: "tokens",
      choices: options.experts,
      capacity: false,
      time: "causal",
      gatesSumToOne: true,
      learns: true,
      scores: "softmax",
      readsIds: false,
    };
  }

  route(request: RouteRequest): Routing {
    checkRequest(request, this.options.width);
    const logits = this.projection.forward(this.projection.input(request.tokens, request.mask)); // [B, T, E]
    const probs = logits.softmax(-1);
    const everyone = arange(0, this.experts, 1, { dtype: "int32", backend: logits.backend });
    const expertOfChoice = everyone.broadcastTo(logits.shape).contiguous();
    const losses = tokenLosses({ expertOfChoice, logits, probs }, request, this.options);
    return seat(
      { experts: this.experts, expertOfChoice, gate: probs, logits, probs, losses },
      { ...request, capacityFactor: Infinity },
      {},
    );
  }
}
