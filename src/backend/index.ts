/** `switchyard-moe/backend`: the contract between the framework and a device, and the reference device. */
import { CpuBackend } from "./cpu/cpuBackend.ts";

export { BackendError } from "./backend.ts";
export type {
  Activation,
  AdamStep,
  ArgReduceOp,
  ArrayType,
  Backend,
  BackendStats,
  BinaryOp,
  Buffer,
  DType,
  FusedKernel,
  FusedKernels,
  NDArray,
  ReduceOp,
  TypedArray,
  UnaryOp,
  View,
} from "./backend.ts";
export { fromBfloat16Bits, packBfloat16, toBfloat16Bits, unpackBfloat16 } from "./bfloat16.ts";
export { broadcastShapes, broadcastStrides, formatShape, isContiguous, sameShape, sizeOf, stridesOf } from "./shape.ts";
export type { Shape } from "./shape.ts";
export { CpuBackend };

/** A new reference backend: plain TypeScript loops, float32 and float64. */
export function cpu(): CpuBackend {
  return new CpuBackend();
}
