/**
 * The form of a primitive: an atomic differentiable step. Each is one literal that says its name, its type rule (the only place
 * that checks), how a backend runs it, and one derivative rule for each input, written in the differentiable operations themselves.
 */
import type { ArrayType, Backend, Buffer, NDArray, View } from "../backend/backend.ts";
import { requireFloat } from "./arguments.ts";
import type { Tensor } from "./tensor.ts";

/** Vector-Jacobian product: the cotangent of one input from `g`, that of the output. It may be of the broadcast shape. */
export type Vjp = (g: Tensor, out: Tensor, ...inputs: Tensor[]) => Tensor;

export interface Primitive {
  readonly name: string;
  /** Shape and dtype of the result, or an error with the numbers. */
  type(...inputs: ArrayType[]): ArrayType;
  /** The result as another reading of the first input's buffer, where that is possible. */
  view?(out: ArrayType, x: NDArray): Pick<View, "strides" | "offset"> | undefined;
  /** The integers of the result, where those of the inputs are the host's and are only moved; without it a result is the device's. */
  host?(...inputs: Tensor[]): Int32Array | null;
  run(backend: Backend, out: ArrayType, ...inputs: NDArray[]): Buffer;
  /** One rule per input; null where there is no gradient. */
  readonly vjp: readonly (Vjp | null)[];
}

// Type rules that primitives share, called as methods of the primitive.

interface Named {
  readonly name: string;
}

/** The result has the shape and dtype of x, which is any. */
export function same(this: Named, x: ArrayType): ArrayType {
  return { shape: x.shape, dtype: x.dtype };
}

/** The result has the shape and dtype of x, which is a float. */
export function sameFloat(this: Named, x: ArrayType): ArrayType {
  requireFloat(this.name, x);
  return { shape: x.shape, dtype: x.dtype };
}
