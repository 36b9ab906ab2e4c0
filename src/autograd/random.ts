/** Random tensors, made on the host from a key: the same numbers on every device. */
import type { DType } from "../backend/backend.ts";
import { fromBfloat16Bits, toBfloat16Bits } from "../backend/bfloat16.ts";
import type { Shape } from "../backend/shape.ts";
import { sizeOf } from "../backend/shape.ts";
import {
  aCount,
  aFloatDtype,
  aKey,
  callable,
  check,
  checkOptions,
  checkShape,
  finite,
  optional,
  positive,
  requireRoom,
} from "./arguments.ts";
import type { Kinds } from "./arguments.ts";
import { context, noGrad, within } from "./context.ts";
import type { CreateOptions } from "./create.ts";
import { createKinds, tensor, zeros } from "./create.ts";
import { Key } from "./key.ts";
import type { Tensor } from "./tensor.ts";

export { Key, key } from "./key.ts";
export { uniformLike, uniformMask } from "./masks.ts";

/** Which part of a random tensor is made. */
export interface DrawOptions extends CreateOptions {
  /** Index of the first element: a part of a larger tensor has the numbers it would have in the whole. Default 0. */
  readonly first?: number;
}

/** The range of uniform numbers. */
export interface UniformOptions extends DrawOptions {
  /** The least number; default 0. */
  readonly low?: number;
  /** What every number lies below; default 1. */
  readonly high?: number;
}

/** The mean and the standard deviation of normal numbers, before they are rounded to the dtype. */
export interface NormalOptions extends DrawOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Default 1. */
  readonly std?: number;
}

/** The standard deviation and the bound of truncated normal numbers. */
export interface TruncatedNormalOptions extends DrawOptions {
  /** Of the distribution before it is cut; default 1. */
  readonly std?: number;
  /** No number is farther from 0 than this many standard deviations; above 0, default 2. */
  readonly bound?: number;
}

const kinds: Kinds<DrawOptions> = { ...createKinds, dtype: optional(aFloatDtype), first: optional(aCount) };
const deviation = optional(finite(0));

/** Makes a tensor of the numbers that `prepare` gives for the indices from `first` on; it is called when all arguments were checked. */
function fill<O extends DrawOptions>(
  operation: string,
  shape: Shape,
  at: Key,
  options: O,
  known: Kinds<O>,
  prepare: (dtype: DType) => (i: number) => number,
): Tensor {
  const where = `random.${operation}`;
  checkShape(where, shape);
  check(where, "at", at, aKey);
  checkOptions(where, options, known);
  const { dtype = "float32", requiresGrad, backend, name, first = 0 } = options;
  const own: CreateOptions = {
    dtype,
    ...(requiresGrad && { requiresGrad }),
    ...(backend && { backend }),
    ...(name !== undefined && { name }),
  };
  const draw = prepare(dtype);
  if (!context().drawing) return blank(shape, own);
  requireRoom(where, { shape, dtype });
  const numbers = new Float64Array(sizeOf(shape));
  for (let i = 0; i < numbers.length; i++) numbers[i] = draw(first + i);
  return tensor(numbers, { ...own, shape });
}

/**
 * Random tensors made by `fn` are zeros that take no room: one number, stretched. For models whose weights come from a file; drawing
 * hundreds of millions of first weights takes longer than reading them. Throws where `fn` is no function.
 */
export function withoutDrawing<T>(fn: () => T): T {
  check("random.withoutDrawing", "fn", fn, callable);
  return within({ drawing: false }, fn, "withoutDrawing");
}

function blank(shape: Shape, { requiresGrad = false, ...options }: CreateOptions): Tensor {
  const zero = zeros([], options);
  const stretched = noGrad(() => zero.broadcastTo(shape));
  if (shape.length > 0) zero.dispose();
  stretched.name = options.name;
  return requiresGrad ? stretched.requireGrad() : stretched;
}

/**
 * Draws numbers uniformly from [low, high), the same for the same key. `shape` is any, [] for one number. Throws where low is above high, and
 * for a shape that is none.
 */
