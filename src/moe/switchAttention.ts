/**
 * Attention whose projections are sparse: one set of experts makes the queries, another set makes both keys and values. Fedus et al.
 * 2021, arXiv:2101.03961, appendix A, figure 10: better in float32, unstable in bfloat16.
 * B sequences, T tokens of each, S keys, H heads, E experts, D width, F outputs of an expert.
 */
import { concat } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { attention } from "../nn/attention.ts";
import type { Attention } from "../nn/block.ts";
import { addByName } from "../nn/block.ts";
import { Linear } from "../nn/linear.ts";
import { paddingBias } from "../nn/masks.ts";
import type { Initializer } from "../nn/initializers.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost, Init, Pass } from "../nn/module.ts";
import { Module, addCosts, inDtypeOf, under } from "../nn/module.ts";
import type { AttentionInput, KeyValues } from "../nn/multiHeadAttention.ts";
import { attentionInputKinds } from "../nn/multiHeadAttention.ts";
import { Experts, checkRows } from "./experts.ts";
import { MoE } from "./moeLayer.ts";
import type { MoEOptions } from "./moeLayer.ts";
import type { Kinds } from "./arguments.ts";
import {
  aCapacityFactor,
  aPass,
  anInitializer,
  callable,
  check,
  checkOptions,
  count,
  initKinds,
  optional,
  positive,
  tensorOf,
} from "./arguments.ts";
import type { Router } from "./router.ts";
import type { Routing, RowLayout } from "./routing.ts";

/** The scale s of the first weights, of variance s / fan-in. Fedus et al. 2021, section 2.4. */
const INIT_SCALE = 0.1;

/** Options of linear experts. */
export interface LinearExpertsOptions extends Init {
  /** E */
  readonly experts: number;
  /** D */
  readonly width: number;
  /** F */
  readonly outputs: number;
  readonly initializer?: Initializer;
}

const linearKinds: Kinds<LinearExpertsOptions> = {
  ...initKinds,
  experts: count,
  width: count,
  outputs: count,
  initializer: optional(anInitializer),
};

/**
 * Experts that are one matrix each: rows [..., D] -> [..., F], without bias. Throws for an option that it does not know or that is out of range.
 * Fedus et al. 2021, arXiv:2101.03961, appendix A.
 */
export class LinearExperts extends Experts {
  readonly count: number;
  /** [E, D, F] */
  readonly weight: Tensor;

  constructor(options: LinearExpertsOptions) {
    super();
    checkOptions<LinearExpertsOptions>("LinearExperts", options, linearKinds);
    const { experts, width, outputs, initializer = scaledTruncatedNormal(INIT_SCALE), random, dtype = "float32" } = options;
    this.count = experts;
    this.weight = initializer([experts, width, outputs], random.at("weight"), { dtype, requiresGrad: true });
  }

  /** rows [...lead, D], each for the expert that the layout names -> [...lead, F]. */
  forward(rows: Tensor, layout: RowLayout): Tensor {
    checkRows("LinearExperts", rows, layout, this.count);
    return layout.project(rows, inDtypeOf(rows, this.weight));
  }

  override cost(): Cost {
    const size = this.weight.size / this.count;
    return { active: size, flops: 2 * size };
  }
}

/** Options of Switch attention; capacity factors and `expertCapacity` are those of its two sparse layers. */
export interface SwitchAttentionOptions extends Init, Omit<MoEOptions, "router" | "experts" | "shared" | "sharedGate" | "dropped"> {
  /** H, a divisor of the width. */
  readonly heads: number;
  /** E */
  readonly experts: number;
  /** Makes a router of E experts; called twice, with different keys. */
  readonly router: (init: Init) => Router;
  /** Multiplies the scores; default 1 / sqrt(D / H). With another scale the first query weights are changed as in `MultiHeadAttention`. */
  readonly scale?: number;
}

/** It attends to its own sequence only: no memory. */
const { causal: aCausal, bias: aBias, mask: aMask, past: aPast } = attentionInputKinds;
const inputKinds: Kinds<Pick<AttentionInput, "causal" | "bias" | "mask" | "past">> = {
  causal: aCausal,
  bias: aBias,
  mask: aMask,
  past: aPast,
};

const attentionKinds: Kinds<SwitchAttentionOptions> = {
  ...initKinds,
  heads: count,
  experts: count,
  router: { ...callable, wanted: "a function from { random, dtype } to a router" },
  scale: optional(positive),
  trainingCapacityFactor: optional(aCapacityFactor),
  evaluationCapacityFactor: optional(aCapacityFactor),
  expertCapacity: optional(count),
};

