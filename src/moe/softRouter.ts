/**
 * Soft MoE: each slot of an expert holds a weighted mean of all tokens of the group, and each token gets a weighted mean of the results of all
 * slots. Nothing is chosen or dropped, and everything has a gradient. Puigcerver et al. 2023, arXiv:2308.00951, section 2.1 and 2.3.
 *
 * Each output depends on all tokens of the group, so the router is not for causal models.
 * G groups, S tokens of a group, E experts, P slots of an expert in a group, N = E P, D width.
 */
import { ones } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost } from "../nn/module.ts";
import { checkOptions, count } from "./arguments.ts";
import type { Group } from "./grouping.ts";
import type { Mixtures } from "./mixtures.ts";
import type { ProjectionOptions } from "./projection.ts";
import { projectionKinds } from "./projection.ts";
import type { GroupedTokens } from "./router.ts";
import { Router, routerKinds } from "./router.ts";

/** Options of Soft MoE. */
export interface SoftOptions extends Omit<ProjectionOptions, "precision" | "bias"> {
  /** P: slots of each expert in a group. */
  readonly slots: number;
  /** The tokens that slots mix. Default "sequence": sequences are not mixed with each other. */
  readonly group?: Group;
  /** Whether a causal model may use it nevertheless, to study what it does there. Default false. */
  readonly allowCausal?: boolean;
}

/**
 * Lets every slot read a weighted mean of all tokens of its group, and every token a weighted mean of the results of all slots: logits are
 * `scale` times the cosines between tokens and slots, dispatch is their softmax over tokens, combine that over slots. Nothing is dropped and
 * there is no loss. An acausal router: refused in a causal model. Throws for an option that it does not know or that is out of range.
 * Puigcerver et al. 2023, arXiv:2308.00951, section 2.1 and 2.3.
 */
export class SoftRouter extends Router {
  /** [D, N]: the vector that tokens are compared with, for each slot; Phi of the paper. */
  readonly slots: Tensor;
  /** [1]: multiplies the cosines between tokens and slots (section 2.3). */
  readonly scale: Tensor;
  readonly options: SoftOptions;

  constructor(options: SoftOptions) {
    const { group, allowCausal } = routerKinds;
    const { width, experts, initializer, random, dtype } = projectionKinds;
    checkOptions<SoftOptions>("SoftRouter", options, { width, experts, initializer, random, dtype, group, allowCausal, slots: count });
    super(
      { ...options, group: options.group ?? "sequence" },
      {
        name: "soft",
        choosing: "mixtures",
        choices: options.experts,
        capacity: false,
        time: "acausal",
        gatesSumToOne: true,
        learns: true,
        scores: "softmax",
        readsIds: false,
      },
    );
    const { initializer: initialise = scaledTruncatedNormal(), dtype: type = "float32" } = options;
    this.options = options;
    const shape = [options.width, options.experts * options.slots];
    this.slots = initialise(shape, options.random.at("slots"), { dtype: type, requiresGrad: true });
    this.scale = ones([1], { dtype: type, requiresGrad: true });
  }

  protected choose(x: Tensor, { mask }: GroupedTokens): Mixtures {
    const open = mask?.unsqueeze(2); // [G, S, 1]
    const tokens = unit(x.atLeast("float32"), 2);
    const logits = tokens.matmul(unit(this.slots, 0).mul(this.scale).cast(tokens.dtype)); // [G, S, N]
    const dispatch = (open ? where(open, logits, -Infinity) : logits).transpose(1, 2).softmax(-1); // [G, N, S], over tokens
    return { dispatch, combine: logits.softmax(-1), logits };
  }

  /** N slots serve the tokens of a sequence. */
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
