/** Shapes and dtypes: what the methods that move elements are composed of. */
import type { DType } from "../backend/backend.ts";
import { formatShape, sizeOf } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import { checkDtype, checkShape, requireFloat, requireList } from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { countTo } from "./constants.ts";
import * as movement from "./movement.ts";
import { where } from "./operations.ts";
import type { Tensor } from "./tensor.ts";

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
  const distance = countTo(columns, x).sub(countTo(rows, x).unsqueeze(1));
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
