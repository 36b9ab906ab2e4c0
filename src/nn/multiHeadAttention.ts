/**
 * Attention in several heads at once. B batch, H heads of queries, G heads of keys and values, T queries, S keys, D width, K width of
 * a head.
 */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, aTensor, callable, check, checkOptions, either, flag, instance, nothing, oneOf, optional, positive, rate, whole } from "../autograd/arguments.ts"; // prettier-ignore
import { context } from "../autograd/context.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import { appended } from "../autograd/growing.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { attentionByToken, attentionWeights, attentionWithDropout, selfAttention, unpack } from "./attention.ts";
import type { AttentionOptions } from "./attention.ts";
import type { Initializer } from "./initializers.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import { Linear } from "./linear.ts";
import { paddingBias } from "./masks.ts";
import type { Cost, Init, Pass } from "./module.ts";
import { Module, aPass, addCosts, inDtypeOf, under } from "./module.ts";
import { RMSNorm } from "./normalization.ts";
import { Rotary } from "./rotary.ts";

/** Heads, widths and settings of multi-head attention. */
export interface MultiHeadAttentionOptions extends Init {
  /** H */
  readonly heads: number;
  /** G, a divisor of H: H / G heads of queries share one head of keys and values. Default H. Ainslie et al. 2023, arXiv:2305.13245. */
  readonly keyValueHeads?: number;
  /** K; default D / H. */
  readonly headWidth?: number;
  /** Width of the vectors that keys are made of, if that is not D. Such a layer attends to a memory only. */
  readonly keyWidth?: number;
  /** Width of the vectors that values are made of. Default: that of the keys. */
  readonly valueWidth?: number;
  /** Whether the four projections have biases; "inputs": only those of queries, keys and values, as in Qwen2. Default true. */
  readonly bias?: boolean | "inputs";
  /**
   * Multiplies the scores. Default 1 / sqrt(K). With another scale, such as T5's 1, the initial weights of the queries are multiplied by
   * 1 / sqrt(K) / scale, so that initial scores have the same size.
   */
  readonly scale?: number;
  /** RMS norm of queries and keys: in each head, as in Qwen3, or over all heads at once, as in OLMoE. Default none. */
  readonly queryKeyNorm?: "head" | "width" | null;
  /** eps of that norm. Default 1e-6. */
  readonly normEps?: number;
  /** Clips queries, keys and values to [-clip, clip] before rotary positions are applied, as in OLMoE. Default: no clipping. */
  readonly clip?: number | null;
  /** The dropout rate of the attention probabilities, while training. Default 0. */
  readonly dropout?: number;
  /** Rotary positions of queries and keys. Default: none. */
  readonly rotary?: Rotary | null;
  /** Draws the weights. Default: truncated normal of deviation sqrt(1 / fan-in). */
  readonly initializer?: Initializer;
}

const kinds: Kinds<MultiHeadAttentionOptions> = {
  random: aKey,
  dtype: optional(aFloatDtype),
  heads: whole(1),
  keyValueHeads: optional(whole(1)),
  headWidth: optional(whole(1)),
  keyWidth: optional(whole(1)),
  valueWidth: optional(whole(1)),
  bias: optional(oneOf(true, false, "inputs")),
  scale: optional(positive),
  queryKeyNorm: optional(oneOf("head", "width", null)),
  normEps: optional(positive),
  clip: optional(either(positive, nothing)),
  dropout: optional(rate),
  rotary: optional(either(instance(Rotary), nothing)),
  initializer: optional(callable),
};

