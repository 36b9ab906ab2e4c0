/**
 * Token choice with K experts per token: one router whose options, together, make the published ones.
 *
 * | published router | options beside K |
 * |---|---|
 * | V-MoE: Riquelme et al. 2021, arXiv:2106.05974, section 2.2 | normalise "before", priority "gate" |
 * | GShard: Lepikhin et al. 2020, arXiv:2006.16668, algorithm 1 | K 2, normalise "after", randomBeyondFirst 0.5, balanceCounts "first" |
 * | DeepSpeed: top2gating | K 2, normalise "seated", gumbelBeyondFirst, balanceCounts "first" |
 * | DeepSpeed: topkgating, drop_policy "position" | normalise "seated", queueBy "token" |
 * | Mixtral: Jiang et al. 2024, arXiv:2401.04088, section 2.1 | K 2, normalise "after", capacity "dropless" |
 * | OLMoE, Qwen2-MoE: norm_topk_prob false | normalise "before", capacity "dropless" |
 * | Qwen3-MoE: norm_topk_prob true | normalise "after", capacity "dropless" |
 * | DeepSeekMoE: Dai et al. 2024, arXiv:2401.06066, eq. 3-5 | normalise "before", shared experts of the layer |
 * | DeepSeek-V3: 2024, arXiv:2412.19437, eq. 12-16 | scores "sigmoid", normalise "after", biasRate 0.001, gateScale 2.5, expertGroups |
 *
 * G groups, S tokens of a group, E experts, K choices, D width, N groups of experts.
 */
import { noGrad } from "../autograd/context.ts";
import { arange, zeros } from "../autograd/create.ts";
import { concat, where } from "../autograd/operations.ts";
import { uniformLike } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import type { Kind } from "./arguments.ts";
import { checkOptions, coefficient, count, flag, oneOf, optional, positive, upTo } from "./arguments.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import type { GroupedTokens, RouterOptions, RouterTraits } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { Choices } from "./seating.ts";
import { kChoicesTime } from "./seating.ts";
import { gumbel } from "./switchRouter.ts";

/** Options of top-K token choice; the head of the file says which of them make which published router. */
export interface TopKOptions extends ProjectionOptions, Omit<RouterOptions, "allowCausal"> {
  /** D */
  readonly width: number;
  /** K */
  readonly choices: number;
  /** How logits become scores. Default "softmax". */
  readonly scores?: "softmax" | "sigmoid";
  /**
   * How the scores of the chosen experts become gates. "before" (default): each score over the sum of the scores of all experts (softmax, then
   * top-K: norm_topk_prob false). "after": over the sum of the chosen ones (the same as top-K, then softmax: norm_topk_prob true); with one
   * choice the gate is then always 1, and the task teaches the router nothing. "seated": over the sum of the chosen ones that found a slot.
   * "none": the scores themselves; for softmax scores this equals "before".
   */
  readonly normalise?: "before" | "after" | "seated" | "none";
  /** Multiplies every gate. Default 1. */
  readonly gateScale?: number;
  /** While training, a choice after the first is made with probability min(1, gate / this): 0.5 in GShard, 0.2 in Mesh-TensorFlow. 0: always. */
  readonly randomBeyondFirst?: number;
  /** While training, the experts after the first are drawn by their probabilities (Gumbel noise on the logits; DeepSpeed, top-2). Default false. */
  readonly gumbelBeyondFirst?: boolean;
  /** Which choices f of the balance loss counts. Default "all". */
  readonly balanceCounts?: "all" | "first";
  /** Step of the bias that balances without a loss. Wang et al. 2024, arXiv:2408.15664, algorithm 1: 0.001. 0: no bias. */
  readonly biasRate?: number;
  /**
   * Group-limited choice: experts form `count` equal groups of neighbours, and a token chooses only within the `keep` groups whose two best scores
   * have the largest sum. DeepSeek-V3, arXiv:2412.19437, section 2.1.2.
   */
  readonly expertGroups?: { readonly count: number; readonly keep: number };
}

