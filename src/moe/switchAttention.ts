/**
 * Attention whose matrices are sparse: one set of experts makes the queries, another, shared by both, keys and values. Fedus et al.
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
import { Module, addCosts, beside, under } from "../nn/module.ts";
import type { AttentionInput, KeyValues } from "../nn/multiHeadAttention.ts";
import { Experts } from "./experts.ts";
import { MoE } from "./moeLayer.ts";
import type { MoEOptions } from "./moeLayer.ts";
import { requireSizes } from "./projection.ts";
import type { Router } from "./router.ts";
import type { Routing, RowLayout } from "./routing.ts";

export interface LinearExpertsOptions extends Init {
  /** E */
  readonly experts: number;
  /** D */
  readonly width: number;
  /** F */
  readonly outputs: number;
  readonly initializer?: Initializer;
}

/** Experts that are one matrix each. */
export class LinearExperts extends Experts {
  readonly count: number;
  /** [E, D, F] */
  readonly weight: Tensor;

  constructor({ experts, width, outputs, initializer = scaledTruncatedNormal(0.1), random, dtype = "float32" }: LinearExpertsOptions) {
    super();
    requireSizes({ experts, width, outputs });
    this.count = experts;
    this.weight = initializer([experts, width, outputs], random.at("weight"), { dtype, requiresGrad: true });
  }

  forward(rows: Tensor, layout: RowLayout): Tensor {
    return layout.project(rows, beside(rows, this.weight));
  }

  override cost(): Cost {
    const size = this.weight.size / this.count;
    return { active: size, flops: 2 * size };
  }
}

export interface SwitchAttentionOptions extends Init, Omit<MoEOptions, "router" | "experts" | "shared"> {
  readonly heads: number;
  /** E */
  readonly experts: number;
  /** Makes a router of E experts; called twice, with different keys. */
  readonly router: (init: Init) => Router;
}

export class SwitchAttention extends Module implements Attention {
  readonly queries: MoE;
  readonly keysAndValues: MoE;
  readonly output: Linear;
  readonly heads: number;

  constructor(width: number, { heads, experts, router, random, dtype = "float32", ...capacities }: SwitchAttentionOptions) {
    super();
    if (width % heads) throw new RangeError(`SwitchAttention: width ${width} does not divide into ${heads} heads`);
    const sparse = (name: string, outputs: number): MoE =>
      new MoE({
        router: router({ random: random.at(name, "router"), dtype }),
        experts: new LinearExperts({ experts, width, outputs, random: random.at(name, "experts"), dtype }),
        ...capacities,
      });
    this.queries = sparse("queries", width);
    this.keysAndValues = sparse("keysAndValues", 2 * width);
    this.output = new Linear(width, width, { random: random.at("output"), dtype, bias: false });
    this.heads = heads;
  }

  /** x [B, T, D]; attends to itself and to what came before. */
  extend(
    x: Tensor,
    { causal = false, bias, mask, past }: AttentionInput,
    pass: Pass,
  ): { output: Tensor; seen: KeyValues; losses: Record<string, Tensor>; routings: Routing[] } {
    const [, T] = x.shape;
    const before = past?.keys.shape[2] ?? 0;
    const tokens = { causal, ...(mask && { mask: mask.narrow(1, before, before + T) }) };
    const asked = this.queries.forward(x, tokens, under(pass, "queries"));
    const answered = this.keysAndValues.forward(x, tokens, under(pass, "keysAndValues"));
    const [q] = this.#intoHeads(asked.output, 1);
    const [k, v] = this.#intoHeads(answered.output, 2);
    const seen = past ? { keys: concat([past.keys, k], 2), values: concat([past.values, v], 2) } : { keys: k, values: v };
    const padding = mask && paddingBias(mask, q.dtype);
    const total = padding && bias ? bias.add(padding) : (bias ?? padding);
    const mixed = attention(q, seen.keys, seen.values, total ? { causal, bias: total } : { causal }); // [B, H, T, D / H]
    const output = this.output.forward(mixed.transpose(1, 2).reshape(x.shape));
    return { output, seen, losses: addByName(asked.losses, answered.losses), routings: [asked.routing, answered.routing] };
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