/** Keys and values of the tokens so far, [B, G, S, K] each: the key/value cache of generation. */
export interface KeyValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** What attention takes beside its input x: the memory, masks, a bias, the past. */
export interface AttentionInput {
  /** [B, S, D]: the vectors to attend to, instead of x itself. */
  readonly memory?: Tensor | undefined;
  /** [B, S, D]: the vectors to make values of, instead of the memory. */
  readonly values?: Tensor | undefined;
  /** Keys and values of a memory from an earlier call, instead of the memory. */
  readonly known?: KeyValues | undefined;
  /** Whether no token attends to a later one. Default false. */
  readonly causal?: boolean;
  /** Added to the scores; broadcasts to [B, H, T, S]. */
  readonly bias?: Tensor | undefined;
  /** [B, S], 0 for padding: keys that no query attends to. */
  readonly mask?: Tensor | undefined;
  /** Keys and values of the tokens before x, which x attends to as well. */
  readonly past?: KeyValues | undefined;
}

/** Keys and values that an earlier call returned. */
export const someKeyValues: Kind = {
  wanted: "keys and values, tensors, such as `seen` of an earlier call",
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    "keys" in value &&
    aTensor.accepts(value.keys) &&
    "values" in value &&
    aTensor.accepts(value.values),
};

export const attentionInputKinds: Kinds<AttentionInput> = {
  memory: optional(aTensor),
  values: optional(aTensor),
  known: optional(someKeyValues),
  causal: optional(flag),
  bias: optional(aTensor),
  mask: optional(aTensor),
  past: optional(someKeyValues),
};

interface Projected {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** All three in one array [B, T, H + 2 G, K], if they still are as one product made them. */
  readonly packed?: Tensor;
}

/**
 * Multi-head attention, x [B, T, D] -> [B, T, D]: a projection makes queries, keys and values, each of H heads computes softmax(q k^T scale
 * + bias) v, and a second projection joins the heads. `width` is D. Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. Throws for
 * options that do not fit one another.
 */
export class MultiHeadAttention extends Module {
  /** [D, (H + 2 G) K]: queries, keys and values side by side; only queries, [D, H K], with a `keyWidth` or `valueWidth`. */
  readonly projection: Linear;
  /** [keyWidth, G K], and for values [valueWidth, G K]; null unless these widths are given. */
  readonly keys: Linear | null;
  readonly values: Linear | null;
  readonly queryNorm: RMSNorm | null;
  readonly keyNorm: RMSNorm | null;
  /** [H K, D] */
  readonly output: Linear;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly scale: number;
  readonly clip: number | null;
  readonly dropout: number;
  readonly rotary: Rotary | null;

  constructor(width: number, options: MultiHeadAttentionOptions) {
    super();
    check("MultiHeadAttention", "width", width, whole(1));
    checkOptions("MultiHeadAttention", options, kinds);
    const { heads, keyValueHeads = heads, headWidth = width / heads, scale = 1 / Math.sqrt(headWidth) } = options;
    requireHeads(width, options, keyValueHeads);
    const { keyWidth, valueWidth = keyWidth ?? width, bias = true, queryKeyNorm = null, normEps = 1e-6 } = options;
    const { random, dtype = "float32", initializer = scaledTruncatedNormal() } = options;
    const apart = keyWidth !== undefined || valueWidth !== width;
    const [queries, groups] = [heads * headWidth, keyValueHeads * headWidth];
    const linear = (name: string, from: number, to: number, begin = initializer, biased = bias !== false): Linear =>
      new Linear(from, to, { bias: biased, initializer: begin, dtype, random: random.at(name) });
    const smaller = queriesTimes(1 / Math.sqrt(headWidth) / scale, queries, initializer);
    this.projection = linear("projection", width, apart ? queries : queries + 2 * groups, smaller);
    this.keys = apart ? linear("keys", keyWidth ?? width, groups) : null;
    this.values = apart ? linear("values", valueWidth, groups) : null;
    const norm = (all: number): RMSNorm | null =>
      queryKeyNorm && new RMSNorm(queryKeyNorm === "head" ? headWidth : all, { eps: normEps, dtype });
    this.queryNorm = norm(queries);
    this.keyNorm = norm(groups);
    this.output = linear("output", queries, width, initializer, bias === true);
    this.heads = heads;
    this.keyValueHeads = keyValueHeads;
    this.headWidth = headWidth;
    this.scale = scale;
    this.clip = options.clip ?? null;
    this.dropout = options.dropout ?? 0;
    this.rotary = options.rotary ?? null;
  }

