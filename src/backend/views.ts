/** Arrays read in another way, without a copy. */
import type { NDArray } from "./backend.ts";
import type { Shape } from "./shape.ts";

/** The memory of `x` in another shape or order. Field by field, because x may be a class whose fields are getters. */
export function reread({ dtype, buffer, offset }: NDArray, shape: Shape, strides: readonly number[]): NDArray {
  return { shape, dtype, buffer, strides, offset };
}
