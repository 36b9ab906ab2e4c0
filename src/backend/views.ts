/** Arrays read in another way, without a copy. */
import type { NDArray } from "./backend.ts";
import type { Shape } from "./shape.ts";

/** The memory of `x` in another shape or order. Field by field, because x may be a class whose fields are getters. */
export function reread({ dtype, buffer, offset }: NDArray, shape: Shape, strides: readonly number[]): NDArray {
  return { shape, dtype, buffer, strides, offset };
}

export function permuted(x: NDArray, axes: readonly number[]): NDArray {
  return reread(
    x,
    axes.map((axis) => x.shape[axis]),
    axes.map((axis) => x.strides[axis]),
  );
}

/** Heads and rows exchanged: [B, H, T, D] as [B, T, H, D], and back. */
export const exchanged = (x: NDArray): NDArray => permuted(x, [0, 2, 1, 3]);
