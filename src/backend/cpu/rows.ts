/**
 * Rows and elements by index. N rows of D elements; M results of J sources; E keys. An index outside its range is an error.
 */
import { checkIndices } from "../indices.ts";
import { sizeOf } from "../shape.ts";
import { contiguous, copyRun } from "./movement.ts";
import { accumulate } from "./reduce.ts";
import { forEachPlace, rowMajor } from "./strided.ts";
import type { Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";
import type { Shape } from "../shape.ts";

/** out[m] = the sum over j of x[index[m, j]], where -1 names no row. */
export function gatherRows(out: TypedArray, x: Strided, index: Strided): void {
  const [rows, sources] = index.shape;
  const [data, from, width] = [contiguous(x), contiguous(index), sizeOf(x.shape.slice(1))];
  checkIndices("gatherRows", from, -1, x.shape[0]);
  if (sources === 1) return moveRows(out, data, from, width);
  const total = new Float64Array(width);
  for (let m = 0; m < rows; m++) {
    total.fill(0);
    for (let j = 0; j < sources; j++) if (from[m * sources + j] >= 0) addRow(total, 0, data, from[m * sources + j] * width, width);
    out.set(total, m * width);
  }
}

function addRow(total: Float64Array, t: number, x: TypedArray, start: number, width: number): void {
  for (let d = 0; d < width; d++) total[t + d] += x[start + d];
}

/** out[i] = x[index[i]]. */
export function takeRows(out: TypedArray, x: Strided, index: Strided): void {
  const from = contiguous(index);
  checkIndices("takeRows", from, 0, x.shape[0]);
  moveRows(out, contiguous(x), from, sizeOf(x.shape.slice(1)));
}

function moveRows(out: TypedArray, x: TypedArray, from: TypedArray, width: number): void {
  for (let i = 0; i < from.length; i++) {
    if (from[i] >= 0) copyRun(width, out, i * width, 1, x, from[i] * width, 1);
    else out.fill(0, i * width, (i + 1) * width);
  }
}

/** out[index[i]] += g[i], from zeros. */
export function addRows(out: TypedArray, shape: Shape, g: Strided, index: Strided): void {
  const [data, to, width] = [contiguous(g), contiguous(index), sizeOf(shape.slice(1))];
  checkIndices("addRows", to, 0, shape[0]);
  accumulate(out, 0, (total) => {
    for (let i = 0; i < to.length; i++) addRow(total, to[i] * width, data, i * width, width);
  });
}

/** out[..., i, ...] = x[..., index[..., i, ...], ...] along `axis`. */
export function takeAlong(out: TypedArray, x: Strided, index: Strided, axis: number): void {
  checkIndices("takeAlong", contiguous(index), 0, x.shape[axis]);
  const steps = { strides: x.strides.with(axis, 0), offset: x.offset };
  forEachPlace(index.shape, [rowMajor(index.shape), index, steps], ([o, at, i]) => {
    out[o] = x.data[i + index.data[at] * x.strides[axis]];
  });
}

/** out[..., index[..., i, ...], ...] += g[..., i, ...] along `axis`, from zeros. */
export function addAlong(out: TypedArray, shape: Shape, g: Strided, index: Strided, axis: number): void {
  checkIndices("addAlong", contiguous(index), 0, shape[axis]);
  const { strides } = rowMajor(shape);
  accumulate(out, 0, (total) => {
    forEachPlace(index.shape, [{ strides: strides.with(axis, 0), offset: 0 }, index, g], ([o, at, i]) => {
      total[o + index.data[at] * strides[axis]] += g.data[i];
    });
  });
}

/** Visits the rows of int32 keys along the last axis: where they begin, and their number. */
function forEachKeyRow(key: Strided, visit: (keys: TypedArray, row: number) => void): void {
  const last = key.shape.length - 1;
  const n = key.shape[last];
  const keys = contiguous(key);
  const rows = sizeOf(withoutLast(key.shape));
  for (let row = 0; row < rows; row++) visit(keys.subarray(row * n, (row + 1) * n), row);
}

function withoutLast(shape: Shape): Shape {
  return shape.slice(0, -1);
}

/** out[..., index[m]] = m, else -1; `n` places in a row. */
export function invert(out: TypedArray, n: number, index: Strided): void {
  out.fill(-1);
  forEachKeyRow(index, (keys, row) => {
    for (let m = 0; m < keys.length; m++) if (keys[m] >= 0 && keys[m] < n) out[row * n + keys[m]] = m;
  });
}

/** How many earlier elements of the row have the same key; -1 where the key is negative. */
export function countEarlier(out: TypedArray, key: Strided): void {
  forEachKeyRow(key, (keys, row) => {
    const seen: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const before = seen[keys[i]] ?? 0;
      out[row * keys.length + i] = keys[i] < 0 ? -1 : before;
      if (keys[i] >= 0) seen[keys[i]] = before + 1;
    }
  });
}

/** How often each of 0..bins-1 occurs in a row. */
export function bincount(out: TypedArray, bins: number, key: Strided): void {
  out.fill(0);
  forEachKeyRow(key, (keys, row) => {
    for (const k of keys) if (k >= 0 && k < bins) out[row * bins + k]++;
  });
}