export function uniform(shape: Shape, at: Key, options: UniformOptions = {}): Tensor {
  const { low = 0, high = 1 } = options ?? {};
  const known = { ...kinds, low: optional(finite()), high: optional(finite()) };
  return fill("uniform", shape, at, options, known, (dtype) => {
    if (low > high) throw new RangeError(`random.uniform: low ${low} is above high ${high}`);
    return (i) => between(low, high, at.number(i), dtype);
  });
}

/** The number at `share` of the way from low to high. Where `dtype` would round it to high, only so many leading bits of `share` count as do not. */
function between(low: number, high: number, share: number, dtype: DType): number {
  const value = low + (high - low) * share;
  const end = rounded(high, dtype);
  if (rounded(value, dtype) < end) return value;
  for (let bits = 31; bits > 0; bits--) {
    const lower = low + (high - low) * Math.floor(share * 2 ** bits) * 2 ** -bits;
    if (rounded(lower, dtype) < end) return lower;
  }
  return low;
}

/** The number that a tensor of `dtype` holds for x. */
function rounded(x: number, dtype: DType): number {
  if (dtype === "float32") return Math.fround(x);
  return dtype === "bfloat16" ? fromBfloat16Bits(toBfloat16Bits(x)) : x;
}

/** One standard normal number for each index of a key: Box & Muller 1958. Throws for an index that is no whole number from 0. */
export function gaussian(at: Key, index: number): number {
  if (!(at instanceof Key)) check("random.gaussian", "at", at, aKey);
  if (!(index >= 0)) check("random.gaussian", "index", index, aCount);
  const radius = Math.sqrt(-2 * Math.log((at.bits(2 * index) + 0.5) * 2 ** -32));
  return radius * Math.cos(2 * Math.PI * at.number(2 * index + 1));
}

/**
 * Draws normal numbers with `mean` and `std`, the same for the same key. `shape` is any, [] for one number. Throws for a shape that is
 * none.
 */
export function normal(shape: Shape, at: Key, options: NormalOptions = {}): Tensor {
  const { mean = 0, std = 1 } = options ?? {};
  return fill(
    "normal",
    shape,
    at,
    options,
    { ...kinds, mean: optional(finite()), std: deviation },
    () => (i) => mean + std * gaussian(at, i),
  );
}

/**
 * Draws normal numbers of mean 0 of which none is farther from 0 than `bound` standard deviations. (The deviation of the result is
 * smaller than `std`: 0.8796 of it at the default bound of 2.) `shape` is any, [] for one number. Throws for a shape that is none.
 */
export function truncatedNormal(shape: Shape, at: Key, options: TruncatedNormalOptions = {}): Tensor {
  const { std = 1, bound = 2 } = options ?? {};
  const draw = bound < NARROW ? narrow : wide;
  const attempts = [at];
  return fill(
    "truncatedNormal",
    shape,
    at,
    options,
    { ...kinds, std: deviation, bound: optional(positive) },
    () => (i) => std * draw(attempts, i, bound),
  );
}

/** Below this bound, most normal numbers would be refused. */
const NARROW = 0.5;

/** The key of an attempt: the first key itself, then one under it. The list keeps them, because all numbers of a tensor try with the same. */
function keyOf(attempts: Key[], attempt: number): Key {
  return (attempts[attempt] ??= attempts[0].at("again", attempt));
}

/** Normal numbers, drawn again beyond the bound. */
function wide(attempts: Key[], index: number, bound: number): number {
  for (let attempt = 0; ; attempt++) {
    const z = gaussian(keyOf(attempts, attempt), index);
    if (Math.abs(z) <= bound) return z;
  }
}

/** Uniform numbers within the bound, kept with a probability in proportion to the normal density there. */
function narrow(attempts: Key[], index: number, bound: number): number {
  for (let attempt = 0; ; attempt++) {
    const trial = keyOf(attempts, attempt);
    const z = bound * (2 * trial.number(2 * index) - 1);
    if (trial.number(2 * index + 1) <= Math.exp(-0.5 * z * z)) return z;
  }
}
