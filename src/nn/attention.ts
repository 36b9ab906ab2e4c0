/**
 * Scaled dot-product attention. Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
 * B batch, H heads of queries, G heads of keys and values, T queries, S keys, K width of a query and a key, V width of a value.
 */
import type { Backend, FusedKernel, NDArray, Shape } from "../autograd/contract.ts";
import { broadcastShapes, formatShape, sameShape } from "../autograd/contract.ts";
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Fused, FusedAttributes } from "../autograd/fused.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { aTensor, check, checkOptions, finite, flag, optional, requireFloat } from "../autograd/arguments.ts";
import { applyFused } from "../autograd/fused.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "./dropout.ts";
import type { Pass } from "./module.ts";
import { Tables } from "./tables.ts";

/** The scale, the mask and the bias of attention. */
export interface AttentionOptions {
  /** Whether query t attends only to keys up to t + S - T: the queries are the last T of S positions. Default false. */
  readonly causal?: boolean;
  /** Added to the scores; broadcasts to [B, H, T, S]. -Infinity forbids a query to attend to a key. */
  readonly bias?: Tensor;
  /** Default 1 / sqrt(K). */
  readonly scale?: number;
}

const kinds: Kinds<AttentionOptions> = { causal: optional(flag), bias: optional(aTensor), scale: optional(finite()) };

const tables = new Tables();

/** [T, S]: -Infinity where the key comes after the query, 0 elsewhere. The backward pass of this addition costs nothing. */
function causalBias(like: Tensor, T: number, S: number): Tensor {
  const options = { dtype: "int32", backend: like.backend } as const;
  return tables.get(like.backend, `causal ${T} ${S} ${like.dtype}`, () => {
    const ahead = arange(0, S, 1, options).sub(arange(S - T, S, 1, options).unsqueeze(1)); // [T, S] key - query
    return where(ahead.greater(0).cast(like.dtype), -Infinity, 0);
  });
}

/**
 * The queries of heads that share keys and values, as queries of one head: [B, H, T, n] -> [B, G, H / G T, n]. So keys and values are never
 * repeated, and their cotangents are one product each. Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245.
 */
function folded(x: Tensor, groups: number): Tensor {
  const [B, H, T, n] = x.shape;
  return H === groups ? x : x.reshape([B, groups, (H / groups) * T, n]);
}

/** The attention probabilities, [B, H, T, S]; zeros for a query that may attend to nothing. */
function probabilities(q: Tensor, k: Tensor, bias: Tensor | undefined, scale: number, causal: boolean): Tensor {
  const scores = folded(q.mul(scale), k.shape[1]).matmul(k.transpose());
  const products = scores.reshape([...q.shape.slice(0, 3), k.shape[2]]); // [B, H, T, S]
  const [T, S] = products.shape.slice(-2);
  const mask = causal && T > 1 ? causalBias(products, T, S) : undefined;
  const added = bias && mask ? bias.add(mask) : (bias ?? mask); // a bias without the batch axis is small
  return (added ? products.add(added) : products).softmax(-1);
}

type AttentionAttributes = FusedAttributes<"attention">;

/** -> [B, T, H, V] */
export const attentionFused: Fused<"attention"> = {
  name: "attention",
  type: (_, { shape: [B, H, T], dtype }, _k, { shape: [, , , V] }) => ({ shape: [B, T, H, V], dtype }),
  compose: ({ scale, causal }, q, k, v, bias) => mixed(probabilities(q, k, bias, scale, causal), v).transpose(1, 2),
};

/** The values [B, G, S, V] averaged by the probabilities [B, H, T, S]: [B, H, T, V]. */
function mixed(weights: Tensor, v: Tensor): Tensor {
  return folded(weights, v.shape[1]).matmul(v).reshape([...weights.shape.slice(0, 3), v.shape[3]]); // prettier-ignore
}

/** Attention whose queries, keys and values lie in one array [B, T, H + 2 G, K], and so do their cotangents. */
function packedAttentionFused(heads: number): Fused<"attention"> {
  return {
    name: "attention",
    type: (_, { shape: [B, T, , K], dtype }) => ({ shape: [B, T, heads, K], dtype }),
    compose(attributes, packed, bias) {
      const [q, k, v] = unpack(packed, heads);
      return attentionFused.compose(attributes, q, k, v, ...(bias ? [bias] : []));
    },
    kernel: (backend) => backend.fused.attention && packedKernel(backend, backend.fused.attention, heads),
  };
}

/** [B, T, H + 2 G, K] -> queries [B, H, T, K], keys and values [B, G, T, K], as views. */
export function unpack(packed: Tensor, heads: number): [Tensor, Tensor, Tensor] {
  const all = packed.transpose(1, 2);
  const groups = (packed.shape[2] - heads) / 2;
  const part = (from: number, count: number): Tensor => all.narrow(1, from, from + count);
  return [part(0, heads), part(heads, groups), part(heads + groups, groups)];
}

