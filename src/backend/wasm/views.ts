/** From strided views to the plain layouts that kernels know. */
import { broadcastStrides, sameShape } from "../shape.ts";
import { reread } from "../views.ts";
import type { NDArray } from "../backend.ts";
import type { Shape } from "../shape.ts";

/** Vectors of four in `n` elements. */
export const vectors = (n: number): number => Math.ceil(n / 4);

/** `x` as if it had the larger `shape`. */
export function stretched(x: NDArray, shape: Shape): NDArray {
  return sameShape(x.shape, shape) ? x : reread(x, shape, broadcastStrides(x.shape, x.strides, shape));
}
