/** Making tensors: from numbers, from nested and typed arrays, filled, and counted. */
import type { ArrayType, Backend, DType, TypedArray } from "../backend/backend.ts";
import { packBfloat16 } from "../backend/bfloat16.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, sizeOf } from "../backend/shape.ts";
import {
  aBackend,
  aCount,
  aDtype,
  aShape,
  check,
  checkDtype,
  checkOptions,
  checkShape,
  describe,
  finite,
  flag,
  number,
  optional,
  requireRoom,
  text,
} from "./arguments.ts";
import type { Kinds } from "./arguments.ts";
import { defaultBackend } from "./devices.ts";
import { Storage } from "./storage.ts";
import { Tensor } from "./tensor.ts";

/** Where a new tensor lives, what it holds, and whether it is a leaf. */
export interface CreateOptions {
  /** float32 unless said otherwise (for typed arrays: their own). */
  readonly dtype?: DType;
  /** A leaf whose gradient `backward` adds up. It is persistent: no scope frees it. */
  readonly requiresGrad?: boolean;
  /** Where it lives; the current backend unless said otherwise. */
  readonly backend?: Backend;
  /** Shown by the tape and in errors. */
  readonly name?: string;
}

/** The kinds of `CreateOptions`, for functions that pass them on. */
export const createKinds: Kinds<CreateOptions> = {
  dtype: optional(aDtype),
  requiresGrad: optional(flag),
  backend: optional(aBackend),
  name: optional(text),
};

const tensorKinds: Kinds<CreateOptions & { readonly shape?: Shape }> = { ...createKinds, shape: optional(aShape) };

/** A number, or rows of rows of numbers, all of one length at each depth. */
export type Nested = number | readonly Nested[];
/** Flat numbers that a tensor may be made from, beside nested arrays. A tensor is read back as `Numbers`. */
export type FlatNumbers = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array | Int16Array | readonly number[];

/**
 * Makes a tensor from a number, from nested arrays, or from flat numbers with a `shape`: `tensor([[1, 2], [3, 4]])`,
 * `tensor(new Float32Array(6), { shape: [2, 3] })`. Float64Array and Int32Array keep their dtype, everything else is float32 unless
 * `dtype` says otherwise. The numbers are copied. Throws for ragged arrays, a shape of another size, and fractions in int32.
 */
export function tensor(data: Nested | FlatNumbers, options: CreateOptions & { readonly shape?: Shape } = {}): Tensor {
  checkOptions("tensor", options, tensorKinds);
  const known = ArrayBuffer.isView(data);
  if (known && !isNumeric(data)) throw new TypeError(`tensor: data ${describe(data)}: want nested arrays or a typed array of numbers`);
  const shape = options.shape ? [...options.shape] : shapeOf(data);
  checkShape("tensor", shape);
  const flat = known ? data : flatten(data, options.shape ? shapeOf(data) : shape);
  if (flat.length !== sizeOf(shape))
    throw new RangeError(`tensor: ${flat.length} numbers do not fill shape ${formatShape(shape)} of ${sizeOf(shape)}`);
  const dtype = options.dtype ?? (data instanceof Float64Array ? "float64" : data instanceof Int32Array ? "int32" : "float32");
  return fromNumbers({ shape, dtype }, flat, options);
}

/** Arrays nested deeper than this are refused: most often it is an array that holds itself. */
const DEEPEST = 64;

function isNumeric(data: ArrayBufferView): boolean {
  return !(data instanceof DataView || data instanceof BigInt64Array || data instanceof BigUint64Array);
}

function shapeOf(data: Nested | FlatNumbers): number[] {
  const shape: number[] = [];
  for (let part: Nested | FlatNumbers = data; typeof part !== "number"; part = part[0]) {
    if (!Array.isArray(part) && !ArrayBuffer.isView(part)) break; // not numbers: flatten says where
    if (shape.push(part.length) > DEEPEST) throw new RangeError(`tensor: data nests deeper than ${DEEPEST} arrays`);
    if (part.length === 0) break;
  }
  return shape;
}

function flatten(data: Nested, shape: Shape): number[] {
  const flat: number[] = [];
  const visit = (part: Nested, depth: number, path: string): void => {
    if (typeof part === "number") {
      if (depth !== shape.length)
        throw new RangeError(`tensor: ragged: data${path} is a number, but the first row says shape ${formatShape(shape)}`);
      flat.push(part);
      return;
    }
    if (!Array.isArray(part)) throw new TypeError(`tensor: data${path} ${describe(part)}: want a number or an array of numbers`);
    if (part.length !== shape[depth])
      throw new RangeError(`tensor: ragged: data${path} holds ${part.length} entries where the first row says shape ${formatShape(shape)}`);
    for (let i = 0; i < part.length; i++) visit(part[i] as Nested, depth + 1, `${path}[${i}]`);
  };
  visit(data, 0, "");
  return flat;
}

function fromNumbers(type: ArrayType, flat: ArrayLike<number>, options: CreateOptions): Tensor {
  requireRoom("tensor", type);
  const data = encode(type.dtype, flat);
  const backend = options.backend ?? defaultBackend();
  checkDtype(backend, type);
  const host = data instanceof Int32Array ? data : null;
  return finish(new Tensor(type, new Storage(backend, backend.upload(type, data), host)), options);
}

