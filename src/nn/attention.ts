/**
 * Scaled dot-product attention. Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
 * B batch, H heads, T queries, S keys, K width of a query and a key, V width of a value.
 */
import type { Backend, DType, FusedKernel, NDArray, Shape } from "../autograd/contract.ts";
import { broadcastShapes, formatShape, sameShape } from "../autograd/contract.ts";
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Fused, FusedAttributes } from "../autograd/fused.ts";
import { requireFloat } from "../autograd/arguments.ts";
import { applyFused } from "../autograd/fused.ts";
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

/** [T, S] of 0, and -Infinity where the key lies behind the query. Added to the scores it costs the walk back nothing. */
function causalBias(like: Tensor, T: number, S: number): Tensor {
  const options = { dtype: "int32", backend: like.backend } as const;
  return tables.get(like.backend, `causal ${T} ${S} ${like.dtype}`, () => {
    const ahead = arange(0, S, 1, options).sub(arange(S - T, S, 1, options).unsqueeze(1)); // [T, S] key - query
    return where(ahead.greater(0).cast(like.dtype), -Infinity, 0);
  });
}

/** The probabilities, [B, H, T, S]: a query that may attend to nothing has zeros. */
function probabilities(q: Tensor, k: Tensor, bias: Tensor | undefined, scale: number, causal: boolean): Tensor {
  const products = q.mul(scale).matmul(k.transpose()); // [B, H, T, S]
  const [T, S] = products.shape.slice(-2);
  const mask = causal && T > 1 ? causalBias(products, T, S) : undefined;
  const added = bias && mask ? bias.add(mask) : (bias ?? mask); // the bias is small where it does not know the batch
  return (added ? products.add(added) : products).softmax(-1);
}

type AttentionAttributes = FusedAttributes<"attention">;

export const attentionFused: Fused<"attention"> = {
  name: "attention",
  type: (_, q, _k, v) => ({ shape: [...q.shape.slice(0, -1), v.shape[v.shape.length - 1]], dtype: q.dtype }),
  compose: ({ scale, causal }, q, k, v, bias) => probabilities(q, k, bias, scale, causal).matmul(v),
};

/** The same of one array that holds all three, [B, T, 3, H, K]: their cotangents are then laid side by side in one piece. */
const packedAttentionFused: Fused<"attention"> = {
  name: "attention",
  type: (_, { shape: [B, T, , H, K], dtype }) => ({ shape: [B, H, T, K], dtype }),
  compose(attributes, packed, bias) {
    const [q, k, v] = unpack(packed);
    return attentionFused.compose(attributes, q, k, v, ...(bias ? [bias] : []));
  },
  kernel: (backend) => backend.fused.attention && packedKernel(backend, backend.fused.attention),
};

/** [B, T, 3, H, K] -> queries, keys and values [B, H, T, K], as views. */
export function unpack(packed: Tensor): Tensor[] {
  return packed.permute([2, 0, 3, 1, 4]).split(3, 0).map((part) => part.squeeze(0)); // prettier-ignore
}

function packedKernel(backend: Backend, kernel: FusedKernel<AttentionAttributes>): FusedKernel<AttentionAttributes> {
  const parts = ({ shape: [B, T, , H, K], strides: [b, t, part, h, k], dtype, buffer, offset }: NDArray): NDArray[] =>
    [0, 1, 2].map((i) => ({ shape: [B, H, T, K], dtype, buffer, strides: [b, h, t, k], offset: offset + i * part }));
  return {
    forward: (out, [packed, ...bias], attributes) => kernel.forward(out, [...parts(packed), ...bias], attributes),
    backward(g, out, saved, [packed, ...bias], [needed, ...biasNeeded], attributes) {
      const [dq, dk, dv, ...rest] = kernel.backward(
        g,
        out,
        saved,
        [...parts(packed), ...bias],
        [needed, needed, needed, ...biasNeeded],
        attributes,
      );
      if (!dq || !dk || !dv) return [null, ...rest];
      const { shape, dtype } = packed;
      const [B, T, , H, K] = shape;
      const pieces = [dq, dk, dv].map((buffer) => ({
        shape: [B, T, 1, H, K],
        dtype,
        buffer,
        strides: [H * T * K, K, 1, T * K, 1],
        offset: 0,
      }));
      const joined = backend.concat({ shape, dtype }, pieces, 2);
      for (const { buffer } of pieces) backend.free(buffer);
      return [joined, ...rest];
    },
  };
}

/**
 * softmax(q k^T scale + bias) v: q [B, H, T, K], k [B, H, S, K], v [B, H, S, V] -> [B, H, T, V]. A query that may attend to
 * nothing gives zeros with zero gradient. bfloat16 is widened inside and rounded once.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, bias, scale } = checked("attention", q, k, options);
  requireValues("attention", k, v);
  const [x, y, z] = [q, k, v].map((t) => t.atLeast("float32"));
  const out = applyFused(attentionFused, { scale, causal }, x, y, z, ...(bias ? [bias.atLeast("float32")] : []));
  return out.cast(q.dtype);
}

/** `attention` among the tokens of one sequence, queries, keys and values in one array: [B, T, 3, H, K] -> [B, H, T, K]. */
export function selfAttention(
  packed: Tensor,
  { causal = false, bias, scale = 1 / Math.sqrt(packed.shape[4]) }: AttentionOptions = {},
): Tensor {
  const [B, T, , H] = packed.shape;
  requireBias("attention", bias, [B, H, T, T]);
  const out = applyFused(packedAttentionFused, { scale, causal }, packed.atLeast("float32"), ...(bias ? [bias.atLeast("float32")] : []));
  return out.cast(packed.dtype);
}

/** The probabilities of `attention`, [B, H, T, S]. */
export function attentionWeights(q: Tensor, k: Tensor, options: AttentionOptions = {}): Tensor {
  const { causal = false, bias, scale } = checked("attentionWeights", q, k, options);
  return probabilities(q.atLeast("float32"), k.atLeast("float32"), bias?.atLeast("float32"), scale, causal);
}

/** `attention` with dropout on its probabilities: always the composition. */
export function attentionWithDropout(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, rate: number, pass: Pass): Tensor {
  requireValues("attention", k, v);
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
  requireBias(operation, options.bias, [B, H, T, k.shape[2]]);
  return { ...options, scale: options.scale ?? 1 / Math.sqrt(K) };
}

function requireValues(operation: string, k: Tensor, v: Tensor): void {
  if (v.shape.length !== 4 || !sameShape(v.shape.slice(0, 3), k.shape.slice(0, 3)))
    throw new RangeError(`${operation}: keys ${formatShape(k.shape)} and values ${formatShape(v.shape)} differ before the width`);
}

/** A kernel would read what is not there; the composition would stretch the scores. */
function requireBias(operation: string, bias: Tensor | undefined, scores: Shape): void {
  if (!bias) return;
  const shape = broadcastShapes(bias.shape, scores);
  if (!shape || !sameShape(shape, scores))
    throw new RangeError(`${operation}: bias ${formatShape(bias.shape)} does not stretch to the scores ${formatShape(scores)}`);
}

/** mask [B, S], 0 where nothing may attend -> additive bias [B, 1, 1, S] of 0 and -Infinity, in the float dtype of the scores. */
export function paddingBias(mask: Tensor, dtype: DType): Tensor {
  const [B, S] = mask.shape;
  return where(mask.reshape([B, 1, 1, S]).cast(dtype === "float64" ? dtype : "float32"), 0, -Infinity);
}
