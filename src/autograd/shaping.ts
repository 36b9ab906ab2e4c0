/** Functions of shapes and dtypes, of which the methods of Tensor that move elements are composed. */
import type { DType } from "../backend/backend.ts";
import { formatShape, sameShape, sizeOf } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import {
  aCount,
  aDtype,
  anInteger,
  check,
  checkDtype,
  checkShape,
  describe,
  either,
  listOf,
  nothing,
  number,
  oneOf,
  optional,
  requireFloat,
  requireList,
  whole,
} from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { countTo } from "./constants.ts";
import * as movement from "./movement.ts";
import { where } from "./operations.ts";
import type { Tensor } from "./tensor.ts";

/** `shape` with its one -1 replaced by what is left. */
export function inferSize(x: Tensor, shape: readonly number[]): readonly number[] {
  requireList("reshape", shape, "shape");
  const unknown = shape.indexOf(-1);
  if (unknown < 0) {
    checkShape("reshape", shape);
    return [...shape];
  }
  const known = sizeOf(shape.filter((n) => n !== -1));
  const inferred = shape.map((n, i) => (i === unknown ? x.size / known : n));
  if (inferred.some((n) => !Number.isInteger(n) || n < 0))
    throw new RangeError(`reshape: ${formatShape(x.shape)} of ${x.size} elements does not fit ${describe(shape)}`);
  return inferred;
}

/** x in a shape of as many elements; x itself where it has that shape. The caller must not dispose of the result alone. */
export function inShape(x: Tensor, shape: readonly number[]): Tensor {
  return sameShape(x.shape, shape) ? x : x.reshape(shape);
}

/** [start, stop, step] of an axis: the elements start, start + step, … before stop. null, or nothing, is the end in the step's direction. */
export type SliceRange = readonly [start?: number | null, stop?: number | null, step?: number | null];

/** A part of an axis: `count` elements from `start` on, `step` apart. */
export interface Part {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** What the ranges of a slice take of each axis. */
export function partsOf(x: Tensor, ranges: readonly (SliceRange | null)[]): Part[] {
  if (ranges.length > x.shape.length)
    throw new RangeError(`slice: ${ranges.length} ranges for the ${x.shape.length} axes of ${formatShape(x.shape)}`);
  return x.shape.map((_, axis) => {
    const range = ranges[axis] ?? [];
    requireList("slice", range, `range ${axis}`);
    for (const end of range) check("slice", `range ${axis}`, end, anEnd);
    if (range.length > 3) throw new RangeError(`slice: range ${axis} ${describe(range)}: want [start, stop, step]`);
    return partOf(range, axis, x.shape);
  });
}

/** The same where the other axes are taken whole. */
export function partsAlong({ shape }: Tensor, axis: number, range: SliceRange): Part[] {
  return shape.map((n, i) => (i === axis ? partOf(range, axis, shape) : { start: 0, step: 1, count: n }));
}

const anEnd = optional(either(anInteger, nothing));

/** Start and stop are 0 to n for a step forward, and n - 1 to -1, which is written null, for a step back. */
function partOf(range: SliceRange, axis: number, shape: readonly number[]): Part {
  const [from, to, by] = range;
  const n = shape[axis];
  const step = by ?? 1;
  const wrong = (why: string): RangeError => new RangeError(`slice: ${describe(range)} of axis ${axis} of ${formatShape(shape)}: ${why}`);
  if (step === 0) throw wrong("step 0 goes nowhere");
  const [first, end] = step > 0 ? [0, n] : [n - 1, -1];
  const place = (given: number | null | undefined, otherwise: number): number =>
    given == null ? otherwise : given < 0 ? given + n : given;
  const [start, stop] = [place(from, first), place(to, end)];
  const inside = (at: number): boolean => at >= Math.min(first, end) && at <= Math.max(first, end);
  const misplaced = from != null && from < -n ? true : to != null && to < -n; // counted from the end, and beyond the beginning
  if (misplaced || !inside(start) || !inside(stop) || (stop - start) * step < 0)
    throw wrong(
      step > 0 ? `want 0 <= start <= stop <= ${n}` : `want ${n} > start >= stop >= 0 for a negative step, or null to reach the first`,
    );
  return { start, step, count: Math.max(0, Math.ceil((stop - start) / step)) };
}

export function split(x: Tensor, parts: number | readonly number[], axis: number): Tensor[] {
  const at = axisOf("split", axis, x);
  const n = x.shape[at];
  const sizes = typeof parts === "number" ? equalParts(x, parts, at) : parts;
  requireList("split", sizes, "parts");
  checkShape("split", sizes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== n)
    throw new RangeError(`split: parts ${describe(sizes)} add up to ${total}, axis ${axis} of ${formatShape(x.shape)} has ${n}`);
  let from = 0;
  return sizes.map((size) => x.narrow(at, from, (from += size)));
}

/** An empty axis divides into any number of empty parts, so their number has a limit of its own. */
const MOST_PARTS = 2 ** 24;

function equalParts(x: Tensor, parts: number, axis: number): number[] {
  const n = x.shape[axis];
  if (!Number.isInteger(parts) || parts < 1 || parts > MOST_PARTS || n % parts !== 0)
    throw new RangeError(`split: axis ${axis} of ${formatShape(x.shape)} does not divide into ${parts} equal parts`);
  return new Array<number>(parts).fill(n / parts);
}

export function pad(x: Tensor, widths: readonly (readonly [number, number])[], value: number): Tensor {
  requireList("pad", widths, "widths");
  check("pad", "value", value, number);
  if (x.dtype === "int32" && (value | 0) !== value) throw new RangeError(`pad: value ${value}: want a 32-bit integer beside int32`);
  return apply(movement.pad(padWidths(x, widths), value), x);
}

function padWidths(x: Tensor, widths: readonly (readonly [number, number])[]): [number, number][] {
  if (widths.length > x.shape.length)
    throw new RangeError(`pad: ${widths.length} widths for the ${x.shape.length} axes of ${formatShape(x.shape)}`);
  return x.shape.map((_, axis) => {
    const width = widths[axis] ?? [0, 0];
    check("pad", `widths[${axis}]`, width, aWidth);
    return [width[0], width[1]];
  });
}

const aWidth = { ...listOf(aCount, 2), wanted: "[before, after], two whole numbers of 0 or more" };

export function tile(x: Tensor, repeats: readonly number[]): Tensor {
  requireList("tile", repeats, "repeats");
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
  const operation = side === "lower" ? "tril" : "triu";
  check(operation, "diagonal", diagonal, whole(-(2 ** 31) + 1, 2 ** 31 - 1));
  if (x.shape.length < 2) throw new RangeError(`${operation}: ${formatShape(x.shape)}: want at least two axes`);
  const [rows, columns] = x.shape.slice(-2);
  const distance = countTo(columns, x).sub(countTo(rows, x).unsqueeze(1));
  return where(side === "lower" ? distance.lessEqual(diagonal) : distance.greaterEqual(diagonal), x, 0);
}

export function cast(x: Tensor, dtype: DType): Tensor {
  check("cast", "dtype", dtype, aDtype);
  checkDtype(x.backend, { shape: x.shape, dtype });
  return apply(movement.cast(dtype), x);
}

const wide = oneOf("float32", "float64");

const precision: Record<DType, number> = { int32: 0, bfloat16: 1, float32: 2, float64: 3 };

export function atLeast(x: Tensor, dtype: "float32" | "float64"): Tensor {
  check("atLeast", "dtype", dtype, wide);
  requireFloat("atLeast", x);
  return precision[x.dtype] < precision[dtype] ? x.cast(dtype) : x;
}
