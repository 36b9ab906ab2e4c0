/** What fused functions mean, and their cotangents by finite differences. */
import type { Activation } from "../../src/backend/backend.ts";
import { alongAxis, elementwise, unaryCases } from "./oracles.ts";
import { at, build } from "./plain.ts";
import type { Plain } from "./plain.ts";

const add = (a: number, b: number): number => a + b;

function alongLast(x: Plain, f: (row: readonly number[]) => readonly number[]): Plain {
  const last = x.shape.length - 1;
  return alongAxis(x, last, x.dtype, x.shape[last], f);
}

/** Weights of a row; a row of -Infinity has none. */
function weightsOf(row: readonly number[]): number[] {
  const top = Math.max(...row);
  if (top === -Infinity) return row.map(() => 0);
  const total = row.map((v) => Math.exp(v - top)).reduce(add, 0);
  return row.map((v) => Math.exp(v - top) / total);
}

function logWeightsOf(row: readonly number[]): number[] {
  const top = Math.max(...row);
  if (top === -Infinity) return row.map(() => -Infinity);
  const total = Math.log(row.map((v) => Math.exp(v - top)).reduce(add, 0));
  return row.map((v) => v - top - total);
}

export function softmax(x: Plain): Plain {
  return alongLast(x, weightsOf);
}

export function logSoftmax(x: Plain): Plain {
  return alongLast(x, logWeightsOf);
}

export function logSumExp(x: Plain): Plain {
  const last = x.shape.length - 1;
  return alongAxis(x, last, x.dtype, 1, (row) => {
    const top = Math.max(...row);
    return [top === -Infinity ? top : top + Math.log(row.map((v) => Math.exp(v - top)).reduce(add, 0))];
  });
}

export function crossEntropy(logits: Plain, target: Plain, ignoreIndex: number): Plain {
  const logs = logSoftmax(logits);
  return build(target.shape, logits.dtype, ([r]) => (target.data[r] === ignoreIndex ? 0 : -at(logs, [r, target.data[r]])));
}

export function linear(x: Plain, weight: Plain, bias: Plain | undefined): Plain {
  const [D, F] = weight.shape;
  const sum = (row: readonly number[], f: number): number => row.reduce((total, v, d) => total + v * weight.data[d * F + f], 0);
  return alongAxis(x, x.shape.length - 1, x.dtype, F, (row) => {
    return Array.from({ length: F }, (_, f) => sum(row.slice(0, D), f) + (bias?.data[f] ?? 0));
  });
}

const mean = (row: readonly number[]): number => row.reduce(add, 0) / row.length;

export function layerNorm(x: Plain, weight: Plain, bias: Plain, eps: number): Plain {
  return alongLast(x, (row) => {
    const middle = mean(row);
    const variance = mean(row.map((v) => (v - middle) ** 2));
    return row.map((v, d) => ((v - middle) / Math.sqrt(variance + eps)) * weight.data[d] + bias.data[d]);
  });
}

export function rmsNorm(x: Plain, weight: Plain, eps: number): Plain {
  return alongLast(x, (row) => row.map((v, d) => (v / Math.sqrt(mean(row.map((w) => w * w)) + eps)) * weight.data[d]));
}

const activate: Record<Activation, (x: number) => number> = {
  relu: (x) => (x > 0 ? x : 0),
  gelu: (x) => x * unaryCases.normalCdf.of(x),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

export function biasActivation(x: Plain, bias: Plain | undefined, activation: Activation): Plain {
  return elementwise(x, (...terms) => activate[activation](terms.reduce(add)), ...(bias ? [x, bias] : [x]));
}

/** Whether row n of expert e holds a token: x [E, G C, D], filled [E, G]. */
function holds(x: Plain, filled: Plain, e: number, n: number): boolean {
  const capacity = x.shape[1] / filled.shape[1];
  return n % capacity < at(filled, [e, Math.floor(n / capacity)]);
}

export function slotProduct(x: Plain, weight: Plain, filled: Plain, bias: Plain | undefined, activation: Activation | null): Plain {
  const [experts, rows, inner] = x.shape;
  return build([experts, rows, weight.shape[2]], x.dtype, ([e, n, f]) => {
    if (!holds(x, filled, e, n)) return 0;
    let product = 0;
    for (let d = 0; d < inner; d++) product += at(x, [e, n, d]) * at(weight, [e, d, f]);
    return activation ? activate[activation](product + (bias ? at(bias, [e, 0, f]) : 0)) : product;
  });
}

export function attention(q: Plain, k: Plain, v: Plain, bias: Plain | undefined, scale: number, causal: boolean): Plain {
  const [batch, heads, t, d] = q.shape;
  const s = k.shape[2];
  const shared = (h: number): number => Math.floor((h * k.shape[1]) / heads);
  const scores = build([batch, heads, t, s], q.dtype, ([b, h, i, j]) => {
    if (causal && j > i + s - t) return -Infinity;
    let sum = 0;
    for (let c = 0; c < d; c++) sum += at(q, [b, h, i, c]) * at(k, [b, shared(h), j, c]);
    return sum * scale + (bias ? at(bias, [b, h, i, j]) : 0);
  });
  const weights = softmax(scores);
  return build([batch, t, heads, d], q.dtype, ([b, i, h, c]) => {
    let sum = 0;
    for (let j = 0; j < s; j++) sum += at(weights, [b, h, i, j]) * at(v, [b, shared(h), j, c]);
    return sum;
  });
}

interface AdamNumbers {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly correction1: number;
  readonly correction2: number;
}

/** Kingma and Ba 2015, algorithm 1, with the decoupled decay of Loshchilov and Hutter 2019, algorithm 2. */
export function adam(
  p: Plain,
  g: Plain,
  m: Plain,
  v: Plain,
  gradScale: number,
  n: AdamNumbers,
): { parameter: Plain; first: Plain; second: Plain } {
  const first = elementwise(p, (old, slope) => n.beta1 * old + (1 - n.beta1) * slope * gradScale, m, g);
  const second = elementwise(p, (old, slope) => n.beta2 * old + (1 - n.beta2) * (slope * gradScale) ** 2, v, g);
  const parameter = elementwise(
    p,
    (x, mean1, mean2) => x - n.lr * (mean1 / n.correction1 / (Math.sqrt(mean2 / n.correction2) + n.eps) + n.weightDecay * x),
    p,
    first,
    second,
  );
  return { parameter, first, second };
}

/** Cotangent of every float input where `g` is that of the result; null for whole numbers. */
export function cotangents(f: (inputs: readonly Plain[]) => Plain, inputs: readonly Plain[], g: Plain): (Plain | null)[] {
  return inputs.map((x, i) => {
    if (x.dtype === "int32") return null;
    const shifted = (k: number, step: number): readonly number[] =>
      f(inputs.with(i, { ...x, data: x.data.with(k, x.data[k] + step) })).data;
    return { ...x, data: x.data.map((_, k) => slope((step) => shifted(k, step), g.data)) };
  });
}

/** a - b; what does not move, infinities included, has no difference. */
const moved = (a: number, b: number): number => (a === b ? 0 : a - b);

// Central difference of fourth order.
function slope(f: (step: number) => readonly number[], g: readonly number[]): number {
  const h = 2 ** -10;
  const [near, nearBack, far, farBack] = [f(h), f(-h), f(2 * h), f(-2 * h)];
  return g.map((weight, i) => (weight * (8 * moved(near[i], nearBack[i]) - moved(far[i], farBack[i]))) / (12 * h)).reduce(add, 0);
}
