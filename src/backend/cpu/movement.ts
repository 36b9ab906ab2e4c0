/** Movement: elements change place, not value. Works on any element type, bfloat16 bits included. */
import { isContiguous, sizeOf, stridesOf } from "../shape.ts";
import { forEachRun, rowMajor } from "./strided.ts";
import type { Layout, Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";
import type { Shape } from "../shape.ts";

/** From this many elements on, the engine's own copy is faster, although it needs two views. */
const longRun = 128;

/** Copies a run of `n` elements. */
export function copyRun(n: number, out: TypedArray, o: number, dOut: number, x: TypedArray, i: number, dx: number): void {
  if (n >= longRun && dOut === 1 && dx === 1) out.set(x.subarray(i, i + n), o);
  else for (; n > 0; n--, o += dOut, i += dx) out[o] = x[i];
}

/** Writes x into the part of `out` that `target` describes. */
export function place(out: TypedArray, target: Layout, x: Strided): void {
  forEachRun(x.shape, [target, x], (n, [o, i], [dOut, dx]) => copyRun(n, out, o, dOut, x.data, i, dx));
}

export function copy(out: TypedArray, x: Strided): void {
  place(out, rowMajor(x.shape), x);
}

/** x at `before` in an array of `shape`, `value` around it. */
export function pad(out: TypedArray, shape: Shape, x: Strided, before: readonly number[], value: number): void {
  const strides = stridesOf(shape);
  const offset = before.reduce((sum, n, axis) => sum + n * strides[axis], 0);
  out.fill(value);
  place(out, { strides, offset }, x);
}

export function concat(out: TypedArray, shape: Shape, xs: readonly Strided[], axis: number): void {
  const strides = stridesOf(shape);
  let offset = 0;
  for (const x of xs) {
    place(out, { strides, offset }, x);
    offset += x.shape[axis] * strides[axis];
  }
}

/** The elements of `x` in row-major order: its own memory where they lie so already, else a copy. */
export function contiguous(x: Strided): TypedArray {
  const n = sizeOf(x.shape);
  if (n > 0 && isContiguous(x.shape, x.strides)) return x.data.subarray(x.offset, x.offset + n);
  const packed = alike(x.data, n);
  copy(packed, x);
  return packed;
}

function alike(data: TypedArray, n: number): TypedArray {
  if (data instanceof Float32Array) return new Float32Array(n);
  if (data instanceof Float64Array) return new Float64Array(n);
  return data instanceof Int32Array ? new Int32Array(n) : new Uint16Array(n);
}
