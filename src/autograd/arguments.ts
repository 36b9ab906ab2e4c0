/** Kinds of arguments that know of tensors and keys, beside those of plain values; the checks that every chapter uses. */
import { having, listOf, oneOf, whole } from "../backend/arguments.ts";
import type { Kind } from "../backend/arguments.ts";
import type { ArrayType, Backend } from "../backend/backend.ts";
import { BackendError } from "../backend/backend.ts";
import { checkIndices, checkOffsets } from "../backend/indices.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape } from "../backend/shape.ts";
import type { Tensor } from "./tensor.ts";

export {
  callable,
  check,
  checkOptions,
  describe,
  either,
  finite,
  flag,
  having,
  instance,
  listOf,
  nothing,
  number,
  oneOf,
  optional,
  positive,
  rate,
  text,
  whole,
} from "../backend/arguments.ts";
export type { Kind, Kinds } from "../backend/arguments.ts";

/** Recognised by its members, so that this file imports no class and stands below all of them. */
export const aTensor: Kind = having("a tensor", "storage", "strides", "requireGrad");

export const aKey: Kind = having("a key, such as key(1)", "high", "low", "bits");

export const aBackend: Kind = having('a backend, such as await useBackend("cpu") answers', "dtypes", "upload", "fused");

export const aDtype: Kind = oneOf("float32", "float64", "bfloat16", "int32");

export const aFloatDtype: Kind = oneOf("float32", "float64", "bfloat16");

export const aShape: Kind = { ...listOf(whole(0)), wanted: "a shape: an array of whole numbers of 0 or more" };

// What operations demand of what they are given: the name of the operation opens every message.

/** For JavaScript, where types do not say it. */
export function requireTensor(operation: string, x: unknown): void {
  if (aTensor.accepts(x)) return;
  const given = Array.isArray(x) ? "an array" : x === null ? "null" : `${typeof x} ${String(x)}`;
  throw new TypeError(`${operation}: ${given} is not a tensor; make one with tensor(…)`);
}

/** For JavaScript: a name that nobody knows would be taken for another one. */
export function requireOneOf(operation: string, what: string, given: string, known: readonly string[]): void {
  if (!known.includes(given)) throw new RangeError(`${operation}: ${what} "${given}": want one of ${known.join(", ")}`);
}

export function requireFloat(operation: string, x: ArrayType): void {
  if (x.dtype === "int32") throw new TypeError(`${operation}: int32 ${formatShape(x.shape)}: needs a float dtype; use cast("float32")`);
}

export function requireInt(operation: string, what: string, x: ArrayType): void {
  if (x.dtype !== "int32")
    throw new TypeError(`${operation}: ${what} is ${x.dtype} ${formatShape(x.shape)}, indices are int32; use cast("int32")`);
}

export function requireSameDtype(operation: string, x: ArrayType, y: ArrayType): void {
  if (x.dtype !== y.dtype)
    throw new TypeError(`${operation}: dtypes ${x.dtype} and ${y.dtype} differ; use cast("${x.dtype}") or cast("${y.dtype}")`);
}

/** For JavaScript: reshape(2, 3) where reshape([2, 3]) is meant. */
export function requireList(operation: string, given: unknown): void {
  if (!Array.isArray(given)) throw new TypeError(`${operation}: ${String(given)} is not a list; write [${String(given)}]`);
}

export function checkShape(operation: string, shape: Shape): void {
  requireList(operation, shape);
  for (const n of shape)
    if (!Number.isInteger(n) || n < 0) throw new RangeError(`${operation}: shape ${formatShape(shape)}: sizes are integers of 0 or more`);
}

export function checkDtype(backend: Backend, type: ArrayType): void {
  if (!backend.dtypes.has(type.dtype))
    throw new BackendError(
      `${backend.name}: has no ${type.dtype} (it has ${[...backend.dtypes].join(", ")})${backend.name === "cpu" ? "" : '; use the "cpu" backend or cast'}`,
    );
}

export function requireSome(operation: string, x: ArrayType, axes: readonly number[]): void {
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined)
    throw new RangeError(`${operation}: axis ${empty} of ${formatShape(x.shape)} is empty, and nothing has no ${operation}`);
}

/** Indices that were made on the host are checked where they are used; those that a device computed, by the device. */
export function checkHostIndex(operation: string, index: Tensor, from: number, to: number): void {
  requireTensor(operation, index);
  if (index.host) checkIndices(operation, index.host, from, to);
}

/** The same of the offsets of sorted rows. */
export function checkHostOffsets(operation: string, { host }: Tensor, rows: number): void {
  if (host) checkOffsets(operation, host, rows);
}