/**
 * Sends each token to the K experts with the largest scores, softmax or sigmoid of x W, weighed by those scores as `normalise` says. Options
 * add a random, Gumbel-drawn or group-limited choice, and balancing by a loss or by a bias. With K above 1, first choices get slots before
 * second ones unless `queueBy` says otherwise. Throws for an option that it does not know or that is out of range. Riquelme
 * et al. 2021, arXiv:2106.05974, section 2.2. The table at the head of the file lists the options of GShard, Mixtral, DeepSeek-V3 and others.
 */
export class TopKRouter extends Router {
  readonly projection: Projection;
  /**
   * [E], at least float32, so that small steps are not rounded away: added to the scores when experts are chosen, never when they are weighed.
   * It is saved, and not trained by gradients.
   */
  readonly bias: Tensor | null;
  readonly options: TopKOptions;

  constructor(options: TopKOptions) {
    checkTopK(options);
    super(options, traitsOf(options));
    this.options = options;
    this.projection = new Projection(projectionOptions(options));
    this.bias = options.biasRate
      ? zeros([options.experts], { dtype: options.dtype === "float64" ? "float64" : "float32" }).persist()
      : null;
  }

  protected choose(x: Tensor, { pass }: GroupedTokens): Choices {
    const { scores: kind, normalise, gateScale = 1, balanceCounts } = this.options;
    const logits = this.projection.forward(x); // [G, S, E]
    const scores = kind === "sigmoid" ? logits.sigmoid() : logits.softmax(-1);
    const probs = kind === "sigmoid" ? shares(scores) : scores;
    const best = this.#choices(scores, logits, pass); // [G, S, K]
    const gate = this.#gates(best, logits, scores, probs);
    return {
      expertOfChoice: this.#dispatched(best, gate, pass),
      gate,
      logits,
      probs,
      ...(normalise === "seated" && { seatedSum: gateScale }),
      counted: balanceCounts === "first" ? best.narrow(2, 0, 1) : best,
    };
  }

  /** The K experts of each token, the best first: by scores and bias, within the best groups; later ones drawn where that is asked for. */
  #choices(scores: Tensor, logits: Tensor, pass: Pass): Tensor {
    const { choices, expertGroups, gumbelBeyondFirst } = this.options;
    return noGrad(() => {
      const wide = scores.atLeast("float32");
      const biased = this.bias ? wide.add(this.bias.cast(wide.dtype)) : wide;
      const selection = expertGroups ? withinGroups(biased, expertGroups) : biased;
      if (!gumbelBeyondFirst || !pass.training || choices === 1) return selection.topK(choices).indices;
      const noisy = logits.atLeast("float32").add(gumbel(logits, pass.random.at("gumbel")));
      const first = selection.argmax(-1).oneHot(this.experts, noisy.dtype);
      const drawn = where(selection.equal(-Infinity), -Infinity, noisy);
      return where(first, Infinity, drawn).topK(choices).indices;
    });
  }

  #gates(best: Tensor, logits: Tensor, scores: Tensor, probs: Tensor): Tensor {
    const { normalise = "before", gateScale = 1, scores: kind } = this.options;
    const chosen = (x: Tensor): Tensor => x.takeAlong(best, 2);
    const after = (): Tensor => (kind === "sigmoid" ? shares(chosen(scores)) : chosen(logits).softmax(-1));
    const gate = normalise === "after" ? after() : chosen(normalise === "before" ? probs : scores);
    return gateScale === 1 ? gate : gate.mul(gateScale);
  }

  /** GShard's random second expert: a choice after the first is made with a probability in proportion to its gate; -1 where it is not. */
  #dispatched(best: Tensor, gate: Tensor, pass: Pass): Tensor {
    const { randomBeyondFirst: threshold = 0, choices } = this.options;
    if (threshold === 0 || !pass.training || choices === 1) return best;
    return noGrad(() => {
      const drawn = uniformLike(gate.atLeast("float32"), pass.random.at("second")).mul(threshold).less(gate.atLeast("float32"));
      const first = arange(0, choices, 1, { dtype: "int32", backend: best.backend }).equal(0);
      return where(first.maximum(drawn.cast("int32")), best, -1);
    });
  }

  /** b += rate sign(mean load - load): experts with too few tokens become easier to choose. Before capacity, without padding. */
  override afterStep(...routings: readonly Routing[]): void {
    const { bias } = this;
    const { biasRate = 0 } = this.options;
    if (!bias || routings.length === 0) return;
    scope(() =>
      noGrad(() => {
        const load = concat(routings.map(({ books }) => books.expertOfChoice.reshape([books.expertOfChoice.size])))
          .bincount(this.experts)
          .cast(bias.dtype); // [E]
        bias.assign(bias.add(load.mean().sub(load).sign().mul(biasRate)));
      }),
    );
  }
}

