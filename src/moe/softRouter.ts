/**
 * Soft MoE: each slot of an expert is a mixture of all tokens of the group, each token a mixture of all slots' results. Nothing
 * is chosen, nothing dropped, everything has a gradient. Puigcerver et al. 2023, arXiv:2308.00951, section 2.1 and 2.3.
 *
 * Every token sees every other: not for causal models.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, P slots of an expert in a group, N = E P, D width.
 */
import { arange, ones } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost } from "../nn/module.ts";
import { masked } from "./losses.ts";
import type { ProjectionOptions } from "./projection.ts";
import { requireSizes } from "./projection.ts";
import type { Group, RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest, grouped, groupsOf, refuseCausal } from "./router.ts";
import type { Routing } from "./routing.ts";
import { softRouting } from "./routing.ts";

export interface SoftOptions extends Omit<ProjectionOptions, "precision"> {
  /** P. */
  readonly slots: number;
  /** Default "sequence": mixtures do not cross sequences. */
  readonly group?: Group;
  /** Serve in a causal model all the same. */
  readonly allowCausal?: boolean;
}

export class SoftRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  /** [D, N]: what each slot looks for. */
  readonly slots: Tensor;
  /** [1]: multiplies the cosines between tokens and slots (section 2.3). */
  readonly scale: Tensor;
  readonly options: SoftOptions;

  constructor(options: SoftOptions) {
    super();
    const { width, experts, slots, initializer = scaledTruncatedNormal(), random, dtype = "float32" } = options;
    requireSizes({ width, experts, slots });
    this.options = options;
    this.experts = experts;
    this.slots = initializer([width, experts * slots], random.at("slots"), { dtype, requiresGrad: true });
    this.scale = ones([1], { dtype, requiresGrad: true });
    this.traits = {
      name: "soft",
      choosing: "mixtures",
      choices: experts,
      capacity: false,
      time: "acausal",
      gatesSumToOne: true,
      learns: true,
      scores: "softmax",
      readsIds: false,
    };
  }

  route(request: RouteRequest): Routing {
    const { group = "sequence", width, slots, allowCausal } = this.options;
    checkRequest(request, width);
    refuseCausal("soft MoE", "every slot mixes all tokens, later ones too", request, allowCausal);
    const { tokens, mask } = request;
    const groups = groupsOf(tokens, group);
    const open = mask && grouped(mask, groups).unsqueeze(2); // [G, S, 1]
    const x = unit(grouped(masked(tokens, mask).atLeast("float32"), groups), 2);
    const logits = x.matmul(unit(this.slots, 0).mul(this.scale).cast(x.dtype)); // [G, S, N]
    const dispatch = (open ? where(open, logits, -Infinity) : logits).transpose(1, 2).softmax(-1); // [G, N, S], over tokens
    const combine = logits.softmax(-1); // [G, S, N], over slots
    const combined = open ? where(open, combine, 0) : combine;
    const base = { books: bookOf(logits, combined, open, this.experts, slots), losses: {} };
    return softRouting(base, this.experts, { dispatch, combine: combined, open });
  }

  /** N slots serve the T tokens of a sequence. */
  override visits(length: number): number {
    return (this.experts * this.options.slots) / length;
  }

  override cost(length: number): Cost {
    return { active: super.cost(length).active, flops: 2 * this.slots.size };
  }
}

/** x over its norm along an axis; a zero vector stays. */
function unit(x: Tensor, axis: number): Tensor {
  const norm = x.norm(axis, { keepDims: true });
  return x.div(where(norm.equal(0), 1, norm));
}

/** All experts serve every token; an expert's gate is the weight of its slots, and stands in their first. */
function bookOf(logits: Tensor, combine: Tensor, open: Tensor | undefined, experts: number, slots: number): Routing["books"] {
  const [groups, size] = logits.shape;
  const perExpert = (x: Tensor): Tensor => x.reshape([groups * size, experts, slots]);
  const gate = perExpert(combine).sum(2); // [G S, E]
  const int = { dtype: "int32", backend: logits.backend } as const;
  const everyone = arange(0, experts, 1, int);
  const group = arange(0, groups, 1, int).reshape([groups, 1, 1]).broadcastTo([groups, size, experts]);
  const first = everyone
    .mul(groups)
    .add(group)
    .mul(slots)
    .reshape([groups * size, experts]);
  const served = (x: Tensor): Tensor =>
    open ? where(open.cast("int32").reshape([groups * size, 1]), x, -1) : x.broadcastTo([groups * size, experts]).contiguous();
  return {
    real: open?.reshape([groups * size]) ?? null,
    expertOfChoice: served(everyone),
    slotOfChoice: served(first),
    gate,
    logits: perExpert(logits).logSumExp(2),
    probs: gate,
  };
}
