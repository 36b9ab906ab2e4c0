/**
 * Operations composed from primitives: their derivatives, of any order, follow. Those with a faster road on some device are
 * `Fused`: the composition stays their meaning.
 */
import type { Activation, DType } from "../backend/backend.ts";
import { broadcastShapes, formatShape, sizeOf } from "../backend/shape.ts";
import { arange, checkDtype, checkShape, requireList } from "./create.ts";
import { noGrad } from "./context.ts";
import * as movement from "./movement.ts";
import { concat, where } from "./operations.ts";
import * as products from "./products.ts";
import type { Fused, Primitive } from "./primitive.ts";
import {
  apply,
  applyFused,
  axesOf,
  axisOf,
  requireFloat,
  requireInt,
  requireOneOf,
  requireSameDtype,
  requireTensor,
  widened,
} from "./primitive.ts";
import { uniformMask } from "./random.ts";
import type { Key } from "./random.ts";
import { argReduce, extremum, keeping, requireSome } from "./reductions.ts";
import type { ReduceOptions, Tensor } from "./tensor.ts";

type Axes = number | readonly number[] | undefined;

// Activations

/** activation(x + bias) in one pass where the device has it. Without bias: activation(x). */
const biasActivationFused: Fused<"biasActivation"> = {
  name: "biasActivation",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose({ activation }, x, bias) {
    const y = bias ? x.add(bias) : x;
    if (activation === "relu") return y.relu();
    if (activation === "silu") return y.mul(y.sigmoid());
    return activation === "gelu" ? y.mul(y.normalCdf()) : y.mul(geluTanhGate(y));
  },
};

/** 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Hendrycks & Gimpel 2016, section 2. */
function geluTanhGate(x: Tensor): Tensor {
  const inner = x.mul(x.square().mul(0.044715).add(1)).mul(Math.sqrt(2 / Math.PI));
  return inner.tanh().add(1).mul(0.5);
}

export function silu(x: Tensor): Tensor {
  return activate(x, "silu");
}

export function gelu(x: Tensor, approximate: "none" | "tanh"): Tensor {
  requireOneOf("gelu", "approximation", approximate, ["none", "tanh"]);
  return activate(x, approximate === "none" ? "gelu" : "geluTanh");
}

const activations: readonly Activation[] = ["relu", "gelu", "geluTanh", "silu"];

/** activation(x + bias): x [..., D], bias [D] or anything that broadcasts to x. */
export function activate(x: Tensor, activation: Activation, bias?: Tensor): Tensor {
  requireOneOf("activate", "activation", activation, activations);
  requireFloat(activation, x);
  if (bias) {
    requireSameDtype(activation, x, bias);
    broadcastsTo(activation, bias, x);
  }
  return widened(activation, bias ? [x, bias] : [x], (...all) => applyFused(biasActivationFused, { activation }, ...all));
}

function broadcastsTo(operation: string, small: Tensor, x: Tensor): void {
  const shape = broadcastShapes(small.shape, x.shape);
  if (!shape || shape.length !== x.shape.length || sizeOf(shape) !== x.size)
    throw new RangeError(`${operation}: ${formatShape(small.shape)} does not stretch to ${formatShape(x.shape)}`);
}

/** Unlike `where`, it does not stretch x to its mask: the shape is that of x. */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  broadcastsTo("maskedFill", mask, x);
  return where(mask, value, x);
}

export function clamp(x: Tensor, min: number, max: number): Tensor {
  const raised = min === -Infinity ? x : where(x.less(min), min, x); // integers have no infinity
  return max === Infinity ? raised : where(raised.greater(max), max, raised);
}

export function dropout(x: Tensor, rate: number, key: Key): Tensor {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`dropout: rate ${rate} is not in [0, 1)`);
  if (rate === 0) return x;
  return widened("dropout", [x], (y) => y.mul(uniformMask(y, rate, key)));
}

// Reductions

function elements(x: Tensor, axes: readonly number[]): number {
  return axes.reduce((n, axis) => n * x.shape[axis], 1);
}

export function extreme(op: "max" | "min", x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  if (typeof axes !== "number") {
    const list = axesOf(op, axes, x);
    const out = widened(op, [x], (y) => apply(extremum(op, list), y));
    return keepDims ? out.reshape(keeping(x.shape, list)) : out;
  }
  const axis = axisOf(op, axes, x);
  requireSome(op, x, [axis]);
  const best = widened(op, [x], (y) => apply(argReduce(op === "max" ? "argmax" : "argmin", axis), y));
  const out = x.takeAlong(best.unsqueeze(axis), axis);
  return keepDims ? out : out.squeeze(axis);
}

