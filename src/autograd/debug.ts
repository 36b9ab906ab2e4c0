/** Debug mode: name the first operation that makes NaN or an infinity out of numbers that had none. */
import { formatShape } from "../backend/shape.ts";
import { within } from "./context.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `fn` and throws at the first operation whose result holds NaN or an infinity that its inputs did not hold. It reads
 * every result, so it is slow, and it needs a device that can be read at once (the CPU backends).
 */
export function debug<T>(fn: () => T): T {
  return within({ debug: true }, fn, "debug");
}

export function checkFinite(operation: string, out: Tensor, inputs: readonly Tensor[]): void {
  const made = worst(out);
  if (made === "finite" || inputs.some((input) => worst(input) === made || worst(input) === "NaN")) return;
  const given = inputs.map((input) => `${input.dtype} ${formatShape(input.shape)}`).join(", ");
  throw new RangeError(`${operation}: made ${made} out of (${given}); the result is ${formatShape(out.shape)}`);
}

type Finding = "finite" | "Infinity" | "NaN";

function worst(x: Tensor): Finding {
  if (x.dtype === "int32") return "finite";
  let finding: Finding = "finite";
  for (const value of within({ debug: false, recording: false }, () => x.dataSync())) {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) finding = "Infinity";
  }
  return finding;
}
