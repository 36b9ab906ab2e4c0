/** Launching uniform numbers. Undefined: not served. */
import { maxUniform } from "../cpu/random.ts";
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer } from "../backend.ts";
import { vectors } from "./views.ts";
import type { Launcher } from "./launcher.ts";

export function uniform(launcher: Launcher, out: ArrayType, rounds: readonly number[]): Buffer | undefined {
  const n = sizeOf(out.shape);
  if (out.dtype !== "float32" || n > maxUniform) return undefined;
  return launcher.make(out, (to) => launcher.start("uniform", vectors(n), 3 * n, to, ...rounds));
}
