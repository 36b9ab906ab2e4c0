/**
 * Functions of whole rows (the last axis, D or V elements), and their cotangents. Each pass recomputes what it needs of a row
 * in float64; nothing is saved between forward and backward.
 */
import { checkTargets } from "../indices.ts";
import { contiguous } from "./movement.ts";
import { accumulate } from "./reduce.ts";
import type { Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";

/** Visits where each row of `n` elements begins. */
function forEachRow(x: TypedArray, n: number, visit: (start: number, row: number) => void): void {
  for (let start = 0, row = 0; start < x.length; start += n, row++) visit(start, row);
}

const widthOf = (x: Strided): number => x.shape[x.shape.length - 1];

/** Writes e^(x - shift) of a row to `weights`, where the shift keeps exponentials in range; gives the shift and their sum. */
function exponentials(weights: Float64Array, x: TypedArray, start: number): { shift: number; total: number } {
  let top = -Infinity;
  for (let d = 0; d < weights.length; d++) if (x[start + d] > top) top = x[start + d];
  // A row of -Infinity keeps its zeros: e^(-Infinity - 0) is 0, e^(-Infinity + Infinity) is not a number.
  const shift = top === -Infinity ? 0 : top;
  let total = 0;
  for (let d = 0; d < weights.length; d++) total += weights[d] = Math.exp(x[start + d] - shift);
  return { shift, total };
}

/** The softmax of a row; zeros for a row of -Infinity. */
function softmaxOf(weights: Float64Array, x: TypedArray, start: number): void {
  const { total } = exponentials(weights, x, start);
  const scale = total === 0 ? 0 : 1 / total;
  for (let d = 0; d < weights.length; d++) weights[d] *= scale;
}

/** log of the sum of exponentials; 0 for a row of -Infinity, so that subtracting it leaves -Infinity. */
function logTotal(weights: Float64Array, x: TypedArray, start: number): number {
  const { shift, total } = exponentials(weights, x, start);
  return total === 0 ? 0 : shift + Math.log(total);
}

function dot(x: TypedArray, y: TypedArray, start: number, n: number): number {
  let sum = 0;
  for (let d = start; d < start + n; d++) sum += x[d] * y[d];
  return sum;
}

export function softmax(out: TypedArray, input: Strided): void {
  const [x, n] = [contiguous(input), widthOf(input)];
  const weights = new Float64Array(n);
  forEachRow(x, n, (start) => {
    softmaxOf(weights, x, start);
    out.set(weights, start);
  });
}

/** dx = y (g - sum(g y)). */
export function softmaxCotangent(out: TypedArray, cotangent: Strided, result: Strided): void {
  const [g, y, n] = [contiguous(cotangent), contiguous(result), widthOf(result)];
  forEachRow(y, n, (start) => {
    const along = dot(g, y, start, n);
    for (let d = start; d < start + n; d++) out[d] = y[d] * (g[d] - along);
  });
}

export function logSoftmax(out: TypedArray, input: Strided): void {
  const [x, n] = [contiguous(input), widthOf(input)];
  const weights = new Float64Array(n);
  forEachRow(x, n, (start) => {
    const log = logTotal(weights, x, start);
    for (let d = start; d < start + n; d++) out[d] = x[d] - log;
  });
}

/** dx = g - e^y sum(g); 0 in a row of -Infinity. */
export function logSoftmaxCotangent(out: TypedArray, cotangent: Strided, result: Strided): void {
  const [g, y, n] = [contiguous(cotangent), contiguous(result), widthOf(result)];
  forEachRow(y, n, (start) => {
    let total = 0;
    let weights = 0;
    for (let d = start; d < start + n; d++) {
      total += g[d];
      weights += Math.exp(y[d]);
    }
    for (let d = start; d < start + n; d++) out[d] = weights === 0 ? 0 : g[d] - Math.exp(y[d]) * total;
  });
}

/** out[r] = log(sum(e^x)) - x[target], 0 where the target is `ignoreIndex`. */
export function crossEntropy(out: TypedArray, logits: Strided, target: Strided, ignoreIndex: number): void {
  const [x, classes, n] = [contiguous(logits), contiguous(target), widthOf(logits)];
  checkTargets(classes, n, ignoreIndex);
  const weights = new Float64Array(n);
  forEachRow(x, n, (start, r) => {
    out[r] = classes[r] === ignoreIndex ? 0 : logTotal(weights, x, start) - x[start + classes[r]];
  });
}

/** dx = g[r] (softmax(x) - onehot(target)). */
export function crossEntropyCotangent(out: TypedArray, cotangent: Strided, logits: Strided, target: Strided, ignoreIndex: number): void {
  const [g, x, classes, n] = [contiguous(cotangent), contiguous(logits), contiguous(target), widthOf(logits)];
  checkTargets(classes, n, ignoreIndex);
  const weights = new Float64Array(n);
  out.fill(0);
  forEachRow(x, n, (start, r) => {
    if (classes[r] === ignoreIndex) return;
    softmaxOf(weights, x, start);
    weights[classes[r]] -= 1;
    for (let d = 0; d < n; d++) out[start + d] = g[r] * weights[d];
  });
}

/** Mean of a row (0 where rows are not centred) and 1 / sqrt(mean((x - mean)^2) + eps). */
function statistics(x: TypedArray, start: number, n: number, eps: number, centred: boolean): { mean: number; scale: number } {
  let sum = 0;
  if (centred) for (let d = start; d < start + n; d++) sum += x[d];
  const mean = sum / n;
  let squares = 0;
  for (let d = start; d < start + n; d++) squares += (x[d] - mean) * (x[d] - mean);
  return { mean, scale: 1 / Math.sqrt(squares / n + eps) };
}

/** Layer norm, Ba et al. 2016 (arXiv:1607.06450); without `bias` and not centred, RMS norm, Zhang and Sennrich 2019 (arXiv:1910.07467). */
export function normalise(out: TypedArray, input: Strided, weight: Strided, bias: Strided | undefined, eps: number): void {
  const [x, w, n] = [contiguous(input), contiguous(weight), widthOf(input)];
  const b = bias ? contiguous(bias) : new Float64Array(n);
  forEachRow(x, n, (start) => {
    const { mean, scale } = statistics(x, start, n, eps, bias !== undefined);
    for (let d = 0; d < n; d++) out[start + d] = (x[start + d] - mean) * scale * w[d] + b[d];
  });
}

/** With h = g w and the normalised row z: dx = (h - mean(h) - z mean(h z)) scale, without mean(h) where rows are not centred. */
export function normaliseCotangent(
  out: TypedArray,
  cotangent: Strided,
  input: Strided,
  weight: Strided,
  eps: number,
  centred: boolean,
): void {
  const [g, x, w, n] = [contiguous(cotangent), contiguous(input), contiguous(weight), widthOf(input)];
  forEachRow(x, n, (start) => {
    const { mean, scale } = statistics(x, start, n, eps, centred);
    let level = 0;
    let along = 0;
    for (let d = 0; d < n; d++) {
      const h = g[start + d] * w[d];
      level += h;
      along += h * (x[start + d] - mean);
    }
    // mean(h) and mean(h z) scale, as they are subtracted below.
    const shift = centred ? level / n : 0;
    const slope = (along / n) * scale * scale;
    for (let d = 0; d < n; d++) out[start + d] = (g[start + d] * w[d] - shift - (x[start + d] - mean) * slope) * scale;
  });
}

/** dw = the sum over rows of g z. */
export function normaliseWeightCotangent(out: TypedArray, cotangent: Strided, input: Strided, eps: number, centred: boolean): void {
  const [g, x, n] = [contiguous(cotangent), contiguous(input), widthOf(input)];
  accumulate(out, 0, (total) => {
    forEachRow(x, n, (start) => {
      const { mean, scale } = statistics(x, start, n, eps, centred);
      for (let d = 0; d < n; d++) total[d] += g[start + d] * (x[start + d] - mean) * scale;
    });
  });
}