function packedKernel(backend: Backend, kernel: FusedKernel<AttentionAttributes>, heads: number): FusedKernel<AttentionAttributes> {
  const parts = ({ shape: [B, T, all, K], strides: [b, t, h, k], dtype, buffer, offset }: NDArray): NDArray[] => {
    const groups = (all - heads) / 2;
    return [[0, heads], [heads, groups], [heads + groups, groups]].map(([from, count]) =>
      ({ shape: [B, count, T, K], dtype, buffer, strides: [b, h, t, k], offset: offset + from * h })); // prettier-ignore
  };
  return {
    forward: (out, [packed, ...bias], attributes) => kernel.forward(out, [...parts(packed), ...bias], attributes),
    backward(g, out, saved, [packed, ...bias], [needed, ...biasNeeded], attributes) {
      const given = parts(packed);
      const flags = [needed, needed, needed, ...biasNeeded];
      const [dq, dk, dv, ...rest] = kernel.backward(g, out, saved, [...given, ...bias], flags, attributes);
      if (!dq || !dk || !dv) return [null, ...rest];
      const { shape, dtype } = packed;
      const [, T, , K] = shape;
      const pieces = [dq, dk, dv].map((buffer, i): NDArray => {
        const [B, count] = given[i].shape;
        return { shape: [B, T, count, K], dtype, buffer, strides: [count * T * K, K, T * K, 1], offset: 0 };
      });
      const joined = backend.concat({ shape, dtype }, pieces, 2);
      for (const { buffer } of pieces) backend.free(buffer);
      return [joined, ...rest];
    },
  };
}

/**
 * softmax(q k^T scale + bias) v: q [B, H, T, K], k [B, G, S, K], v [B, G, S, V] -> [B, H, T, V]. Where G is less than H (it divides
 * H), head h reads the keys and values of head floor(h G / H): grouped-query attention. A query that may attend to nothing gives zeros
 * with zero gradient. bfloat16 is widened inside and rounded once. Throws for shapes that do not fit. Vaswani et al. 2017,
 * arXiv:1706.03762, eq. 1; groups: Ainslie et al. 2023, arXiv:2305.13245.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  return attentionByToken(q, k, v, options).transpose(1, 2);
}

/** `attention`, with the heads of a token side by side: [B, T, H, V]. */
export function attentionByToken(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  const { causal = false, bias, scale } = checked("attention", q, k, options);
  requireValues("attention", k, v);
  const [x, y, z] = [q, k, v].map((t) => t.atLeast("float32"));
  const out = applyFused(attentionFused, { scale, causal }, x, y, z, ...(bias ? [bias.atLeast("float32")] : []));
  return out.cast(q.dtype);
}

/**
 * `attentionByToken` among the tokens of one sequence; H queries, then G keys, then G values in one array [B, T, H + 2 G, K] -> [B, T, H, K].
 */
export function selfAttention(
  packed: Tensor,
  heads: number,
  { causal = false, bias, scale = 1 / Math.sqrt(packed.shape[3]) }: AttentionOptions = {},
): Tensor {
  const [B, T] = packed.shape;
  requireBias("attention", bias, [B, heads, T, T]);
  const wide = [packed, ...(bias ? [bias] : [])].map((x) => x.atLeast("float32"));
  const out = applyFused(packedAttentionFused(heads), { scale, causal }, ...wide);
  return out.cast(packed.dtype);
}

/** The probabilities of `attention`, [B, H, T, S]. Vaswani et al. 2017, arXiv:1706.03762, eq. 1. */
export function attentionWeights(q: Tensor, k: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, bias, scale } = checked("attentionWeights", q, k, options);
  return probabilities(q.atLeast("float32"), k.atLeast("float32"), bias?.atLeast("float32"), scale, causal);
}

/** `attentionByToken` with dropout on the probabilities, which no kernel computes. */
export function attentionWithDropout(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, rate: number, pass: Pass): Tensor {
  requireValues("attention", k, v);
  const weights = dropout(attentionWeights(q, k, options), rate, pass);
  return mixed(weights, v.atLeast("float32")).cast(q.dtype).transpose(1, 2);
}

function checked(operation: string, q: Tensor, k: Tensor, options: AttentionOptions): AttentionOptions & { readonly scale: number } {
  for (const [name, x] of Object.entries({ queries: q, keys: k })) check(operation, name, x, aTensor);
  checkOptions(operation, options, kinds);
  requireFloat(operation, q);
  const [B, H, T, K] = q.shape;
  if (q.shape.length !== 4 || k.shape.length !== 4 || k.shape[0] !== B || H % k.shape[1] !== 0 || k.shape[3] !== K)
    throw new RangeError(
      `${operation}: queries ${formatShape(q.shape)} and keys ${formatShape(k.shape)}: want [B, H, T, K] and [B, G, S, K], G a divisor of H`,
    );
  if (options.causal && T > k.shape[2]) throw new RangeError(`${operation}: causal, but ${T} queries are more than ${k.shape[2]} keys`);
  requireBias(operation, options.bias, [B, H, T, k.shape[2]]);
  return { ...options, scale: options.scale ?? 1 / Math.sqrt(K) };
}

function requireValues(operation: string, k: Tensor, v: Tensor): void {
  check(operation, "values", v, aTensor);
  if (v.shape.length !== 4 || !sameShape(v.shape.slice(0, 3), k.shape.slice(0, 3)))
    throw new RangeError(`${operation}: keys ${formatShape(k.shape)} and values ${formatShape(v.shape)} differ before the width`);
}

/** Throws for a bias that does not broadcast to the scores: a kernel would read beyond it, and the composition would broadcast the scores. */
function requireBias(operation: string, bias: Tensor | undefined, scores: Shape): void {
  if (!bias) return;
  const shape = broadcastShapes(bias.shape, scores);
  if (!shape || !sameShape(shape, scores))
    throw new RangeError(`${operation}: bias ${formatShape(bias.shape)} does not stretch to the scores ${formatShape(scores)}`);
}