/** A tree of pairwise products, so that derivatives of every order are exact where factors are 0. */
export function prod(x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  const list = axesOf("prod", axes, x);
  const rest = x.shape.flatMap((_, axis) => (list.includes(axis) ? [] : [axis]));
  return widened("prod", [x], (y) => {
    let factors = y.permute([...list, ...rest]).reshape([elements(x, list), ...rest.map((axis) => x.shape[axis])]);
    if (factors.shape[0] === 0)
      return factors
        .sum(0)
        .add(1)
        .reshape(shapeAfter(x, list, keepDims));
    while (factors.shape[0] > 1) {
      const n = factors.shape[0];
      const half = n >> 1;
      const pairs = factors.narrow(0, 0, half).mul(factors.narrow(0, half, 2 * half));
      factors = n % 2 ? concat([pairs, factors.narrow(0, n - 1, n)]) : pairs;
    }
    return factors.reshape(shapeAfter(x, list, keepDims));
  });
}

function shapeAfter(x: Tensor, axes: readonly number[], keepDims: boolean): number[] {
  return keepDims ? keeping(x.shape, axes) : x.shape.filter((_, axis) => !axes.includes(axis));
}

export function mean(x: Tensor, axes: Axes, options?: ReduceOptions): Tensor {
  requireFloat("mean", x);
  const list = axesOf("mean", axes, x);
  requireSome("mean", x, list);
  return widened("mean", [x], (y) => y.sum(list, options).mul(1 / elements(x, list)));
}

export interface VarianceOptions extends ReduceOptions {
  /** Taken off the count: 0 for the population (default), 1 for a sample. */
  readonly correction?: number;
}

export function variance(x: Tensor, axes: Axes, { correction = 0, keepDims = false }: VarianceOptions = {}): Tensor {
  requireFloat("variance", x);
  const list = axesOf("variance", axes, x);
  requireSome("variance", x, list);
  const count = elements(x, list) - correction;
  if (!(count > 0))
    throw new RangeError(`variance: ${elements(x, list)} elements less a correction of ${correction} leave nothing to divide by`);
  return widened("variance", [x], (y) =>
    y
      .sub(mean(y, list, { keepDims: true }))
      .square()
      .sum(list, { keepDims })
      .mul(1 / count),
  );
}

export function std(x: Tensor, axes: Axes, options?: VarianceOptions): Tensor {
  return widened("std", [x], (y) => rootOrZero(variance(y, axes, options)));
}

export function norm(x: Tensor, axes: Axes, options?: ReduceOptions): Tensor {
  requireFloat("norm", x);
  return widened("norm", [x], (y) => rootOrZero(y.square().sum(axes, options)));
}

/** sqrt whose gradient at 0 is 0: the root is only taken where it is smooth. */
function rootOrZero(x: Tensor): Tensor {
  const zero = x.equal(0);
  return where(zero, 0, where(zero, 1, x).sqrt());
}

/** The largest, as a constant, and 0 where it is infinite: safe to subtract before exp. */
function shift(x: Tensor, axes: Axes): Tensor {
  return noGrad(() => {
    const top = extreme("max", x.detach(), axesOf("logSumExp", axes, x), { keepDims: true });
    return where(top.isFinite(), top, 0);
  });
}

/** A row of -Infinity gives -Infinity with zero gradient: the double where keeps log 0 out of every derivative. */
export function logSumExp(x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  requireFloat("logSumExp", x);
  const list = axesOf("logSumExp", axes, x);
  return widened("logSumExp", [x], (y) => {
    if (elements(y, list) === 0) return y.sum(list, { keepDims }).add(-Infinity);
    const ofRows = list.length === 1 && list[0] === y.shape.length - 1;
    const out = ofRows ? applyFused(logSumExpFused, null, y) : logOfSum(y, list);
    return out.reshape(shapeAfter(x, list, keepDims));
  });
}

function logOfSum(x: Tensor, axes: Axes): Tensor {
  const top = shift(x, axes);
  const sum = x.sub(top).exp().sum(axes, { keepDims: true });
  const none = sum.equal(0);
  return where(none, -Infinity, where(none, 1, sum).log().add(top));
}

