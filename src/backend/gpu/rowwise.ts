/**
 * Functions of rows, and their cotangents: a launch for the statistics of all rows, and one for every element from its own row's. R rows, D
 * width (V classes). Kernels of rows want rows: strided inputs are copied first.
 */
import { reduceAll } from "./reductions.ts";
import { elementwise } from "./source/elementwise.ts";
import * as source from "./source/fused.ts";
import { consume, rowsOf, whole, withFlat } from "./views.ts";
import type { ArrayType, Buffer, FusedKernel, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";
import type { RowStatistics } from "./source/fused.ts";

/** [R, columns] of rows [R, D]. */
function statisticsOf(launcher: Launcher, name: string, inputs: readonly NDArray[], statistics: RowStatistics, variant = ""): NDArray {
  const [rows, width] = rowsOf(inputs[0].shape);
  const type = { shape: [rows, statistics.columns], dtype: inputs[0].dtype };
  const program = () => source.rowStatistics(rows, width, statistics, launcher.device.limits);
  return whole(launcher.launch({ name: `${name} statistics`, out: type, inputs, variant, program }), type);
}

/** The statistics as operands of every element of their row. */
function columns({ shape, dtype, buffer, strides }: NDArray): NDArray[] {
  return Array.from({ length: shape[1] }, (_, offset) => ({ shape: [shape[0], 1], dtype, buffer, strides: [strides[0], 0], offset }));
}

/** One launch over `out`; `names` are what the statements call the inputs. */
export function each(
  launcher: Launcher,
  name: string,
  out: ArrayType,
  inputs: Record<string, NDArray>,
  statements: string,
  variant = "",
): Buffer {
  const list = Object.values(inputs);
  const program = () => elementwise(out.shape, list, statements, launcher.device.limits, Object.keys(inputs));
  return launcher.launch({ name, out, inputs: list, variant, program });
}

interface RowFunction {
  readonly forward: string;
  readonly slope: RowStatistics;
  /** Reads g, y and the slope's statistics s and t. */
  readonly backward: string;
}

export const softmax: RowFunction = { forward: source.softmaxStatements, slope: source.softmaxSlope, backward: "return y * (dy - s);" };
export const logSoftmax: RowFunction = {
  forward: source.logSoftmaxStatements,
  slope: source.logSoftmaxSlope,
  backward: "return t === 0.0 ? 0.0 : dy - Math.exp(y) * s;",
};

/** Every element of rows [R, D] by the statements, from its row's maximum and sum of exponentials. */
function exponentials(launcher: Launcher, name: string, type: ArrayType, rows: NDArray, statements: string): Buffer {
  const statistics = statisticsOf(launcher, "exponential", [rows], source.exponentialStatistics(rows.shape[1]));
  const [top, total] = columns(statistics);
  return consume(launcher, statistics.buffer, () => each(launcher, name, type, { x: rows, top, total }, statements));
}

/** Softmax of contiguous rows. */
export function softmaxRows(launcher: Launcher, x: NDArray): Buffer {
  const type = { shape: rowsOf(x.shape), dtype: x.dtype };
  return exponentials(launcher, "softmax", type, whole(x.buffer, type), softmax.forward);
}

export function ofRow(launcher: Launcher, name: string, { forward, slope, backward }: RowFunction): FusedKernel<null> {
  return {
    forward: (out, [x]) => {
      const shape = rowsOf(x.shape);
      return {
        out: withFlat(launcher, x, shape, (rows) => exponentials(launcher, name, { shape, dtype: out.dtype }, rows, forward)),
        saved: [],
      };
    },
    backward: (g, out, _saved, [x], [needed]) => {
      if (!needed) return [null];
      const shape = rowsOf(x.shape);
      const type = { shape, dtype: out.dtype };
      const result = withFlat(launcher, g, shape, (slopes) =>
        withFlat(launcher, out, shape, (y) => {
          const statistics = statisticsOf(launcher, `${name} slope`, [slopes, y], slope);
          const [s, t = s] = columns(statistics);
          return consume(launcher, statistics.buffer, () =>
            each(launcher, `${name} cotangent`, type, slope.columns === 2 ? { dy: slopes, y, s, t } : { dy: slopes, y, s }, backward),
          );
        }),
      );
      return [result];
    },
  };
}

export function logSumExp(launcher: Launcher): FusedKernel<null> {
  return {
    forward: (_, [x]) => {
      const result = withFlat(launcher, x, rowsOf(x.shape), (rows) =>
        statisticsOf(launcher, "logSumExp", [rows], source.logSumExp(rows.shape[1])),
      );
      return { out: result.buffer, saved: [] };
    },
    backward: (g, y, _saved, [x], [needed]) => {
      if (!needed) return [null];
      const type = { shape: x.shape, dtype: x.dtype };
      return [each(launcher, "logSumExp cotangent", type, { dy: g, x, y }, source.logSumExpSlope)];
    },
  };
}

export function crossEntropy(launcher: Launcher): FusedKernel<{ ignoreIndex: number }> {
  const { limits } = launcher.device;
  return {
    forward: (out, [logits, target], { ignoreIndex }) =>
      withFlat(launcher, logits, logits.shape, (rows) => {
        const [R, V] = rows.shape;
        const statistics = statisticsOf(launcher, "exponential", [rows], source.exponentialStatistics(V));
        const program = () => source.crossEntropy(R, V, target, ignoreIndex, limits);
        const inputs = [rows, target, statistics];
        return {
          out: launcher.launch({ name: "crossEntropy", out, inputs, variant: String(ignoreIndex), scalars: [NaN], program }),
          saved: [statistics.buffer],
        };
      }),
    backward: (g, out, [saved], [logits, target], [needed], { ignoreIndex }) => {
      if (!needed) return [null, null];
      const [R, V] = logits.shape;
      const slope = withFlat(launcher, logits, [R, V], (rows) => {
        const inputs = [g, rows, target, whole(saved, { shape: [R, 2], dtype: out.dtype })];
        const program = () => source.crossEntropySlope(R, V, g, target, ignoreIndex, limits);
        return launcher.launch({
          name: "crossEntropy cotangent",
          out: rows,
          inputs,
          variant: String(ignoreIndex),
          scalars: [NaN],
          program,
        });
      });
      return [slope, null];
    },
  };
}

interface Norm {
  readonly name: string;
  /** The mean is taken off, and a bias added. */
  readonly centred: boolean;
  /** What the statements call the statistics of a row. */
  readonly statistics: readonly string[];
  /** And `backward` those of its cotangent. */
  readonly slope: readonly string[];
  readonly forward: string;
  readonly backward: string;
  readonly weight: string;
}

export const layerNorm: Norm = {
  name: "layerNorm",
  centred: true,
  statistics: ["mean", "rest", "scale"],
  forward: "return ((x - mean) - rest) * scale * w + shift;",
  slope: ["level", "along"],
  backward: "const z = ((x - mean) - rest) * scale; return (dy * w - level - z * along) * scale;",
  weight: "return dy * (((x - mean) - rest) * scale);",
};
export const rmsNorm: Norm = {
  name: "rmsNorm",
  centred: false,
  statistics: ["scale"],
  forward: "return x * scale * w;",
  slope: ["along"],
  backward: "const z = x * scale; return (dy * w - z * along) * scale;",
  weight: "return dy * x * scale;",
};

const named = (names: readonly string[], views: readonly NDArray[]): Record<string, NDArray> =>
  Object.fromEntries(names.map((name, i) => [name, views[i]]));

/** Saves the statistics of the rows. */
export function norm(launcher: Launcher, kind: Norm): FusedKernel<{ eps: number }> {
  const { name, centred, statistics: names, forward } = kind;
  return {
    forward: (out, [x, w, b], { eps }) => {
      const shape = rowsOf(x.shape);
      return withFlat(launcher, x, shape, (rows) => {
        const statistics = statisticsOf(launcher, name, [rows], source.normStatistics(shape[1], eps, centred), String(eps));
        const inputs = { x: rows, ...named(names, columns(statistics)), w, ...(centred ? { shift: b } : {}) };
        return { out: each(launcher, name, { shape, dtype: out.dtype }, inputs, forward), saved: [statistics.buffer] };
      });
    },
    backward: (g, out, [saved], [x, w, b], needed) => {
      const shape = rowsOf(x.shape);
      const statistics = whole(saved, { shape: [shape[0], names.length], dtype: out.dtype });
      return withFlat(launcher, x, shape, (rows) =>
        withFlat(launcher, g, shape, (slopes) =>
          [
            () => normToInput(launcher, kind, slopes, rows, w, statistics),
            () => normToWeight(launcher, kind, slopes, rows, w, statistics),
            () => reduceAll(launcher, "sum", { shape: b.shape, dtype: b.dtype }, slopes, [0]),
          ]
            .slice(0, needed.length)
            .map((launch, i) => (needed[i] ? launch() : null)),
        ),
      );
    },
  };
}

/** The cotangent of x: [R, D], like the slopes. */
function normToInput(launcher: Launcher, kind: Norm, slopes: NDArray, x: NDArray, w: NDArray, statistics: NDArray): Buffer {
  const { name, centred, statistics: names, slope, backward } = kind;
  return withFlat(launcher, w, w.shape, (weight) => {
    const means = statisticsOf(launcher, `${name} slope`, [slopes, x, weight, statistics], source.normSlope(x.shape[1], centred));
    const inputs = { dy: slopes, x, w: weight, ...named(names, columns(statistics)), ...named(slope, columns(means)) };
    return consume(launcher, means.buffer, () => each(launcher, `${name} cotangent`, x, inputs, backward));
  });
}

/** The cotangent of the weight, [D]: summed over the rows. */
function normToWeight(launcher: Launcher, kind: Norm, slopes: NDArray, x: NDArray, w: NDArray, statistics: NDArray): Buffer {
  const { name, statistics: names, weight } = kind;
  const products = each(launcher, `${name} weight`, x, { dy: slopes, x, ...named(names, columns(statistics)) }, weight);
  return consume(launcher, products, () => reduceAll(launcher, "sum", { shape: w.shape, dtype: w.dtype }, whole(products, x), [0]));
}