/**
 * Self-attention whose projections are sparse: one sparse layer of linear experts makes the queries, another the keys and values, x [B, T, D] ->
 * [B, T, D]. It replaces the attention of a block, not its cross-attention. A token that found no slot has queries, or keys and values, of 0.
 * Throws where heads do not divide the width, and for an option that it does not know or that is out of range. Fedus et al. 2021,
 * arXiv:2101.03961, appendix A, figure 10.
 */
export class SwitchAttention extends Module implements Attention {
  readonly queries: MoE;
  readonly keysAndValues: MoE;
  readonly output: Linear;
  readonly heads: number;
  readonly scale: number;

  constructor(width: number, options: SwitchAttentionOptions) {
    super();
    check("SwitchAttention", "width", width, count);
    checkOptions<SwitchAttentionOptions>("SwitchAttention", options, attentionKinds);
    const { heads, experts, router, scale: own, random, dtype = "float32", ...capacities } = options;
    if (width % heads) throw new RangeError(`SwitchAttention: heads ${heads}: want a number that divides the width of ${width}`);
    const usual = 1 / Math.sqrt(width / heads);
    const scale = own ?? usual;
    const sparse = (name: string, outputs: number, times = 1): MoE =>
      new MoE({
        router: router({ random: random.at(name, "router"), dtype }),
        experts: new LinearExperts({
          experts,
          width,
          outputs,
          random: random.at(name, "experts"),
          dtype,
          initializer: scaledTruncatedNormal(INIT_SCALE * times ** 2),
        }),
        ...capacities,
      });
    this.queries = sparse("queries", width, usual / scale);
    this.keysAndValues = sparse("keysAndValues", 2 * width);
    this.output = new Linear(width, width, { random: random.at("output"), dtype, bias: false });
    this.heads = heads;
    this.scale = scale;
  }

  /**
   * x [B, T, D] attends to itself and to the tokens before it (`past`). Returns the output [B, T, D], keys and values of all tokens so far, and
   * losses and routings of both sparse layers. Throws for a memory.
   */
  extend(
    x: Tensor,
    input: AttentionInput,
    pass: Pass,
  ): { output: Tensor; seen: KeyValues; losses: Record<string, Tensor>; routings: Routing[] } {
    check("SwitchAttention.extend", "x", x, tensorOf("B, T, D"));
    checkOptions("SwitchAttention.extend", input, inputKinds);
    check("SwitchAttention.extend", "pass", pass, aPass);
    const { causal = false, bias, mask, past } = input;
    const [, T] = x.shape;
    const before = past?.keys.shape[2] ?? 0;
    const tokens = { causal, ...(mask && { mask: mask.narrow(1, before, before + T) }) };
    const queries = this.queries.forward(x, tokens, under(pass, "queries"));
    const keysAndValues = this.keysAndValues.forward(x, tokens, under(pass, "keysAndValues"));
    const [q] = this.#intoHeads(queries.output, 1);
    const [k, v] = this.#intoHeads(keysAndValues.output, 2);
    const seen = past ? { keys: concat([past.keys, k], 2), values: concat([past.values, v], 2) } : { keys: k, values: v };
    const padding = mask && paddingBias(mask, q.dtype);
    const total = padding && bias ? bias.add(padding) : (bias ?? padding);
    const mixed = attention(q, seen.keys, seen.values, { causal, scale: this.scale, ...(total && { bias: total }) }); // [B, H, T, D / H]
    const output = this.output.forward(mixed.transpose(1, 2).reshape(x.shape));
    return {
      output,
      seen,
      losses: addByName(queries.losses, keysAndValues.losses),
      routings: [queries.routing, keysAndValues.routing],
    };
  }

  /** [B, T, parts D] -> for each part [B, H, T, D / H]. */
  #intoHeads(x: Tensor, parts: number): Tensor[] {
    const [B, T, width] = x.shape;
    const all = x.reshape([B, T, parts, this.heads, width / parts / this.heads]).permute([2, 0, 3, 1, 4]);
    return all.split(parts, 0).map((part) => part.squeeze(0));
  }

  override cost(length: number): Cost {
    const mixing = { active: 0, flops: 4 * length * this.output.weight.shape[0] };
    return addCosts([super.cost(length), mixing]);
  }
}
