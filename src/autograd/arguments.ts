/** Kinds of arguments that know of tensors and keys, beside those of plain values; the checks that every chapter uses. */
import { check, describe, having, listOf, oneOf, whole } from "../backend/arguments.ts";
import type { Kind } from "../backend/arguments.ts";
import type { ArrayType, Backend, DType } from "../backend/backend.ts";
import { BackendError } from "../backend/backend.ts";
import { checkIndices, checkOffsets } from "../backend/indices.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, sizeOf } from "../backend/shape.ts";
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
export const aTensor: Kind = having("a tensor, such as tensor([1, 2])", "storage", "strides", "requireGrad");

export const aKey: Kind = having("a key, such as key(1)", "high", "low", "bits");

export const aBackend: Kind = having('a backend, such as await useBackend("cpu") answers', "dtypes", "upload", "fused");

export const aDtype: Kind = oneOf("float32", "float64", "bfloat16", "int32");

export const aFloatDtype: Kind = oneOf("float32", "float64", "bfloat16");

export const aShape: Kind = { ...listOf(whole(0)), wanted: "a shape: an array of whole numbers of 0 or more" };

/** Sizes, counts and lengths. */
export const aCount: Kind = whole(0);

/** Any whole number, negative too: an axis, a diagonal, a place counted from the end. */
export const anInteger: Kind = whole(-Number.MAX_SAFE_INTEGER);

/** A number that can be compared: infinities too, NaN not. */
export const aBound: Kind = { wanted: "a number that is not NaN", accepts: (value) => typeof value === "number" && !Number.isNaN(value) };

/** A tensor, or a number that stands for a scalar. */
export const anOperand: Kind = { wanted: "a tensor or a number", accepts: (value) => typeof value === "number" || aTensor.accepts(value) };

// What operations demand of what they are given: the name of the operation opens every message.

/** Throws unless `x` is a tensor. */
export function requireTensor(operation: string, x: unknown, name = "x"): void {
  if (!aTensor.accepts(x)) check(operation, name, x, aTensor);
}

/** Throws unless `given` is one of the known names. */
export function requireOneOf(operation: string, what: string, given: string, known: readonly string[]): void {
  if (!known.includes(given)) check(operation, what, given, oneOf(...known));
}

/** Throws for int32. */
export function requireFloat(operation: string, x: ArrayType): void {
  if (x.dtype === "int32") throw new TypeError(`${operation}: int32 ${formatShape(x.shape)}: needs a float dtype; use cast("float32")`);
}

/** Throws unless x, called `what`, is int32. */
export function requireInt(operation: string, what: string, x: ArrayType): void {
  if (x.dtype !== "int32")
    throw new TypeError(`${operation}: ${what} is ${x.dtype} ${formatShape(x.shape)}, indices are int32; use cast("int32")`);
}

/** Throws where the dtypes differ: there is no implicit promotion. */
export function requireSameDtype(operation: string, x: ArrayType, y: ArrayType): void {
  if (x.dtype !== y.dtype)
    throw new TypeError(`${operation}: dtypes ${x.dtype} and ${y.dtype} differ; use cast("${x.dtype}") or cast("${y.dtype}")`);
}

/** Throws unless `given` is an array, as in reshape(2, 3) where reshape([2, 3]) is meant. */
export function requireList(operation: string, given: unknown, name = "list"): void {
  if (Array.isArray(given)) return;
  const hint = typeof given === "number" ? `; write [${given}]` : "";
  throw new TypeError(`${operation}: ${name} ${describe(given)}: want an array${hint}`);
}

/** Throws unless `shape` is an array of whole numbers from 0 with less than 2^31 elements. */
export function checkShape(operation: string, shape: Shape): void {
  requireList(operation, shape, "shape");
  let elements = 1;
  for (const n of shape) {
    if (!Number.isInteger(n) || n < 0) throw new RangeError(`${operation}: shape ${describe(shape)}: sizes are integers of 0 or more`);
    elements *= n;
  }
  if (elements >= MOST)
    throw new RangeError(`${operation}: shape ${formatShape(shape)} holds ${elements} elements; at most ${MOST - 1} fit`);
}

/** Throws for a result of more than 2^31 bytes, before memory is asked for. */
export function requireRoom(operation: string, { shape, dtype }: ArrayType): void {
  if (hasRoom({ shape, dtype })) return;
  const bytes = sizeOf(shape) * bytesOf[dtype];
  throw new RangeError(`${operation}: a result ${dtype} ${formatShape(shape)} takes ${bytes} bytes; a tensor holds at most ${MOST}`);
}

/** Whether a tensor can hold so many bytes. */
export function hasRoom({ shape, dtype }: ArrayType): boolean {
  return sizeOf(shape) * bytesOf[dtype] <= MOST;
}

const MOST = 2 ** 31;
const bytesOf: Record<DType, number> = { bfloat16: 2, float32: 4, float64: 8, int32: 4 };

/** Throws where the backend has no such dtype. */
export function checkDtype(backend: Backend, type: ArrayType): void {
  if (!backend.dtypes.has(type.dtype))
    throw new BackendError(
      `${backend.name}: has no ${type.dtype} (it has ${[...backend.dtypes].join(", ")})${backend.name === "cpu" ? "" : '; use the "cpu" backend or cast'}`,
    );
}

/** Throws where one of the axes has no elements. */
export function requireSome(operation: string, x: ArrayType, axes: readonly number[]): void {
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined)
    throw new RangeError(`${operation}: axis ${empty} of ${formatShape(x.shape)} has no elements: want at least one`);
}

/** Throws unless the index is int32 and has the sizes of x along all axes but one. */
export function requireAlong(operation: string, x: ArrayType, index: ArrayType, axis: number): void {
  requireInt(operation, "index", index);
  if (x.shape.length !== index.shape.length || x.shape.some((n, i) => i !== axis && n !== index.shape[i]))
    throw new RangeError(`${operation}: index ${formatShape(index.shape)} does not fit ${formatShape(x.shape)} outside axis ${axis}`);
}

/** Throws unless the index is an int32 tensor; of one made on the host also where a number is not in `from` to `to` - 1. The device checks others. */
export function checkHostIndex(operation: string, index: Tensor, from: number, to: number, name = "index"): void {
  requireTensor(operation, index, name);
  requireInt(operation, name, index);
  if (index.host) checkIndices(operation, index.host, from, to);
}

/** Throws where offsets made on the host do not fit `rows` sorted rows. */
export function checkHostOffsets(operation: string, { host }: Tensor, rows: number): void {
  if (host) checkOffsets(operation, host, rows);
}
