/** What chapters above autograd need of the device contract: names of types, and the arithmetic of shapes. */
export { BackendError } from "../backend/backend.ts";
export type { Activation, ArrayType, Backend, BackendStats, Buffer, DType, FusedKernel, NDArray, TypedArray } from "../backend/backend.ts";
export type { Shape } from "../backend/shape.ts";
export { broadcastShapes, formatShape, sameShape, sizeOf } from "../backend/shape.ts";
export { packBfloat16 } from "../backend/bfloat16.ts";
export { didYouMean } from "../backend/arguments.ts";
