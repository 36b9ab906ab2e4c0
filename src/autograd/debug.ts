/** Debug mode: the first operation that makes NaN or an infinity of finite numbers is named, in the forward run, the walk, the optimiser. */
import { formatShape } from "../backend/shape.ts";
import { callable, check, checkOptions, oneOf, optional, text } from "./arguments.ts";
import { context, within } from "./context.ts";
import type { Tensor } from "./tensor.ts";

/** Where a number became non-finite: while a result was computed, while its derivatives were, or while a parameter was moved. */
export type Phase = "forward" | "backward" | "optimizer";

/** What is known of the place where a number became non-finite. */
export interface NonFiniteDetails {
  /** The operation, fused operation or optimiser: "log", "softmax", "AdamW". */
  readonly operation: string;
  readonly phase: Phase;
  /** The name of the parameter whose gradient or value it was, where it has one. */
  readonly parameter?: string | undefined;
}

/** Thrown in debug mode by the first operation whose result holds NaN or an infinity that its inputs did not hold. The message begins with its name. */
export class NonFiniteError extends RangeError implements NonFiniteDetails {
  override readonly name = "NonFiniteError";
  /** The operation whose result, or whose derivative, is not finite. */
  readonly operation: string;
  /** The part of a training step in which it happened. */
  readonly phase: Phase;
  /** The name of the parameter whose gradient or value it was, where it has one. */
  readonly parameter: string | undefined;

  constructor(message: string, details: NonFiniteDetails) {
    check("NonFiniteError", "message", message, text);
    checkOptions("NonFiniteError", details, {
      operation: text,
      phase: oneOf("forward", "backward", "optimizer"),
      parameter: optional(text),
    });
    const { operation, phase, parameter } = details;
    super(message);
    this.operation = operation;
    this.phase = phase;
    this.parameter = parameter;
  }
}

/**
 * Runs `fn` and throws a `NonFiniteError` at the first operation whose result holds NaN or an infinity that its inputs did not hold:
 * in a forward computation, in `backward` and `gradients` (it names the operation whose derivative it was), and in the `step` of an
 * optimiser (it names the parameter). It reads every result, so it is slow, and it needs a device that can be read at once (not "gpu").
 */
export function debug<T>(fn: () => T): T {
  check("debug", "fn", fn, callable);
  return within({ debug: true }, fn, "debug");
}

/** Throws where `out` holds what no input held. */
export function checkFinite(operation: string, out: Tensor, inputs: readonly Tensor[]): void {
  const made = newlyMade(out, inputs);
  if (made === "finite") return;
  const given = inputs.map((input) => `${input.dtype} ${formatShape(input.shape)}`).join(", ");
  const message = `${operation}: made ${made} out of (${given}); the result is ${formatShape(out.shape)}`;
  throw new NonFiniteError(message, { operation, phase: "forward" });
}

/** Runs a derivative rule or a step of an optimiser. What an operation inside reports gains the place: whose derivative, which parameter. */
export function locating<T>(place: NonFiniteDetails, fn: () => T): T {
  if (!context().debug) return fn();
  try {
    return fn();
  } catch (error) {
    if (!(error instanceof NonFiniteError) || error.phase !== "forward") throw error;
    throw new NonFiniteError(`${placeOf(place)}: ${error.message}`, place);
  }
}

/** In debug mode: throws where `out`, made of `inputs` by a kernel or by several operations, holds what no input held. */
export function checkMade(place: NonFiniteDetails, out: Tensor, inputs: readonly Tensor[]): void {
  if (!context().debug) return;
  const made = newlyMade(out, inputs);
  if (made !== "finite") throw new NonFiniteError(`${placeOf(place)}: made ${made} of finite numbers in ${out.label}`, place);
}

function placeOf({ operation, phase, parameter }: NonFiniteDetails): string {
  const whose = parameter === undefined ? "" : ` of "${parameter}"`;
  if (phase === "optimizer") return `${operation}: the step${whose}`;
  return phase === "backward" ? `${operation}: the derivative${whose}` : operation;
}

type Finding = "finite" | "Infinity" | "NaN";

function newlyMade(out: Tensor, inputs: readonly Tensor[]): Finding {
  const made = worst(out);
  if (made === "finite") return made;
  return inputs.map(worst).some((given) => given === made || given === "NaN") ? "finite" : made;
}

function worst(x: Tensor): Finding {
  if (x.dtype === "int32") return "finite";
  let finding: Finding = "finite";
  for (const value of within({ debug: false }, () => x.dataSync())) {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) finding = "Infinity";
  }
  return finding;
}
