/** Launching uniform numbers. Undefined: not served. */
import { maxUniform } from "../cpu/random.ts";
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer } from "../backend.ts";
import { vectors } from "./views.ts";
import type { WasmBackend } from "./wasmBackend.ts";

export function uniform(backend: WasmBackend, out: ArrayType, rounds: readonly number[]): Buffer | undefined {
  const n = sizeOf(out.shape);
  if (out.dtype !== "float32" || n > maxUniform) return undefined;
  return backend.make(out, (to) => backend.start("uniform", vectors(n), 3 * n, to, ...rounds));
}