/** Each row divided by its sum; a row of zeros stays. */
function shares(x: Tensor): Tensor {
  const sum = x.sum(-1, { keepDims: true });
  return x.div(where(sum.equal(0), 1, sum));
}

/** Scores with -Infinity outside of the best groups. scores [G, S, E] */
function withinGroups(scores: Tensor, { count: groups, keep }: { count: number; keep: number }): Tensor {
  const [rows, size, experts] = scores.shape;
  const byGroup = scores.reshape([rows, size, groups, experts / groups]);
  const scoreOfGroup = byGroup.topK(Math.min(2, experts / groups)).values.sum(-1); // [G, S, N]
  const kept = scoreOfGroup.rank(-1, { descending: true }).less(keep).unsqueeze(3);
  return where(kept, byGroup, -Infinity).reshape(scores.shape);
}

const someGroups: Kind = {
  wanted: "an object with count and keep, whole numbers of 1 or more",
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    "count" in value &&
    "keep" in value &&
    count.accepts(value.count) &&
    count.accepts(value.keep),
};

function checkTopK(options: TopKOptions): void {
  const { allowCausal: _, ...shared } = routerKinds;
  checkOptions<TopKOptions>("TopKRouter", options, {
    ...projectionKinds,
    ...shared,
    width: projectionKinds.width,
    choices: upTo(options?.experts),
    scores: optional(oneOf("softmax", "sigmoid")),
    normalise: optional(oneOf("before", "after", "seated", "none")),
    gateScale: optional(positive),
    randomBeyondFirst: optional(coefficient),
    gumbelBeyondFirst: optional(flag),
    balanceCounts: optional(oneOf("all", "first")),
    biasRate: optional(coefficient),
    expertGroups: optional(someGroups),
  });
  const { experts, choices, expertGroups: groups } = options;
  if (!groups) return;
  if (experts % groups.count !== 0)
    throw new RangeError(`TopKRouter: expertGroups: want a count that divides the ${experts} experts, not ${groups.count}`);
  const each = experts / groups.count;
  if (groups.keep > groups.count || groups.keep * each < choices)
    throw new RangeError(
      `TopKRouter: expertGroups: ${groups.keep} of ${groups.count} groups of ${each}: want groups that hold ${choices} choices`,
    );
}

function traitsOf(options: TopKOptions): RouterTraits {
  const { choices, scores = "softmax", normalise = "before", gateScale = 1 } = options;
  const amongChosen = normalise === "after" || normalise === "seated";
  return {
    name: `top-${choices}`,
    choosing: "tokens",
    choices,
    capacity: true,
    time: kChoicesTime(choices, options),
    gatesSumToOne: amongChosen && gateScale === 1,
    learns: choices > 1 || !amongChosen,
    scores,
    readsIds: false,
  };
}
