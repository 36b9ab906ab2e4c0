/** Which kernel serves which dtype. */
import type { DType } from "../../backend.ts";

/** What kernels compute in. float64 is there to check gradients, and bfloat16 only to be stored: both stay with the reference loops. */
export type Word = "float32" | "int32";

export const isWord = (dtype: DType): dtype is Word => dtype === "float32" || dtype === "int32";

/** The kernel for `op` in `dtype`. */
export const kernelName = (op: string, dtype: Word): string => (dtype === "int32" ? `int32_${op}` : op);
