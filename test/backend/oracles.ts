/** What each kernel means, element by element and without a thought for speed. */
import type { ArgReduceOp, ArrayType, BinaryOp, ReduceOp, UnaryOp } from "../../src/backend/backend.ts";
import type { Shape } from "../../src/backend/shape.ts";
import { sizeOf } from "../../src/backend/shape.ts";
import { at, build } from "./plain.ts";
import type { Index, Plain } from "./plain.ts";

/** A scalar function, and the numbers to try it on (else the usual ones). */
interface UnaryCase {
  readonly of: (x: number) => number;
  readonly on?: readonly number[];
  /** The size of the terms that cancel, where a small result cannot be relatively exact. */
  readonly scale?: number;
}

const usual = [0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3.5, 4.75, 0.001, 1e-6, 7.3, 20.1, 88, 1e4].flatMap((x) => [x, -x]);
const moderate = [0, 0.25, 0.5, 1, 1.5, 2, 3.5, 1e-3, 1e-7, 7.3, 20.1, 60].flatMap((x) => [x, -x]);
const positive = [1e-30, 1e-6, 0.25, 0.5, 0.99, 1, 1.01, 2, 3.7, 88, 1e4, 1e30];
const angles = [0, 0.25, 1, 1.5, 2, 3.14, 6.3, 10.1, 31.4].flatMap((x) => [x, -x]);

function halfToEven(x: number): number {
  const down = Math.floor(x);
  const part = x - down;
  return part < 0.5 || (part === 0.5 && down % 2 === 0) ? down : down + 1;
}

/** Maclaurin series, good to |x| of about 3; Abramowitz and Stegun 7.1.6. */
function erfSeries(x: number): number {
  let term = (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x);
  let sum = 0;
  for (let n = 0; n < 200; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 3);
  }
  return sum;
}

/** Continued fraction from the far end, for x of 2 and more; Abramowitz and Stegun 7.1.14. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let n = 200; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x < 2.5 ? 1 - erfSeries(x) : erfcFraction(x);
}

export const unaryCases: Record<UnaryOp, UnaryCase> = {
  neg: { of: (x) => -x },
  abs: { of: (x) => (x < 0 ? -x : x) },
  sign: { of: (x) => (x > 0 ? 1 : x < 0 ? -1 : x) },
  floor: { of: Math.floor },
  ceil: { of: Math.ceil },
  round: { of: halfToEven },
  trunc: { of: (x) => (x < 0 ? Math.ceil(x) : Math.floor(x)) },
  exp: { of: Math.exp, on: moderate },
  expm1: { of: Math.expm1, on: moderate },
  log: { of: Math.log, on: positive },
  log1p: { of: Math.log1p, on: [...positive, 0, -0.25, -0.75, -1e-6, 1e-7] },
  sqrt: { of: Math.sqrt, on: [0, ...positive] },
  rsqrt: { of: (x) => 1 / Math.sqrt(x), on: positive },
  reciprocal: { of: (x) => 1 / x, on: positive.flatMap((x) => [x, -x]) },
  square: { of: (x) => x * x },
  sin: { of: Math.sin, on: angles, scale: 1 },
  cos: { of: Math.cos, on: angles, scale: 1 },
  tanh: { of: Math.tanh },
  sigmoid: { of: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))), on: [...moderate, 1e4, -1e4] },
  softplus: { of: (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x))), on: [...moderate, 1e4, -1e4] },
  relu: { of: (x) => (x < 0 ? 0 : x) },
  erf: {
    of: (x) => (Math.abs(x) < 2.5 ? erfSeries(x) : 1 - erfc(x)),
    on: [0, 1e-6, 0.1, 0.5, 0.9, 1.3, 2, 2.9, 3.5, 6, 1e4].flatMap((x) => [x, -x]),
  },
  erfc: { of: erfc, on: [-1e4, -6, -3, -2, -1.2, -0.8, -0.1, 0, 0.1, 0.4, 0.8, 1, 1.3, 2.7, 2.9, 4, 6.5, 9, 1e4] },
  normalCdf: { of: (x) => erfc(-x * Math.SQRT1_2) / 2, on: [-1e4, -12, -8, -4.1, -3.9, -1.8, -1.7, -1, -0.3, 0, 0.3, 1, 2, 4, 9, 1e4] },
  isFinite: { of: (x) => (Number.isFinite(x) ? 1 : 0) },
};

export { usual as usualNumbers };

/** Defined on whole numbers; the other functions are for floats. */
export const integerUnary: readonly UnaryOp[] = ["neg", "abs", "sign", "square", "relu"];

const truth = (holds: boolean): number => (holds ? 1 : 0);

