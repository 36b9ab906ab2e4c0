/**
 * Attention as few launches. B batch, H heads, T queries, S keys, D width of a head.
 *
 * Four forward: the scores, scaled, biased and masked as they are summed; the statistics of their rows; the probabilities, which are kept;
 * and what they mix. Five backward, because the sum of p dp over the keys is the sum of g out over the width, which is there before dp is:
 * FlashAttention, Dao et al. 2022, arXiv:2205.14135, appendix B.2.
 */
import { broadcastStrides, sizeOf } from "../shape.ts";
import { reread } from "../views.ts";
import { sumTo } from "./reductions.ts";
import { softmaxRows } from "./rowwise.ts";
import { literal } from "./source/functions.ts";
import { indexOf } from "./source/grid.ts";
import * as products from "./source/products.ts";
import { consume, whole } from "./views.ts";
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
      if (q.shape[1] !== k.shape[1] || sizeOf(type.shape) === 0 || sizeOf(v.shape) === 0 || (attributes.causal && q.shape[2] > k.shape[2]))
        return undefined;
      const probabilities = consume(launcher, scores(launcher, type, inputs, attributes), (buffer) =>
        softmaxRows(launcher, whole(buffer, type)),
      );
      return { out: product(launcher, "attention", out, whole(probabilities, type), v), saved: [probabilities] };
    },
    backward: (g, out, [saved], inputs, needed, { scale }) => {
      const [q, k, v, bias] = inputs;
      const type = scoresOf(q, k);
      const p = whole(saved, type);
      const scaled: Finish = { arrays: 0, value: (sum) => `${sum} * ${literal(scale)}` };
      const typeOf = ({ shape }: NDArray): ArrayType => ({ shape, dtype: out.dtype });
      const toValues = needed[2] ? product(launcher, "attention values", typeOf(v), transposed(p), g) : null;
      if (!needed[0] && !needed[1] && !needed[3]) return [null, null, toValues, null].slice(0, inputs.length);
      return consume(launcher, toScores(launcher, type, g, out, p, v), (buffer) => {
        const slope = whole(buffer, type);
        const to = (x: NDArray, from: NDArray, by: NDArray): Buffer =>
          product(launcher, "attention cotangent", typeOf(x), from, by, scaled, String(scale));
        return [
          needed[0] ? to(q, slope, k) : null,
          needed[1] ? to(k, transposed(slope), q) : null,
          toValues,
          needed[3] ? sumTo(launcher, bias, slope) : null,
        ].slice(0, inputs.length);
      });
    },
  };
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
  const layout = bias && { strides: broadcastStrides(bias.shape, bias.strides, type.shape), offset: bias.offset };
  const value = (sum: string, coordinates: readonly string[]): string => {
    const score = `${sum} * ${literal(scale)}${layout ? ` + c[${indexOf(coordinates, layout)}]` : ""}`;
    return causal && T > 1 ? `(${coordinates[3]} > ${coordinates[2]} + ${S - T} ? hidden : ${score})` : score;
  };
  const finish = { arrays: bias ? 1 : 0, scalars: ["hidden"], value };
  const more = { inputs: bias ? [bias] : [], scalars: [-Infinity] };
  return product(launcher, "attention scores", type, q, transposed(k), finish, `${scale} ${causal}`, more);
}

/** The cotangent of the biased scores: p (g v^T - sum of g out). */
function toScores(launcher: Launcher, type: ArrayType, g: NDArray, out: NDArray, p: NDArray, v: NDArray): Buffer {
  const rows = { shape: [...type.shape.slice(0, -1), 1], dtype: type.dtype };
  const asRow = (x: NDArray): NDArray => reread(x, x.shape.toSpliced(3, 0, 1), x.strides.toSpliced(3, 0, 0));
  const level = product(launcher, "attention level", { ...rows, shape: [...rows.shape, 1] }, asRow(g), transposed(asRow(out)));
  return consume(launcher, level, (buffer) => {
    const levels = whole(buffer, rows);
    const layout = { strides: levels.strides.with(-1, 0), offset: 0 };
    const value = (sum: string, at: readonly string[]): string => `c[${indexOf(at, p)}] * (${sum} - d[${indexOf(at, layout)}])`;
    return product(launcher, "attention slope", type, g, transposed(v), { arrays: 2, value }, "", { inputs: [p, levels] });
  });
}
