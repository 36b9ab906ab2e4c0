/** What kernels need to know of the engine, the processor and the thread they run on. */
import { f32x4 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";

export interface Arithmetic {
  /** x y + z in four lanes: fused where relaxed SIMD is allowed, else rounded twice. */
  readonly madd: (x: V128, y: V128, z: V128) => V128;
  /** Rows of the register tile of a matrix product. */
  readonly tileRows: 4 | 6;
  /** Steps of a product in one turn of its innermost loop. */
  readonly unroll: 1 | 4;
  /** Number of the thread that runs: 0 for the caller. */
  readonly thread: I32;
}

/** `modern`: the engine knows relaxed SIMD, so it is V8 11.4 or its like; `relaxed`: and may use it. */
export function arithmeticOf({ modern, relaxed }: { modern: boolean; relaxed: boolean }, thread: I32): Arithmetic {
  const unroll = modern ? 4 : 1;
  return relaxed
    ? { madd: f32x4.relaxedMadd, tileRows: 6, unroll, thread }
    : { madd: (x, y, z) => f32x4.add(f32x4.mul(x, y), z), tileRows: 4, unroll, thread };
}
