/**
 * Scaled dot-product attention. Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
 * B batch, H heads, T queries, S keys, K width of a head.
 */
import type { DType } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Fused } from "../autograd/primitive.ts";
import { applyFused, requireFloat } from "../autograd/primitive.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "./dropout.ts";
import type { Pass } from "./module.ts";
import { Tables } from "./tables.ts";

export interface AttentionOptions {
  /** Query t sees keys up to t + S - T: the queries are the last T of S places. */
  readonly causal?: boolean;
  /** Added to the scores; broadcasts to [B, H, T, S]; -Infinity forbids. */
  readonly bias?: Tensor;
  /** Default 1 / sqrt(K). */
  readonly scale?: number;
}

const tables = new Tables();

/** [T, S]: 1 where the key lies behind the query. */
function future(like: Tensor, T: number, S: number): Tensor {
  const options = { dtype: "int32", backend: like.backend } as const;
  return tables.get(like.backend, `future ${T} ${S}`, () =>
    arange(0, S, 1, options)
      .sub(arange(S - T, S, 1, options).unsqueeze(1))
      .greater(0),
  );
}

/** The probabilities, [B, H, T, S]: a query that may attend to nothing has zeros. */
function probabilities(q: Tensor, k: Tensor, bias: Tensor | undefined, scale: number, causal: boolean): Tensor {
  const products = q.mul(scale).matmul(k.transpose()); // [B, H, T, S]
  const scores = bias ? products.add(bias) : products;
  const [T, S] = scores.shape.slice(-2);
  return (causal && T > 1 ? where(future(q, T, S), -Infinity, scores) : scores).softmax(-1);
}

export const attentionFused: Fused<"attention"> = {
  name: "attention",
  type: (_, q, _k, v) => ({ shape: [...q.shape.slice(0, -1), v.shape[v.shape.length - 1]], dtype: q.dtype }),
  compose: ({ scale, causal }, q, k, v, bias) => probabilities(q, k, bias, scale, causal).matmul(v),
};

/**
 * softmax(q k^T scale + bias) v: q [B, H, T, K], k [B, H, S, K], v [B, H, S, V] -> [B, H, T, V]. A query that may attend to
 * nothing gives zeros with zero gradient. bfloat16 is widened inside and rounded once.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, bias, scale } = checked("attention", q, k, options);
  if (v.shape.length !== 4 || v.shape[2] !== k.shape[2])
    throw new RangeError(`attention: keys ${formatShape(k.shape)} and values ${formatShape(v.shape)} differ in number`);
  const [x, y, z] = [q, k, v].map((t) => t.atLeast("float32"));
  const out = applyFused(attentionFused, { scale, causal }, x, y, z, ...(bias ? [bias.atLeast("float32")] : []));
  return out.cast(q.dtype);
}

/** The probabilities of `attention`, [B, H, T, S]. */
export function attentionWeights(q: Tensor, k: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, bias, scale } = checked("attentionWeights", q, k, options);
  return probabilities(q.atLeast("float32"), k.atLeast("float32"), bias?.atLeast("float32"), scale, causal);
}

/** `attention` with dropout on its probabilities: always the composition. */
export function attentionWithDropout(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, rate: number, pass: Pass): Tensor {
  const weights = dropout(attentionWeights(q, k, options), rate, pass);
  return weights.matmul(v.atLeast("float32")).cast(q.dtype);
}

function checked(operation: string, q: Tensor, k: Tensor, options: AttentionOptions): AttentionOptions & { readonly scale: number } {
  requireFloat(operation, q);
  const [B, H, T, K] = q.shape;
  if (q.shape.length !== 4 || k.shape.length !== 4 || k.shape[0] !== B || k.shape[1] !== H || k.shape[3] !== K)
    throw new RangeError(
      `${operation}: queries ${formatShape(q.shape)} and keys ${formatShape(k.shape)}: want [B, H, T, K] and [B, H, S, K]`,
    );
  if (options.causal && T > k.shape[2]) throw new RangeError(`${operation}: causal, but ${T} queries are more than ${k.shape[2]} keys`);
  return { ...options, scale: options.scale ?? 1 / Math.sqrt(K) };
}

/** mask [B, S], 0 where nothing may attend -> additive bias [B, 1, 1, S] of 0 and -Infinity, in the float dtype of the scores. */
export function paddingBias(mask: Tensor, dtype: DType): Tensor {
  const [B, S] = mask.shape;
  return where(mask.reshape([B, 1, 1, S]).cast(dtype === "float64" ? dtype : "float32"), 0, -Infinity);
}