  /** x [B, T, D] -> [B, T, D]. */
  forward(x: Tensor, input: AttentionInput, pass: Pass): Tensor {
    return this.extend(x, input, pass).output;
  }

  /** As `forward`, x [B, T, D] -> output [B, T, D]; returns also the keys and values of all tokens so far, or of the memory. */
  extend(x: Tensor, input: AttentionInput, pass: Pass): { output: Tensor; seen: KeyValues } {
    check("MultiHeadAttention", "pass", pass, aPass);
    const { q, k, v, packed } = this.#project(x, input);
    const options = this.#scoreOptions(input, q, k);
    const drops = pass.training && this.dropout > 0;
    const mixed = drops
      ? attentionWithDropout(q, k, v, options, this.dropout, under(pass, "probabilities"))
      : packed
        ? selfAttention(packed, this.heads, options)
        : attentionByToken(q, k, v, options); // [B, T, H, K]
    const side = mixed.reshape([...x.shape.slice(0, 2), this.heads * this.headWidth]);
    return { output: this.output.forward(side), seen: { keys: k, values: v } };
  }

  /** The attention probabilities of x, [B, H, T, S]. */
  weights(x: Tensor, input: AttentionInput = {}): Tensor {
    const { q, k } = this.#project(x, input);
    return attentionWeights(q, k, this.#scoreOptions(input, q, k));
  }

  #project(x: Tensor, input: AttentionInput): Projected {
    check("MultiHeadAttention", "x", x, aTensor);
    checkOptions("MultiHeadAttention", input, attentionInputKinds);
    const { memory, values, known, past } = input;
    if (x.shape.length !== 3) throw new RangeError(`MultiHeadAttention: x ${formatShape(x.shape)}: want [B, T, D]`);
    if (memory ?? known) return this.#cross(x, memory, values ?? memory, known);
    if (this.keys) throw new TypeError("MultiHeadAttention: made with a keyWidth or valueWidth, it needs a memory; none was given");
    // One product for all three; heads are views.
    const projected = this.#inHeads(this.projection.forward(x)); // [B, T, H + 2 G, K]
    const packed = this.queryNorm ? projected : this.#clipped(projected);
    const [q, k, v] = unpack(packed, this.heads);
    if (!past && !this.rotary && !this.queryNorm) return { q, k, v, packed };
    const before = past?.keys.shape[2] ?? 0;
    const turn = (heads: Tensor): Tensor => this.rotary?.forward(heads, before) ?? heads;
    const [queries, keys] = [turn(this.#normed(q, this.queryNorm)), turn(this.#normed(k, this.keyNorm))];
    const fresh = this.queryNorm ? this.#clipped(v) : v;
    if (!past) return { q: queries, k: keys, v: fresh };
    return { q: queries, k: appended(past.keys, keys, 2), v: appended(past.values, fresh, 2) };
  }

  /** [B, T, n K] -> [B, T, n, K] */
  #inHeads(x: Tensor): Tensor {
    return x.reshape([...x.shape.slice(0, 2), x.shape[2] / this.headWidth, this.headWidth]);
  }

  #clipped(x: Tensor): Tensor {
    return this.clip === null ? x : x.clamp(-this.clip, this.clip);
  }

