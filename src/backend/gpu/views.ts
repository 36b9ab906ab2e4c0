/** Helpers of functions that take several launches. */
import { isContiguous, sizeOf, stridesOf } from "../shape.ts";
import { elementwise } from "./source/elementwise.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import type { Shape } from "../shape.ts";
import type { Launcher } from "./launcher.ts";

/** The array of a type that fills `buffer`. */
export function whole(buffer: Buffer, { shape, dtype }: ArrayType): NDArray {
  return { shape, dtype, buffer, strides: stridesOf(shape), offset: 0 };
}

/** Calls `next` with a buffer, and frees the buffer afterwards. */
export function consume<T>(launcher: Launcher, buffer: Buffer, next: (buffer: Buffer) => T): T {
  try {
    return next(buffer);
  } finally {
    launcher.free(buffer);
  }
}

/** Calls `next` with `x` as a contiguous array of `shape`; where x is not contiguous, with a copy that is freed afterwards. */
export function withFlat<T>(launcher: Launcher, x: NDArray, shape: Shape, next: (flat: NDArray) => T): T {
  const type = { shape, dtype: x.dtype };
  if (isContiguous(x.shape, x.strides) && x.offset === 0) return next(whole(x.buffer, type));
  return consume(launcher, copied(launcher, x), (buffer) => next(whole(buffer, type)));
}

/** A new buffer with the elements of `x` in row-major order. */
export function copied(launcher: Launcher, x: NDArray): Buffer {
  return launcher.launch({
    name: "copy",
    out: x,
    inputs: [x],
    program: () => elementwise(x.shape, [x], "return x;", launcher.device.limits),
  });
}

/** Groups of at most `most`, in order: a kernel takes only so many arrays. */
export function inGroups<T>(list: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / most) }, (_, i) => list.slice(i * most, (i + 1) * most));
}

/** [R, D]: the rows along the last axis. */
export function rowsOf(shape: Shape): [number, number] {
  const width = shape[shape.length - 1];
  return [sizeOf(shape.slice(0, -1)), width];
}