const logSumExpFused: Fused<"logSumExp"> = {
  name: "logSumExp",
  type: (_, x) => ({ shape: x.shape.with(-1, 1), dtype: x.dtype }),
  compose: (_, x) => logOfSum(x, -1),
};

const softmaxFused: Fused<"softmax"> = {
  name: "softmax",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose(_, x) {
    if (x.size === 0) return x.exp();
    const e = x.sub(shift(x, -1)).exp();
    const sum = e.sum(-1, { keepDims: true });
    return e.div(where(sum.equal(0), 1, sum));
  },
};

const logSoftmaxFused: Fused<"logSoftmax"> = {
  name: "logSoftmax",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose(_, x) {
    const total = logSumExp(x, -1, { keepDims: true });
    const none = total.equal(-Infinity);
    return where(none, -Infinity, x.sub(where(none, 0, total)));
  },
};

export function softmax(x: Tensor, axis: number): Tensor {
  return overLast("softmax", x, axis, (y) => applyFused(softmaxFused, null, y));
}

export function logSoftmax(x: Tensor, axis: number): Tensor {
  return overLast("logSoftmax", x, axis, (y) => applyFused(logSoftmaxFused, null, y));
}

/** Applies a function of the last axis to another one: the transposes are views. */
function overLast(name: string, x: Tensor, axis: number, compute: (y: Tensor) => Tensor): Tensor {
  requireFloat(name, x);
  const at = axisOf(name, axis, x);
  if (at === x.shape.length - 1) return widened(name, [x], compute);
  return widened(name, [x.transpose(at, -1)], compute).transpose(at, -1);
}

/** argsort, rank and topK of another axis than the last. */
export function alongLast(x: Tensor, name: string, axis: number, primitive: Primitive): Tensor {
  const at = axisOf(name, axis, x);
  const last = at === x.shape.length - 1;
  const out = widened(name, [last ? x : x.transpose(at, -1)], (y) => apply(primitive, y));
  return last ? out : out.transpose(at, -1);
}

// Products