  /** heads [B, n, T, K] normed, each head alone or all heads of a token together, then clipped. Without a norm they were clipped before. */
  #normed(heads: Tensor, norm: RMSNorm | null): Tensor {
    if (!norm) return heads;
    const byToken = heads.transpose(1, 2); // [B, T, n, K]
    const joined = norm.weight.size === this.headWidth ? byToken : byToken.reshape([...byToken.shape.slice(0, 2), norm.weight.size]);
    return this.#clipped(norm.forward(joined).reshape(byToken.shape).transpose(1, 2));
  }

  /** Queries of x, keys and values of a memory, each by its part of the weight of the projection. */
  #cross(x: Tensor, memory: Tensor | undefined, source: Tensor | undefined, known: KeyValues | undefined): Projected {
    const [queries, groups] = [this.heads * this.headWidth, this.keyValueHeads * this.headWidth];
    const part = (from: Tensor, start: number, count: number): Tensor => this.#part(from, start, start + count);
    const finished = (heads: Tensor, norm: RMSNorm | null): Tensor => (norm ? this.#normed(heads, norm) : this.#clipped(heads));
    const q = finished(part(x, 0, queries), this.queryNorm);
    if (known) return { q, k: known.keys, v: known.values };
    if (!memory || !source) throw new TypeError("MultiHeadAttention: there is no memory");
    const k = this.keys ? this.#inHeads(this.keys.forward(memory)).transpose(1, 2) : part(memory, queries, groups);
    const v = this.values ? this.#inHeads(this.values.forward(source)).transpose(1, 2) : part(source, queries + groups, groups);
    return { q, k: finished(k, this.keyNorm), v: finished(v, null) };
  }

  /** The columns from `start` to `stop` of the projection, in heads [B, n, T, K]. */
  #part(x: Tensor, start: number, stop: number): Tensor {
    const { weight, bias } = this.projection;
    if (x.shape[2] !== weight.shape[0])
      throw new RangeError(`MultiHeadAttention: ${formatShape(x.shape)} does not end in the width ${weight.shape[0]}`);
    const product = x.matmul(inDtypeOf(x, weight).narrow(1, start, stop));
    return this.#inHeads(bias ? product.add(inDtypeOf(x, bias).narrow(0, start, stop)) : product).transpose(1, 2);
  }

  #scoreOptions({ causal = false, bias, mask }: AttentionInput, q: Tensor, k: Tensor): AttentionOptions {
    const [B, S] = [k.shape[0], k.shape[2]];
    if (mask && !sameShape(mask.shape, [B, S]))
      throw new RangeError(`MultiHeadAttention: mask ${formatShape(mask.shape)} for keys [B, S] = ${formatShape([B, S])}`);
    const padding = mask && paddingBias(mask, q.dtype);
    const total = padding && bias ? bias.add(padding) : (bias ?? padding);
    return { causal, scale: this.scale, ...(total ? { bias: total } : {}) };
  }

  override cost(length: number): Cost {
    // q k^T and the mixing of values: 2 H K each for every key.
    const mixing = { active: 0, flops: 4 * length * this.output.weight.shape[0] };
    return addCosts([super.cost(length), mixing]);
  }
}

function requireHeads(width: number, { heads, headWidth, rotary }: MultiHeadAttentionOptions, keyValueHeads: number): void {
  if (headWidth === undefined && width % heads !== 0)
    throw new RangeError(`MultiHeadAttention: width ${width} does not divide into ${heads} heads; name their headWidth`);
  if (heads % keyValueHeads !== 0)
    throw new RangeError(`MultiHeadAttention: keyValueHeads ${keyValueHeads} does not divide the ${heads} heads`);
  if (rotary && (headWidth ?? width / heads) % 2 !== 0)
    throw new RangeError(`MultiHeadAttention: rotary positions pair the coordinates of a head; ${headWidth ?? width / heads} is odd`);
}

/** The first `columns` columns times `factor`. */
function queriesTimes(factor: number, columns: number, initializer: Initializer): Initializer {
  if (Math.abs(factor - 1) < 1e-12) return initializer;
  return (shape, at, { requiresGrad = false, ...options } = {}) => {
    if (!context().drawing) return initializer(shape, at, { ...options, requiresGrad });
    const drawn = initializer(shape, at, options);
    const row = tensor(
      Float64Array.from({ length: shape[1] }, (_, i) => (i < columns ? factor : 1)),
      { dtype: drawn.dtype, backend: drawn.backend },
    );
    const scaled = drawn.mul(row).detach();
    return requiresGrad ? scaled.requireGrad() : scaled;
  };
}