export const binaryOracles: Record<BinaryOp, (x: number, y: number) => number> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: (x, y) => Math.pow(x, y),
  maximum: (x, y) => (x !== x || y !== y ? NaN : x > y ? x : y),
  minimum: (x, y) => (x !== x || y !== y ? NaN : x < y ? x : y),
  floorDiv: (x, y) => Math.floor(x / y),
  mod: (x, y) => x - y * Math.floor(x / y),
  equal: (x, y) => truth(x === y),
  notEqual: (x, y) => truth(x !== y),
  less: (x, y) => truth(x < y),
  lessEqual: (x, y) => truth(x <= y),
  greater: (x, y) => truth(x > y),
  greaterEqual: (x, y) => truth(x >= y),
};

/** NaN ranks below every number. */
export function precedes(a: number, b: number): boolean {
  return a < b || (Number.isNaN(a) && !Number.isNaN(b));
}

export const reduceOracles: Record<ReduceOp, (terms: readonly number[]) => number> = {
  sum: (terms) => terms.reduce((a, b) => a + b, 0),
  max: (terms) => terms.reduce((a, b) => (precedes(a, b) ? b : a)),
  min: (terms) => terms.reduce((a, b) => (precedes(b, a) ? b : a)),
};

export const argReduceOracles: Record<ArgReduceOp, (terms: readonly number[]) => number> = {
  argmax: (terms) => terms.findIndex((x) => terms.every((other) => !precedes(x, other))),
  argmin: (terms) => terms.findIndex((x) => terms.every((other) => !precedes(other, x))),
};

/** x with each lane along `axes` replaced by `f(lane)`, those axes gone. */
export function reduced(x: Plain, axes: readonly number[], dtype: Plain["dtype"], f: (terms: readonly number[]) => number): Plain {
  const shape = x.shape.filter((_, axis) => !axes.includes(axis));
  const lanes = Array.from({ length: sizeOf(shape) }, (): number[] => []);
  for (let k = 0; k < x.data.length; k++) {
    // From the last axis to the first, the digits of k are the index; those that are kept number the lane.
    let [lane, rest, step] = [0, k, 1];
    for (let axis = x.shape.length - 1; axis >= 0; rest = Math.floor(rest / x.shape[axis]), axis--) {
      if (axes.includes(axis)) continue;
      lane += (rest % x.shape[axis]) * step;
      step *= x.shape[axis];
    }
    lanes[lane].push(x.data[k]);
  }
  return { shape, dtype, data: lanes.map(f) };
}

/** x with each lane along `axis` replaced by `f(lane)`, which has `n` elements. */
export function alongAxis(
  x: Plain,
  axis: number,
  dtype: Plain["dtype"],
  n: number,
  f: (lane: readonly number[]) => readonly number[],
): Plain {
  const shape = x.shape.with(axis, n);
  const [length, inner] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
  const data = new Array<number>(sizeOf(shape));
  for (let outer = 0; outer < sizeOf(x.shape.slice(0, axis)); outer++) {
    for (let i = 0; i < inner; i++) {
      const lane = f(Array.from({ length }, (_, k) => x.data[(outer * length + k) * inner + i]));
      for (let k = 0; k < n; k++) data[(outer * n + k) * inner + i] = lane[k];
    }
  }
  return { shape, dtype, data };
}

export function matmul(x: Plain, y: Plain): Plain {
  const k = x.shape[x.shape.length - 1];
  const shape = [...x.shape.slice(0, -1), y.shape[y.shape.length - 1]];
  return build(shape, x.dtype, (index) => {
    const [lead, i, j] = [index.slice(0, -2), index[index.length - 2], index[index.length - 1]];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += at(x, [...lead, i, p]) * at(y, [...lead, p, j]);
    return sum;
  });
}

/** Places of the lane's elements in order; equal elements keep theirs. */
export function sorted(lane: readonly number[], descending: boolean): number[] {
  const places = lane.map((_, i) => i);
  const before = (a: number, b: number): boolean => (descending ? precedes(lane[b], lane[a]) : precedes(lane[a], lane[b]));
  return places.toSorted((a, b) => (before(a, b) ? -1 : before(b, a) ? 1 : 0));
}

export function inverse(places: readonly number[], n: number): number[] {
  return Array.from({ length: n }, (_, i) => places.indexOf(i));
}

/** The function on a whole shape, operands stretched as they need. */
export function elementwise({ shape, dtype }: ArrayType, f: (...xs: number[]) => number, ...operands: readonly Plain[]): Plain {
  return build(shape, dtype, (index) => f(...operands.map((x) => at(x, index))));
}

/** x [N, ...D] and the row numbers -> their sum. */
export function rowsAt(x: Plain, rowShape: Shape, dtype: Plain["dtype"], sources: (index: Index) => readonly number[]): Plain {
  const depth = x.shape.length - 1;
  return build([...rowShape, ...x.shape.slice(1)], dtype, (index) => {
    const rest = index.slice(index.length - depth);
    return sources(index.slice(0, index.length - depth)).reduce((sum, n) => sum + at(x, [n, ...rest]), 0);
  });
}
