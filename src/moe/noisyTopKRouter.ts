/**
 * Noisy top-K gating: softmax over the K largest of noisy logits, the noise itself learnt; two losses keep importance and load even.
 * Shazeer et al. 2017, arXiv:1701.06538, section 2.1, section 4 and appendix A. In evaluation there is no noise, and the load is a count.
 * B sequences, T tokens of each, E experts, K choices, D width, R scopes of L tokens.
 */
import { where } from "../autograd/operations.ts";
import * as random from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { constantInitializer } from "../nn/initializers.ts";
import type { Pass } from "../nn/module.ts";
import { importanceLoss, loadLoss } from "./losses.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection } from "./projection.ts";
import type { RouteRequest, RouterTraits, BalanceScope } from "./router.ts";
import { Router, checkRequest, grouped, groupsOf } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { SeatingOptions } from "./tokenChoice.ts";
import { seat } from "./tokenChoice.ts";

export interface NoisyTopKOptions extends ProjectionOptions, SeatingOptions {
  /** K; the paper wants more than 1, for a gate of one survivor is always 1 and teaches the router nothing. */
  readonly choices: number;
  /** Coefficient of CV^2 of the gates' sums. Default 0.1. */
  readonly importance?: number;
  /** Coefficient of CV^2 of the expected loads. Default 0.1. */
  readonly load?: number;
  readonly balanceScope?: BalanceScope;
}

/** Least deviation of the noise while training: the released code adds it to the paper's softplus. */
const LEAST_NOISE = 1e-2;

/** Both projections start at zero: no signal, some noise, an even load (appendix A). */
export class NoisyTopKRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  readonly noise: Projection;
  readonly options: NoisyTopKOptions;

  constructor(options: NoisyTopKOptions) {
    super();
    const { experts, choices, initializer = constantInitializer(0) } = options;
    if (!Number.isInteger(choices) || choices < 1 || choices > experts)
      throw new RangeError(`choices ${choices}: must be a whole number from 1 to the ${experts} experts`);
    this.options = options;
    this.experts = experts;
    this.projection = new Projection({ ...options, initializer });
    this.noise = new Projection({ ...options, initializer, random: options.random.at("noise") });
    this.traits = {
      name: `noisy top-${choices}`,
      choosing: "tokens",
      choices,
      capacity: true,
      time: choices === 1 && (options.priority ?? "position") === "position" ? "causal" : "dropless",
      gatesSumToOne: true,
      learns: choices > 1,
      scores: "softmax",
      readsIds: false,
    };
  }

  route(request: RouteRequest): Routing {
    checkRequest(request, this.options.width);
    const { choices } = this.options;
    const input = this.projection.input(request.tokens, request.mask);
    const clean = this.projection.forward(input); // [B, T, E]
    const deviation = request.pass.training ? this.noise.forward(input).softplus().add(LEAST_NOISE) : null;
    const noisy = deviation ? clean.add(deviation.mul(gaussian(clean, request.pass))) : clean; // eq. 4
    const kept = noisy.rank(-1, { descending: true }).less(choices);
    const probs = where(kept, noisy, -Infinity).softmax(-1); // eq. 3 and 5
    const expertOfChoice = noisy.topK(choices).indices;
    const gate = probs.takeAlong(expertOfChoice, 2);
    const expected = deviation && choices < this.experts ? loadProbability(clean, noisy, deviation, choices) : kept.cast(clean.dtype);
    const losses = this.#losses(probs, expected, request);
    return seat({ experts: this.experts, expertOfChoice, gate, logits: noisy, probs, losses }, request, this.options);
  }

  #losses(gates: Tensor, expected: Tensor, { mask }: RouteRequest): Record<string, Tensor> {
    const { importance = 0.1, load = 0.1, balanceScope = "batch" } = this.options;
    const scopes = groupsOf(gates, balanceScope);
    const inScopes = (x: Tensor): Tensor => grouped(x, scopes);
    const scopedMask = mask && inScopes(mask);
    return {
      ...(importance && { importance: importanceLoss(inScopes(gates), scopedMask).mul(importance) }),
      ...(load && { load: loadLoss(inScopes(expected), scopedMask).mul(load) }),
    };
  }
}

/** One standard normal number for each logit; drawn on the host, so the same on every device. */
function gaussian(like: Tensor, { random: at }: Pass): Tensor {
  return random.normal(like.shape, at.at("noise"), { dtype: like.dtype, backend: like.backend });
}

/**
 * P(x, i): how likely expert i is among the K best if only its own noise is drawn again. Appendix A, eq. 8-9:
 * Phi((clean_i - t_i) / deviation_i), t_i the K-th largest noisy logit without i. Of the K + 1 largest, that is the last for
 * those among the first K, and the last but one for the others. All [B, T, E].
 */
export function loadProbability(clean: Tensor, noisy: Tensor, deviation: Tensor, choices: number): Tensor {
  const { values } = noisy.topK(choices + 1); // [B, T, K + 1]
  const [atLast, atNext] = [values.narrow(2, choices - 1, choices), values.narrow(2, choices, choices + 1)];
  const inside = noisy.rank(-1, { descending: true }).less(choices);
  return clean
    .sub(where(inside, atNext, atLast))
    .div(deviation)
    .normalCdf();
}
