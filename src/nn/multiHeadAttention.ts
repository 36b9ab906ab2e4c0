/** Attention in several heads at once. B batch, H heads, T queries, S keys, D width, K = D / H width of a head. */
import { formatShape, sameShape } from "../autograd/contract.ts";
import { concat } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { attention, attentionWeights, attentionWithDropout, paddingBias, selfAttention, unpack } from "./attention.ts";
import type { AttentionOptions } from "./attention.ts";
import type { Initializer } from "./initializers.ts";
import { Linear } from "./linear.ts";
import type { Cost, Init, Pass } from "./module.ts";
import { Module, addCosts, beside, requireInit, under } from "./module.ts";
import type { Rotary } from "./positions.ts";

export interface MultiHeadAttentionOptions extends Init {
  readonly heads: number;
  /** Of the four projections; default true. */
  readonly bias?: boolean;
  /** Of the attention probabilities, while training. */
  readonly dropout?: number;
  /** Turns queries and keys by their positions. */
  readonly rotary?: Rotary | null;
  readonly initializer?: Initializer;
}

/** Keys and values of the tokens before, [B, H, S, K] each: what generation need not compute again. */
export interface KeyValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

export interface AttentionInput {
  /** Attend to these vectors [B, S, D] instead of x itself. */
  readonly memory?: Tensor | undefined;
  /** Take the values from these vectors instead of the memory. */
  readonly values?: Tensor | undefined;
  /** No token sees a later one. */
  readonly causal?: boolean;
  /** Added to the scores; broadcasts to [B, H, T, S]. */
  readonly bias?: Tensor | undefined;
  /** [B, S], 0 for keys that nobody may see: padding. */
  readonly mask?: Tensor | undefined;
  /** Tokens before x, seen too. */
  readonly past?: KeyValues | undefined;
}

interface Projected {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** All three in one array [B, T, 3, H, K], where nothing came between. */
  readonly packed?: Tensor;
}

/** Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. */
export class MultiHeadAttention extends Module {
  /** Queries, keys and values side by side: [D, 3D]. */
  readonly projection: Linear;
  readonly output: Linear;
  readonly heads: number;
  readonly dropout: number;
  readonly rotary: Rotary | null;

  constructor(width: number, options: MultiHeadAttentionOptions) {
    super();
    requireInit("MultiHeadAttention", options);
    const { heads, dropout: rate = 0, rotary = null, random } = options;
    if (width % heads !== 0) throw new RangeError(`MultiHeadAttention: width ${width} does not divide into ${heads} heads`);
    this.projection = new Linear(width, 3 * width, { ...options, random: random.at("projection") });
    this.output = new Linear(width, width, { ...options, random: random.at("output") });
    this.heads = heads;
    this.dropout = rate;
    this.rotary = rotary;
  }

  /** x [B, T, D] -> [B, T, D]. */
  forward(x: Tensor, input: AttentionInput, pass: Pass): Tensor {
    return this.extend(x, input, pass).output;
  }

  /** The same, with the keys and values of all tokens so far. */
  extend(x: Tensor, input: AttentionInput, pass: Pass): { output: Tensor; seen: KeyValues } {
    const { q, k, v, packed } = this.#project(x, input);
    const options = scoreOptions(input, q, k);
    const drops = pass.training && this.dropout > 0;
    const mixed = drops
      ? attentionWithDropout(q, k, v, options, this.dropout, under(pass, "probabilities"))
      : packed
        ? selfAttention(packed, options)
        : attention(q, k, v, options); // [B, H, T, K]
    return { output: this.output.forward(mixed.transpose(1, 2).reshape(x.shape)), seen: { keys: k, values: v } };
  }

  /** The attention probabilities of x, [B, H, T, S]. */
  weights(x: Tensor, input: AttentionInput = {}): Tensor {
    const { q, k } = this.#project(x, input);
    return attentionWeights(q, k, scoreOptions(input, q, k));
  }

  #project(x: Tensor, { memory, values, past }: AttentionInput): Projected {
    if (x.shape.length !== 3) throw new RangeError(`MultiHeadAttention: x ${formatShape(x.shape)}: want [B, T, D]`);
    if (memory) return this.#cross(x, memory, values ?? memory);
    const [B, T, D] = x.shape;
    // One product for all three; heads are views.
    const packed = this.projection.forward(x).reshape([B, T, 3, this.heads, D / this.heads]);
    const [q, k, v] = unpack(packed);
    if (!past && !this.rotary) return { q, k, v, packed };
    const before = past?.keys.shape[2] ?? 0;
    const turn = (heads: Tensor): Tensor => this.rotary?.forward(heads, before) ?? heads;
    if (!past) return { q: turn(q), k: turn(k), v };
    return { q: turn(q), k: concat([past.keys, turn(k)], 2), v: concat([past.values, v], 2) };
  }

  /** Queries of x meet keys and values from elsewhere: the same weights, read in parts. */
  #cross(x: Tensor, memory: Tensor, values: Tensor): Projected {
    const [q, k, v] = [x, memory, values].map((source, part) => {
      const ofPart = (whole: Tensor): Tensor => beside(source, whole).split(3, -1)[part];
      const product = source.matmul(ofPart(this.projection.weight));
      const placed = this.projection.bias ? product.add(ofPart(this.projection.bias)) : product;
      const [B, S, D] = placed.shape;
      return placed.reshape([B, S, this.heads, D / this.heads]).transpose(1, 2);
    });
    return { q, k, v };
  }

  override cost(length: number): Cost {
    // q k^T and the mixing of values: 2 D each for every key.
    const mixing = { active: 0, flops: 4 * length * this.output.weight.shape[0] };
    return addCosts([super.cost(length), mixing]);
  }
}

function scoreOptions({ causal = false, bias, mask }: AttentionInput, q: Tensor, k: Tensor): AttentionOptions {
  const [B, S] = [k.shape[0], k.shape[2]];
  if (mask && !sameShape(mask.shape, [B, S]))
    throw new RangeError(`MultiHeadAttention: mask ${formatShape(mask.shape)} for keys [B, S] = ${formatShape([B, S])}`);
  const padding = mask && paddingBias(mask, q.dtype);
  const total = padding && bias ? bias.add(padding) : (bias ?? padding);
  return total ? { causal, bias: total } : { causal };
}
