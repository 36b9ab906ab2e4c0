/**
 * Fused functions as few launches. R rows, D width (V classes). Kernels of rows want rows: strided inputs are copied first.
 */
import { sizeOf } from "../shape.ts";
import { reduceAll, sumTo } from "./reductions.ts";
import { sumOfSquares } from "./squares.ts";
import { attention } from "./attention.ts";
import { elementwise } from "./source/elementwise.ts";
import * as source from "./source/fused.ts";
import { consume, rowsOf, whole, withFlat } from "./views.ts";
import type { Activation, AdamStep, ArrayType, Buffer, FusedKernel, FusedKernels, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";
import type { RowStatistics } from "./source/fused.ts";

export function fusedKernels(launcher: Launcher): FusedKernels {
  return {
    softmax: ofRow(launcher, "softmax", softmax),
    logSoftmax: ofRow(launcher, "logSoftmax", logSoftmax),
    logSumExp: logSumExp(launcher),
    crossEntropy: crossEntropy(launcher),
    layerNorm: norm(launcher, "layerNorm", true),
    rmsNorm: norm(launcher, "rmsNorm", false),
    biasActivation: biasActivation(launcher),
    attention: attention(launcher),
    sumOfSquares: (xs) => sumOfSquares(launcher, xs),
    adam: (step) => adam(launcher, step),
  };
}

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
function each(launcher: Launcher, name: string, out: ArrayType, inputs: Record<string, NDArray>, statements: string, variant = ""): Buffer {
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

const softmax: RowFunction = { forward: source.softmaxStatements, slope: source.softmaxSlope, backward: "return y * (dy - s);" };
const logSoftmax: RowFunction = {
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

function ofRow(launcher: Launcher, name: string, { forward, slope, backward }: RowFunction): FusedKernel<null> {
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

function logSumExp(launcher: Launcher): FusedKernel<null> {
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

function crossEntropy(launcher: Launcher): FusedKernel<{ ignoreIndex: number }> {
  const { limits } = launcher.device;
  return {
    forward: (out, [logits, target], { ignoreIndex }) =>
      withFlat(launcher, logits, logits.shape, (rows) => {
        const [R, V] = rows.shape;
        const statistics = statisticsOf(launcher, "exponential", [rows], source.exponentialStatistics(V));
        const program = () => source.crossEntropy(R, V, target, ignoreIndex, limits);
        const inputs = [rows, target, statistics];
        return {
          out: launcher.launch({ name: "crossEntropy", out, inputs, variant: String(ignoreIndex), program }),
          saved: [statistics.buffer],
        };
      }),
    backward: (g, out, [saved], [logits, target], [needed], { ignoreIndex }) => {
      if (!needed) return [null, null];
      const [R, V] = logits.shape;
      const slope = withFlat(launcher, logits, [R, V], (rows) => {
        const inputs = [g, rows, target, whole(saved, { shape: [R, 2], dtype: out.dtype })];
        const program = () => source.crossEntropySlope(R, V, g, target, ignoreIndex, limits);
        return launcher.launch({ name: "crossEntropy cotangent", out: rows, inputs, variant: String(ignoreIndex), program });
      });
      return [slope, null];
    },
  };
}

const normStatements = "return (x - mean) * scale * w + shift;";
const rmsStatements = "return x * scale * w;";
const normSlopeStatements = "const z = (x - mean) * scale; return (dy * w - level - z * along) * scale;";
const rmsSlopeStatements = "const z = x * scale; return (dy * w - z * along) * scale;";

/** Layer norm (centred, with a bias) or RMS norm. Saves the statistics of the rows. */
function norm(launcher: Launcher, name: string, centred: boolean): FusedKernel<{ eps: number }> {
  const statisticsNames = centred ? ["mean", "scale"] : ["scale"];
  const named = (names: readonly string[], views: readonly NDArray[]) => Object.fromEntries(names.map((n, i) => [n, views[i]]));
  const perRow = (statistics: Buffer, rows: number, dtype: NDArray["dtype"]) =>
    named(statisticsNames, columns(whole(statistics, { shape: [rows, statisticsNames.length], dtype })));

  return {
    forward: (out, [x, w, b], { eps }) => {
      const shape = rowsOf(x.shape);
      const type = { shape, dtype: out.dtype };
      return withFlat(launcher, x, shape, (rows) => {
        const statistics = statisticsOf(launcher, name, [rows], source.normStatistics(shape[1], eps, centred), String(eps));
        const inputs = { x: rows, ...perRow(statistics.buffer, shape[0], out.dtype), w, ...(centred ? { shift: b } : {}) };
        return { out: each(launcher, name, type, inputs, centred ? normStatements : rmsStatements), saved: [statistics.buffer] };
      });
    },
    backward: (g, out, [saved], [x, w, b], needed) => {
      const shape = rowsOf(x.shape);
      const type = { shape, dtype: out.dtype };
      const statistics = perRow(saved, shape[0], out.dtype);
      return withFlat(launcher, x, shape, (rows) =>
        withFlat(launcher, g, shape, (slopes) => {
          const toInput = () =>
            withFlat(launcher, w, w.shape, (weight) => {
              const whole2 = whole(saved, { shape: [shape[0], statisticsNames.length], dtype: out.dtype });
              const means = statisticsOf(launcher, `${name} slope`, [slopes, rows, weight, whole2], source.normSlope(shape[1], centred));
              const inputs = {
                dy: slopes,
                x: rows,
                w: weight,
                ...statistics,
                ...named(centred ? ["level", "along"] : ["along"], columns(means)),
              };
              const statements = centred ? normSlopeStatements : rmsSlopeStatements;
              return consume(launcher, means.buffer, () => each(launcher, `${name} cotangent`, type, inputs, statements));
            });
          const toWeight = () => {
            const statements = centred ? "return dy * (x - mean) * scale;" : "return dy * x * scale;";
            const products = each(launcher, `${name} weight`, type, { dy: slopes, x: rows, ...statistics }, statements);
            return consume(launcher, products, () =>
              reduceAll(launcher, "sum", { shape: w.shape, dtype: w.dtype }, whole(products, type), [0]),
            );
          };
          const toBias = () => reduceAll(launcher, "sum", { shape: b.shape, dtype: b.dtype }, slopes, [0]);
          return [toInput, toWeight, toBias].slice(0, needed.length).map((launch, i) => (needed[i] ? launch() : null));
        }),
      );
    },
  };
}

function biasActivation(launcher: Launcher): FusedKernel<{ activation: Activation }> {
  const declare = (bias: NDArray | undefined): string => (bias ? "const x = y + bias;" : "const x = y;");
  const inputsOf = (y: NDArray, bias: NDArray | undefined): Record<string, NDArray> => (bias ? { y, bias } : { y });
  return {
    forward: (out, [y, bias], { activation }) => {
      const statements = `${declare(bias)} ${source.activationStatements(activation)}`;
      return { out: each(launcher, "biasActivation", out, inputsOf(y, bias), statements, activation), saved: [] };
    },
    backward: (g, out, _saved, inputs, needed, { activation }) => {
      const [y, bias] = inputs;
      const statements = `${declare(bias)} ${source.slopeStatements(activation)}`;
      const type = { shape: y.shape, dtype: out.dtype };
      const slope = each(launcher, "biasActivation cotangent", type, { dy: g, ...inputsOf(y, bias) }, statements, activation);
      const toBias = needed[1] ? sumTo(launcher, bias, whole(slope, type)) : null;
      if (!needed[0]) launcher.free(slope);
      return [needed[0] ? slope : null, toBias].slice(0, inputs.length);
    },
  };
}

/** One launch for each parameter: its result is the new parameter and both moments, side by side. Three where that is too large. */
function adam(launcher: Launcher, step: AdamStep): void {
  const { lr, beta1, beta2, eps, correction1, correction2, gradScale } = step;
  step.parameters.forEach((parameter, i) => {
    const n = sizeOf(parameter.shape);
    if (n === 0) return;
    const state = { p: parameter, m: step.first[i], v: step.second[i] };
    const scalars = [lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, step.weightDecay[i], correction1, correction2];
    const inputs = [...Object.values(state), step.gradients[i], ...(gradScale ? [gradScale] : [])];
    const groups: source.AdamResult[][] = 3 * n <= launcher.device.limits.together ? [["p", "m", "v"]] : [["p"], ["m"], ["v"]];
    const made = groups.map((results) => {
      const program = () => source.adam(n, inputs, results, launcher.device.limits);
      const out = { shape: [results.length, n], dtype: parameter.dtype };
      return launcher.launch({ name: "adam", out, inputs, variant: results.join(), scalars, program });
    });
    groups.forEach((results, k) => launcher.replace(results.map((name) => state[name].buffer), made[k])); // prettier-ignore
  });
}
