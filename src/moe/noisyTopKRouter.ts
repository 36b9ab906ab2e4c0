/**
 * Noisy top-K gating: softmax over the K largest noisy logits; the size of the noise is learnt, and two losses keep importance and load even.
 * Shazeer et al. 2017, arXiv:1701.06538, section 2.1, section 4 and appendix A. In evaluation there is no noise, and the load is a count.
 * G groups, S tokens of a group, E experts, K choices, D width, R scopes of L tokens.
 */
import { formatShape, sameShape } from "../autograd/contract.ts";
import { where } from "../autograd/operations.ts";
import * as random from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { constantInitializer } from "../nn/initializers.ts";
import type { Pass } from "../nn/module.ts";
import { check, checkOptions, coefficient, optional, tensorOf, upTo, whole } from "./arguments.ts";
import type { BalanceScope } from "./grouping.ts";
import { importanceLoss, loadLoss } from "./losses.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import type { GroupedTokens } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices, SeatingOptions } from "./seating.ts";
import { kChoicesTime } from "./seating.ts";

/** Options of noisy top-K gating. */
export interface NoisyTopKOptions extends ProjectionOptions, SeatingOptions {
  /** K. The paper uses more than 1: the softmax over a single logit is always 1, and the task then teaches the router nothing. */
  readonly choices: number;
  /** Coefficient of the importance loss, CV^2 of the sums of gates. Default 0.1. */
  readonly importance?: number;
  /** Coefficient of the load loss, CV^2 of the expected loads. Default 0.1. */
  readonly load?: number;
  /** The tokens over which both losses are computed. Default "batch". */
  readonly balanceScope?: BalanceScope;
}

/** Added to the deviation of the noise, softplus(x W_noise): in the released code (tensor2tensor, noisy_top_k_gating), not in the paper. */
const LEAST_NOISE = 1e-2;

/**
 * Sends each token to the K experts with the largest noisy logits x W + z (softplus(x W_noise) + 0.01), z standard normal, with the softmax over
 * those K as gates. In evaluation there is no noise. Both weights start at zero, so that the load is even on average at the start. Adds the
 * losses "importance" and "load", coefficients 0.1. Throws for an option that it does not know or that is out of range.
 * Shazeer et al. 2017, arXiv:1701.06538, eq. 3-11.
 */
export class NoisyTopKRouter extends Router {
  readonly projection: Projection;
  readonly noise: Projection;
  readonly options: NoisyTopKOptions;

  constructor(options: NoisyTopKOptions) {
    const { group, priority, queueBy, balanceScope } = routerKinds;
    checkOptions<NoisyTopKOptions>("NoisyTopKRouter", options, {
      ...projectionKinds,
      group,
      priority,
      queueBy,
      balanceScope,
      choices: upTo(options?.experts),
      importance: optional(coefficient),
      load: optional(coefficient),
    });
    const { choices, initializer = constantInitializer(0) } = options;
    super(options, {
      name: `noisy top-${choices}`,
      choosing: "tokens",
      choices,
      capacity: true,
      time: kChoicesTime(choices, options),
      gatesSumToOne: true,
      learns: choices > 1,
      scores: "softmax",
      readsIds: false,
    });
    this.options = options;
    this.projection = new Projection({ ...projectionOptions(options), initializer });
    this.noise = new Projection({ ...projectionOptions(options), initializer, random: options.random.at("noise") });
  }

  protected choose(x: Tensor, tokens: GroupedTokens): Choices {
    const { choices } = this.options;
    const { pass } = tokens;
    const clean = this.projection.forward(x); // [G, S, E]
    const deviation = pass.training ? this.noise.forward(x).softplus().add(LEAST_NOISE) : null;
    const noisy = deviation ? clean.add(deviation.mul(gaussian(clean, pass))) : clean; // eq. 4
    const kept = noisy.rank(-1, { descending: true }).less(choices);
    const probs = where(kept, noisy, -Infinity).softmax(-1); // eq. 3 and 5
    const expertOfChoice = noisy.topK(choices).indices;
    const routed = { expertOfChoice, gate: probs.takeAlong(expertOfChoice, 2), logits: noisy, probs };
    if (pass.losses === false) return routed;
    const expected = deviation && choices < this.experts ? loadProbability(clean, noisy, deviation, choices) : kept.cast(clean.dtype);
    return { ...routed, losses: this.#losses(probs, expected, tokens) };
  }

  #losses(gates: Tensor, expected: Tensor, { mask, inScopes }: GroupedTokens): Record<string, Tensor> {
    const { importance = 0.1, load = 0.1, balanceScope = "batch" } = this.options;
    const scopedMask = mask && inScopes(mask, balanceScope);
    return {
      ...(importance && { importance: importanceLoss(inScopes(gates, balanceScope), scopedMask).mul(importance) }),
      ...(load && { load: loadLoss(inScopes(expected, balanceScope), scopedMask).mul(load) }),
    };
  }
}

/** One standard normal number for each logit, drawn on the host: the same on every device. */
function gaussian(like: Tensor, { random: at }: Pass): Tensor {
  return random.normal(like.shape, at.at("noise"), { dtype: like.dtype, backend: like.backend });
}

/**
 * P(x, i), the probability that expert i is among the K best if only its own noise is drawn again: Phi((clean_i - t_i) / deviation_i), where t_i
 * is the K-th largest noisy logit of the other experts. clean, noisy, deviation and the result have the shape [B, T, E]; `choices` is K, below E.
 * Shazeer et al. 2017, arXiv:1701.06538, appendix A, eq. 8-9. Throws for shapes or a K that do not fit.
 */
export function loadProbability(clean: Tensor, noisy: Tensor, deviation: Tensor, choices: number): Tensor {
  for (const [name, x] of Object.entries({ clean, noisy, deviation })) {
    check("loadProbability", name, x, tensorOf("B, T, E"));
    if (!sameShape(x.shape, clean.shape))
      throw new RangeError(`loadProbability: ${name} ${formatShape(x.shape)}: want the shape of clean, ${formatShape(clean.shape)}`);
  }
  check("loadProbability", "choices", choices, whole(1, Math.max(1, clean.shape[2] - 1)));
  // Of the K + 1 largest, t_i is the last for those among the first K, and the last but one for the others.
  const { values } = noisy.topK(choices + 1); // [..., K + 1]
  const [atLast, atNext] = [values.narrow(2, choices - 1, choices), values.narrow(2, choices, choices + 1)];
  const inside = noisy.rank(-1, { descending: true }).less(choices);
  return clean
    .sub(where(inside, atNext, atLast))
    .div(deviation)
    .normalCdf();
}