/** As torch.matmul: vectors gain an axis and lose it again, leading axes broadcast, a matrix on the right meets all rows at once. */
export function matmul(x: Tensor, y: Tensor): Tensor {
  requireTensor("matmul", y);
  if (x.shape.length === 0 || y.shape.length === 0)
    throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: scalars have no matrix product; use mul`);
  const [inner, other] = [x.shape[x.shape.length - 1], y.shape[Math.max(0, y.shape.length - 2)]];
  if (inner !== other)
    throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: inner sizes ${inner} and ${other} differ`);
  if (x.shape.length === 1) return matmul(x.unsqueeze(0), y).squeeze(y.shape.length === 1 ? 0 : -2);
  if (y.shape.length === 1) return matmul(x, y.unsqueeze(1)).squeeze(-1);
  return widened("matmul", [x, y], (a, b) => {
    if (a.shape.length === b.shape.length && a.shape.length === 2) return apply(products.matmul, a, b);
    if (b.shape.length === 2 && a.size > 0) {
      const flat = apply(products.matmul, a.reshape([-1, a.shape[a.shape.length - 1]]), b);
      return flat.reshape([...a.shape.slice(0, -1), b.shape[1]]);
    }
    const lead = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!lead) throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: leading axes do not broadcast`);
    return apply(products.matmul, a.broadcastTo([...lead, ...a.shape.slice(-2)]), b.broadcastTo([...lead, ...b.shape.slice(-2)]));
  });
}

// Movement

/** `shape` with its one -1 replaced by what is left. */
export function inferSize(x: Tensor, shape: readonly number[]): readonly number[] {
  requireList("reshape", shape);
  const unknown = shape.indexOf(-1);
  if (unknown < 0) {
    checkShape("reshape", shape);
    return shape;
  }
  const known = sizeOf(shape.filter((n) => n !== -1));
  const inferred = shape.map((n, i) => (i === unknown ? x.size / known : n));
  if (inferred.some((n) => !Number.isInteger(n) || n < 0))
    throw new RangeError(`reshape: ${formatShape(x.shape)} of ${x.size} elements does not fit ${formatShape(shape)}`);
  return inferred;
}

/** The full start and stop lists of a slice. */
export function ranges(x: Tensor, given: readonly (readonly [number, number?] | null)[]): [number[], number[]] {
  if (given.length > x.shape.length)
    throw new RangeError(`slice: ${given.length} ranges for the ${x.shape.length} axes of ${formatShape(x.shape)}`);
  const start: number[] = [];
  const stop: number[] = [];
  x.shape.forEach((n, axis) => {
    const range = given[axis] ?? [0];
    requireList("slice", range);
    const [from, to = n] = range;
    start.push(from < 0 ? from + n : from);
    stop.push(to < 0 ? to + n : to);
    if (!Number.isInteger(from) || !Number.isInteger(to) || start[axis] < 0 || stop[axis] > n || start[axis] > stop[axis])
      throw new RangeError(`slice: [${from}, ${to}] of axis ${axis} of ${formatShape(x.shape)}: want 0 <= start <= stop <= ${n}`);
  });
  return [start, stop];
}

export function split(x: Tensor, parts: number | readonly number[], axis: number): Tensor[] {
  const at = axisOf("split", axis, x);
  const n = x.shape[at];
  if (typeof parts === "number" && (!Number.isInteger(parts) || parts < 1 || n % parts !== 0))
    throw new RangeError(`split: axis ${axis} of ${formatShape(x.shape)} does not divide into ${parts} equal parts`);
  const sizes = typeof parts === "number" ? new Array<number>(parts).fill(n / parts) : parts;
  checkShape("split", sizes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== n)
    throw new RangeError(`split: parts ${formatShape(sizes)} add up to ${total}, axis ${axis} of ${formatShape(x.shape)} has ${n}`);
  let from = 0;
  return sizes.map((size) => x.narrow(at, from, (from += size)));
}

export function padWidths(x: Tensor, widths: readonly (readonly [number, number])[]): [number, number][] {
  if (widths.length > x.shape.length)
    throw new RangeError(`pad: ${widths.length} widths for the ${x.shape.length} axes of ${formatShape(x.shape)}`);
  return x.shape.map((_, axis) => {
    const width = widths[axis] ?? [0, 0];
    requireList("pad", width);
    const [before, after] = width;
    checkShape("pad", [before, after]);
    return [before, after];
  });
}

export function tile(x: Tensor, repeats: readonly number[]): Tensor {
  checkShape("tile", repeats);
  const length = Math.max(repeats.length, x.shape.length);
  const shape = [...new Array<number>(length - x.shape.length).fill(1), ...x.shape];
  const times = [...new Array<number>(length - repeats.length).fill(1), ...repeats];
  const woven = shape.flatMap((n) => [1, n]);
  const stretched = shape.flatMap((n, axis) => [times[axis], n]);
  return x
    .reshape(woven)
    .broadcastTo(stretched)
    .reshape(shape.map((n, axis) => n * times[axis]));
}

export function triangle(x: Tensor, diagonal: number, side: "lower" | "upper"): Tensor {
  if (x.shape.length < 2) throw new RangeError(`${side === "lower" ? "tril" : "triu"}: ${formatShape(x.shape)} has no matrix`);
  const [rows, columns] = x.shape.slice(-2);
  const options = { dtype: "int32", backend: x.backend } as const;
  const distance = arange(0, columns, 1, options).sub(arange(0, rows, 1, options).unsqueeze(1));
  return where(side === "lower" ? distance.lessEqual(diagonal) : distance.greaterEqual(diagonal), x, 0);
}

export function cast(x: Tensor, dtype: DType): Tensor {
  checkDtype(x.backend, { shape: x.shape, dtype });
  return apply(movement.cast(dtype), x);
}

const precision: Record<DType, number> = { int32: 0, bfloat16: 1, float32: 2, float64: 3 };

export function atLeast(x: Tensor, dtype: "float32" | "float64"): Tensor {
  requireFloat("atLeast", x);
  return precision[x.dtype] < precision[dtype] ? x.cast(dtype) : x;
}

export function scatterAdd(x: Tensor, index: Tensor, source: Tensor, axis: number): Tensor {
  const at = axisOf("scatterAdd", axis, x);
  return widened("scatterAdd", [x, source], (y, s) => y.add(s.addAlong(index, at, x.shape[at])));
}

export function oneHot(index: Tensor, classes: number, dtype: DType): Tensor {
  checkShape("oneHot", [classes]);
  requireInt("oneHot", "index", index);
  const { backend } = index;
  return index
    .unsqueeze(index.shape.length)
    .equal(arange(0, classes, 1, { dtype: "int32", backend }))
    .cast(dtype);
}