/**
 * Makes a tensor from an array as the backend takes it, without converting it: a typed array of the dtype, bfloat16 as the upper 16 bits of a
 * float32. For what was read from a file.
 */
export function fromRaw(type: ArrayType, data: TypedArray, options: CreateOptions = {}): Tensor {
  const backend = options.backend ?? defaultBackend();
  checkDtype(backend, type);
  return finish(new Tensor(type, new Storage(backend, backend.upload(type, data))), options);
}

/** Numbers as the backend takes them. */
function encode(dtype: DType, flat: ArrayLike<number>): TypedArray {
  if (dtype === "float32") return Float32Array.from(flat);
  if (dtype === "float64") return Float64Array.from(flat);
  if (dtype === "bfloat16") return packBfloat16(Float32Array.from(flat));
  for (let i = 0; i < flat.length; i++)
    if ((flat[i] | 0) !== flat[i])
      throw new RangeError(`tensor: element ${i} is ${flat[i]}, which is not a 32-bit integer; int32 holds indices`);
  return Int32Array.from(flat);
}

function finish(made: Tensor, { requiresGrad, name }: CreateOptions): Tensor {
  if (name !== undefined) made.name = name;
  return requiresGrad ? made.requireGrad() : made;
}

/** Makes a tensor filled with `value`. Throws for a shape that is none, such as [-1] or [0.5], and for a fraction in int32. */
export function full(shape: Shape, value: number, options: CreateOptions = {}): Tensor {
  check("full", "value", value, number);
  return filled("full", shape, value, options);
}

function filled(operation: string, shape: Shape, value: number, options: CreateOptions): Tensor {
  checkOptions(operation, options, createKinds);
  checkShape(operation, shape);
  const type: ArrayType = { shape: [...shape], dtype: options.dtype ?? "float32" };
  requireRoom(operation, type);
  if (type.dtype === "int32" && (value | 0) !== value)
    throw new RangeError(`${operation}: value ${value}: want a 32-bit integer for int32`);
  const backend = options.backend ?? defaultBackend();
  checkDtype(backend, type);
  return finish(new Tensor(type, new Storage(backend, backend.full(type, value))), options);
}

/** Makes a tensor filled with 0. Throws for a shape that is none, such as [-1] or [0.5]. */
export function zeros(shape: Shape, options: CreateOptions = {}): Tensor {
  return filled("zeros", shape, 0, options);
}

/** Makes a tensor filled with 1. Throws for a shape that is none, such as [-1] or [0.5]. */
export function ones(shape: Shape, options: CreateOptions = {}): Tensor {
  return filled("ones", shape, 1, options);
}

/**
 * Makes the identity matrix [n, n]; with `m`, the matrix [n, m] with ones on its main diagonal. Throws for a size that is no whole number
 * from 0.
 */
export function eye(n: number, m = n, options: CreateOptions = {}): Tensor {
  check("eye", "n", n, aCount);
  check("eye", "m", m, aCount);
  checkOptions("eye", options, createKinds);
  requireRoom("eye", { shape: [n, m], dtype: "float64" });
  const flat = new Float64Array(n * m);
  for (let i = 0; i < Math.min(n, m); i++) flat[i * m + i] = 1;
  return tensor(flat, { dtype: "float32", ...options, shape: [n, m] });
}

/** Counts start, start + step, … up to `stop`, which is left out: [length]. `arange(5)` counts 0 to 4. Throws for a step of 0. */
export function arange(start: number, stop?: number, step = 1, options: CreateOptions = {}): Tensor {
  check("arange", stop === undefined ? "stop" : "start", start, finite());
  check("arange", "stop", stop, optional(finite()));
  check("arange", "step", step, finite());
  checkOptions("arange", options, createKinds);
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new RangeError(`arange: step 0: want a number other than 0`);
  return counted("arange", stepsBelow(from, to, step), (i) => from + i * step, options);
}

/** How many steps lie before `to`: (to - from) / step, rounded up. A quotient of decimals that is whole but for rounding is that number. */
function stepsBelow(from: number, to: number, step: number): number {
  const steps = (to - from) / step;
  const nearest = Math.round(steps);
  const exact = [from, to, step].every(Number.isSafeInteger);
  const rounding = exact ? 0 : (4 * Number.EPSILON * (Math.abs(from) + Math.abs(to))) / Math.abs(step);
  return Math.max(0, Math.abs(steps - nearest) <= rounding ? nearest : Math.ceil(steps));
}

/**
 * `count` numbers at equal distances from `start` to `stop`, both included: [count]. Throws for ends that are not finite, and for a count
 * that is no whole number from 0.
 */
export function linspace(start: number, stop: number, count: number, options: CreateOptions = {}): Tensor {
  check("linspace", "start", start, finite());
  check("linspace", "stop", stop, finite());
  check("linspace", "count", count, aCount);
  checkOptions("linspace", options, createKinds);
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  return counted("linspace", count, (i) => (i === count - 1 && count > 1 ? stop : start + i * step), options);
}

function counted(operation: string, length: number, at: (i: number) => number, options: CreateOptions): Tensor {
  requireRoom(operation, { shape: [length], dtype: "float64" });
  return tensor(
    Float64Array.from({ length }, (_, i) => at(i)),
    { dtype: "float32", ...options },
  );
}
