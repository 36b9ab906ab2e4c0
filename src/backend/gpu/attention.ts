/**
 * Attention as few launches. B batch, H heads of queries, G heads of keys and values, each read by R = H / G, T queries, S keys, D width
 * of a head.
 *
 * Four forward: the scores, scaled, biased and masked as they are summed; the statistics of their rows; the probabilities, which are kept;
 * and what they mix. Five backward, because the sum of p dp over the keys is the sum of g out over the width, which is there before dp is:
 * FlashAttention, Dao et al. 2022, arXiv:2205.14135, appendix B.2. Keys and values that several heads share are read with stride 0; their
 * cotangents are one product over the queries of all R heads.
 */
import { broadcastStrides, isContiguous, sizeOf } from "../shape.ts";
import { exchanged, reread } from "../views.ts";
import { sumTo } from "./reductions.ts";
import { softmaxRows } from "./rowwise.ts";
import { literal } from "./source/functions.ts";
import { indexOf } from "./source/grid.ts";
import * as products from "./source/products.ts";
import { consume, copied, whole, withFlat } from "./views.ts";
import type { ArrayType, Buffer, FusedKernel, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";
import type { Finish } from "./source/products.ts";

interface Attributes {
  readonly scale: number;
  readonly causal: boolean;
}

export function attention(launcher: Launcher): FusedKernel<Attributes> {
  return {
    forward: (out, inputs, attributes) => {
      const [q, k, v] = inputs;
      const type = scoresOf(q, k);
      const tooMany = attributes.causal && q.shape[2] > k.shape[2];
      if (q.shape[1] % k.shape[1] !== 0 || sizeOf(type.shape) === 0 || sizeOf(v.shape) === 0 || tooMany) return undefined;
      const probabilities = consume(launcher, scores(launcher, type, inputs, attributes), (buffer) =>
        softmaxRows(launcher, whole(buffer, type)),
      );
      const mixed = apart(whole(probabilities, type), k.shape[1]);
      const shape = [...mixed.shape.slice(0, -1), v.shape[3]];
      const byHead = product(launcher, "attention", { shape, dtype: out.dtype }, mixed, shared(v, q.shape[1]));
      const heads = { shape: [...q.shape.slice(0, -1), v.shape[3]], dtype: out.dtype }; // [B, H, T, D]
      return { out: byToken(launcher, byHead, heads), saved: [probabilities] };
    },
    backward: (gByToken, outByToken, [saved], inputs, needed, { scale }) => {
      const [g, out] = [gByToken, outByToken].map(exchanged); // [B, H, T, D]
      const [q, k, v, bias] = inputs;
      const [heads, groups] = [q.shape[1], k.shape[1]];
      const type = scoresOf(q, k);
      const p = whole(saved, type);
      const scaled: Finish = { arrays: 0, value: (sum) => `${sum} * ${literal(scale)}` };
      const typeOf = ({ shape }: NDArray): ArrayType => ({ shape, dtype: out.dtype });
      const toShared = (name: string, x: NDArray, weights: NDArray, by: NDArray, ...more: [finish?: Finish, variant?: string]): Buffer =>
        withTogether(launcher, by, groups, (rows) =>
          product(launcher, name, typeOf(x), transposed(together(weights, groups)), rows, ...more),
        );
      const toValues = needed[2] ? toShared("attention values", v, p, g) : null;
      if (!needed[0] && !needed[1] && !needed[3]) return [null, null, toValues, null].slice(0, inputs.length);
      return consume(launcher, toScores(launcher, type, g, out, p, v), (buffer) => {
        const slope = whole(buffer, type);
        const name = "attention cotangent";
        return [
          needed[0]
            ? product(launcher, name, typeOf(apart(q, groups)), apart(slope, groups), shared(k, heads), scaled, String(scale))
            : null,
          needed[1] ? toShared(name, k, slope, q, scaled, String(scale)) : null,
          toValues,
          needed[3] ? sumTo(launcher, bias, slope) : null,
        ].slice(0, inputs.length);
      });
    },
  };
}

/** The elements of [B, H, T, D] in `buffer` as [B, T, H, D]; a copy in its place, unless the order is the same. */
function byToken(launcher: Launcher, buffer: Buffer, type: ArrayType): Buffer {
  const x = exchanged(whole(buffer, type));
  return isContiguous(x.shape, x.strides) ? buffer : consume(launcher, buffer, () => copied(launcher, x));
}

// Heads that share keys and values. Where every head has its own, arrays stay as they are.

/** x [B, H, T, n] -> [B, G, R, T, n] */
function apart(x: NDArray, groups: number): NDArray {
  const [B, H, T, n] = x.shape;
  if (H === groups) return x;
  const [batch, head, row, column] = x.strides;
  return reread(x, [B, groups, H / groups, T, n], [batch, (H / groups) * head, head, row, column]);
}

/** x [B, G, S, n] -> [B, G, R, S, n], read R times. */
function shared(x: NDArray, heads: number): NDArray {
  const [B, G, S, n] = x.shape;
  if (G === heads) return x;
  const [batch, head, row, column] = x.strides;
  return reread(x, [B, G, heads / G, S, n], [batch, head, 0, row, column]);
}

/** x [B, H, T, n], whose heads follow one another as their rows do -> [B, G, R T, n] */
function together(x: NDArray, groups: number): NDArray {
  const [B, H, T, n] = x.shape;
  if (H === groups) return x;
  const [batch, head, row, column] = x.strides;
  return reread(x, [B, groups, (H / groups) * T, n], [batch, (H / groups) * head, row, column]);
}

/** Calls `next` with `together` of x, or of a copy where its heads do not follow one another as its rows do. */
function withTogether<T>(launcher: Launcher, x: NDArray, groups: number, next: (rows: NDArray) => T): T {
  const [, H, T] = x.shape;
  const [, head, row] = x.strides;
  if (H === groups || head === T * row) return next(together(x, groups));
  return withFlat(launcher, x, x.shape, (flat) => next(together(flat, groups)));
}

function scoresOf(q: NDArray, k: NDArray): ArrayType {
  const [B, H, T] = q.shape;
  return { shape: [B, H, T, k.shape[2]], dtype: q.dtype };
}

function transposed(x: NDArray): NDArray {
  const swapped = (list: readonly number[]): number[] => [...list.slice(0, -2), ...list.slice(-2).toReversed()];
  return reread(x, swapped(x.shape), swapped(x.strides));
}

/** A matrix product, its sums finished with the help of `more`. */
function product(
  launcher: Launcher,
  name: string,
  out: ArrayType,
  x: NDArray,
  y: NDArray,
  finish?: Finish,
  variant = "",
  more: { inputs?: readonly NDArray[]; scalars?: readonly number[] } = {},
): Buffer {
  const { limits, lanes } = launcher.device;
  const program = () => products.bestMatmul(out.shape, lanes)(out.shape, x, y, limits, finish);
  const { inputs = [], scalars = [] } = more;
  return launcher.launch({ name, out, inputs: [x, y, ...inputs], variant, scalars, program });
}

/** q k^T scale + bias, and -Infinity for keys behind the query. Why a scalar: shader languages have no literal for it. */
function scores(launcher: Launcher, type: ArrayType, [q, k, , bias]: readonly NDArray[], { scale, causal }: Attributes): Buffer {
  const [T, S] = type.shape.slice(-2);
  const stretched = bias && reread(bias, type.shape, broadcastStrides(bias.shape, bias.strides, type.shape));
  const layout = stretched && apart(stretched, k.shape[1]);
  const value = (sum: string, coordinates: readonly string[]): string => {
    const [query, key] = coordinates.slice(-2);
    const score = `${sum} * ${literal(scale)}${layout ? ` + c[${indexOf(coordinates, layout)}]` : ""}`;
    return causal && T > 1 ? `(${key} > ${query} + ${S - T} ? hidden : ${score})` : score;
  };
  const finish = { arrays: bias ? 1 : 0, scalars: ["hidden"], value };
  const more = { inputs: bias ? [bias] : [], scalars: [-Infinity] };
  const queries = apart(q, k.shape[1]);
  const out = { shape: [...queries.shape.slice(0, -1), S], dtype: type.dtype };
  return product(launcher, "attention scores", out, queries, transposed(shared(k, q.shape[1])), finish, `${scale} ${causal}`, more);
}

/** The cotangent of the biased scores: p (g v^T - sum of g out). */
function toScores(launcher: Launcher, type: ArrayType, g: NDArray, out: NDArray, p: NDArray, v: NDArray): Buffer {
  const [heads, groups] = [type.shape[1], v.shape[1]];
  const rows = { shape: [...type.shape.slice(0, -1), 1], dtype: type.dtype };
  const asRow = (x: NDArray): NDArray => reread(x, x.shape.toSpliced(3, 0, 1), x.strides.toSpliced(3, 0, 0));
  const level = product(launcher, "attention level", { ...rows, shape: [...rows.shape, 1] }, asRow(g), transposed(asRow(out)));
  return consume(launcher, level, (buffer) => {
    const levels = whole(buffer, rows);
    const [probs, sums] = [apart(p, groups), apart(levels, groups)];
    const layout = { strides: sums.strides.with(-1, 0), offset: 0 };
    const value = (sum: string, at: readonly string[]): string => `c[${indexOf(at, probs)}] * (${sum} - d[${indexOf(at, layout)}])`;
    const slopes = { shape: probs.shape, dtype: type.dtype };
    const more = { inputs: [p, levels] };
    return product(launcher, "attention slope", slopes, apart(g, groups), transposed(shared(v, heads)), { arrays: 2, value }, "", more);
  });
}
