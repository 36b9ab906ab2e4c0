/**
 * Token choice with K experts per token, and what has been done with it since: one router whose options compose.
 *
 * | who | options beside K |
 * |---|---|
 * | V-MoE: Riquelme et al. 2021, arXiv:2106.05974, section 2.2 | normalise "before", priority "gate" |
 * | GShard: Lepikhin et al. 2020, arXiv:2006.16668, algorithm 1 | K 2, normalise "after", randomBeyondFirst 0.5, balanceCounts "first" |
 * | Mixtral: Jiang et al. 2024, arXiv:2401.04088, section 2.1 | K 2, normalise "after", capacity "dropless" |
 * | DeepSeekMoE: Dai et al. 2024, arXiv:2401.06066, eq. 3-5 | normalise "before", shared experts of the layer |
 * | DeepSeek-V3: 2024, arXiv:2412.19437, eq. 12-16 | scores "sigmoid", normalise "after", biasRate 0.001, gateScale 2.5, expertGroups |
 *
 * B sequences, T tokens of each, E experts, K choices, D width, N groups of experts.
 */
import { noGrad } from "../autograd/context.ts";
import { arange, zeros } from "../autograd/create.ts";
import { concat, where } from "../autograd/operations.ts";
import { uniformLike } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection } from "./projection.ts";
import type { RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { RouterLossOptions, SeatingOptions } from "./tokenChoice.ts";
import { seat, tokenLosses } from "./tokenChoice.ts";

export interface TopKOptions extends ProjectionOptions, SeatingOptions, RouterLossOptions {
  /** K */
  readonly choices: number;
  /** How logits become scores. Default "softmax". */
  readonly scores?: "softmax" | "sigmoid";
  /**
   * What makes gates of the chosen scores: "before", their share in all scores; "after", their share in the chosen ones (with one choice that is
   * 1, and the router learns nothing from the task); "none", themselves. A softmax is normalised before as it is. Default "before".
   */
  readonly normalise?: "before" | "after" | "none";
  /** Multiplies every gate. */
  readonly gateScale?: number;
  /** While training, a choice after the first is made with probability min(1, gate / this): 0.5 in GShard, 0.2 in Mesh-TensorFlow. 0: always. */
  readonly randomBeyondFirst?: number;
  /** Which choices f of the balance loss counts. Default "all". */
  readonly balanceCounts?: "all" | "first";
  /** Step of the bias that balances without a loss. Wang et al. 2024, arXiv:2408.15664, algorithm 1: 0.001. 0: no bias. */
  readonly biasRate?: number;
  /** Experts in `count` equal groups of neighbours; a token chooses among the `keep` groups whose two best scores add up to most. */
  readonly expertGroups?: { readonly count: number; readonly keep: number };
}

export class TopKRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  /** [E]: added to the scores when experts are chosen, never when they are weighed; saved, not trained by gradients. */
  readonly bias: Tensor | null;
  readonly options: TopKOptions;

  constructor(options: TopKOptions) {
    super();
    checkOptions(options);
    this.options = options;
    this.experts = options.experts;
    this.projection = new Projection(options);
    this.bias = options.biasRate ? zeros([options.experts], { dtype: options.dtype ?? "float32" }).persist() : null;
    this.traits = traitsOf(options);
  }

  route(request: RouteRequest): Routing {
    checkRequest(request, this.options.width);
    const logits = this.projection.forward(this.projection.input(request.tokens, request.mask)); // [B, T, E]
    const scores = this.options.scores === "sigmoid" ? logits.sigmoid() : logits.softmax(-1);
    const probs = this.options.scores === "sigmoid" ? shares(scores) : scores;
    const wished = this.#choose(scores); // [B, T, K]
    const gate = this.#gates(wished, logits, scores, probs);
    const expertOfChoice = this.#dared(wished, gate, request);
    const counted = this.options.balanceCounts === "first" ? wished.narrow(2, 0, 1) : wished;
    const losses = tokenLosses({ expertOfChoice: counted, logits, probs }, request, this.options);
    return seat({ experts: this.experts, expertOfChoice, gate, logits, probs, losses }, request, this.options);
  }

  /** The K best experts by score and bias, among the best groups of experts. */
  #choose(scores: Tensor): Tensor {
    const { choices, expertGroups } = this.options;
    const biased = noGrad(() => (this.bias ? scores.add(this.bias.cast(scores.dtype)) : scores));
    return (expertGroups ? withinGroups(biased, expertGroups) : biased).topK(choices).indices;
  }

  #gates(wished: Tensor, logits: Tensor, scores: Tensor, probs: Tensor): Tensor {
    const { normalise = "before", gateScale = 1, scores: kind = "softmax" } = this.options;
    const chosen = (x: Tensor): Tensor => x.takeAlong(wished, 2);
    const after = (): Tensor => (kind === "softmax" ? chosen(logits).softmax(-1) : shares(chosen(scores)));
    const gate = normalise === "after" ? after() : chosen(normalise === "before" ? probs : scores);
    return gateScale === 1 ? gate : gate.mul(gateScale);
  }

  /** GShard's random second expert: later choices are made by lot, in proportion to their gates. */
  #dared(wished: Tensor, gate: Tensor, { pass }: RouteRequest): Tensor {
    const { randomBeyondFirst: threshold = 0, choices } = this.options;
    if (threshold === 0 || !pass.training || choices === 1) return wished;
    return noGrad(() => {
      const drawn = uniformLike(gate.atLeast("float32"), pass.random.at("second")).mul(threshold).less(gate.atLeast("float32"));
      const first = arange(0, choices, 1, { dtype: "int32", backend: wished.backend }).equal(0);
      return where(first.maximum(drawn.cast("int32")), wished, -1);
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

/** Scores with -Infinity outside of the best groups. scores [B, T, E] */
function withinGroups(scores: Tensor, { count, keep }: { count: number; keep: number }): Tensor {
  return noGrad(() => {
    const [batch, length, experts] = scores.shape;
    const byGroup = scores.reshape([batch, length, count, experts / count]);
    const worth = byGroup.topK(Math.min(2, experts / count)).values.sum(-1); // [B, T, N]
    const kept = worth.rank(-1, { descending: true }).less(keep).unsqueeze(3);
    return where(kept, byGroup, -Infinity).reshape(scores.shape);
  });
}

function checkOptions({ experts, choices, gateScale = 1, randomBeyondFirst = 0, biasRate = 0, expertGroups: groups }: TopKOptions): void {
  if (!Number.isInteger(choices) || choices < 1 || choices > experts)
    throw new RangeError(`choices ${choices}: must be a whole number from 1 to the ${experts} experts`);
  if (!(gateScale > 0)) throw new RangeError(`gateScale ${gateScale}: must be above 0`);
  if (!(randomBeyondFirst >= 0)) throw new RangeError(`randomBeyondFirst ${randomBeyondFirst}: must be 0 or more`);
  if (!(biasRate >= 0)) throw new RangeError(`biasRate ${biasRate}: must be 0 or more`);
  if (!groups) return;
  if (!(groups.count >= 1) || experts % groups.count !== 0)
    throw new RangeError(`expertGroups: ${experts} experts do not divide into ${groups.count} groups`);
  if (!(groups.keep >= 1) || groups.keep > groups.count || groups.keep * (experts / groups.count) < choices)
    throw new RangeError(
      `expertGroups: ${groups.keep} of ${groups.count} groups of ${experts / groups.count} do not hold ${choices} choices`,
    );
}

function traitsOf({ choices, priority = "position", scores = "softmax", normalise = "before", gateScale = 1 }: TopKOptions): RouterTraits {
  return {
    name: `top-${choices}`,
    choosing: "tokens",
    choices,
    capacity: true,
    // With more choices than one, first choices of later tokens take slots before second choices of earlier ones.
    time: choices === 1 && priority === "position" ? "causal" : "dropless",
    gatesSumToOne: normalise === "after" && gateScale === 1,
    learns: choices > 1 || normalise !== "after",
    scores,
    readsIds: false,
  };
}
