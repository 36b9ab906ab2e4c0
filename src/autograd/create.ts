/** Making tensors: from numbers, from nested and typed arrays, filled, and counted. */
import type { ArrayType, Backend, DType, TypedArray } from "../backend/backend.ts";
import { packBfloat16 } from "../backend/bfloat16.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, sizeOf } from "../backend/shape.ts";
import { checkDtype, checkShape } from "./arguments.ts";
import { defaultBackend } from "./devices.ts";
import { Storage } from "./storage.ts";
import { Tensor } from "./tensor.ts";

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

/** Rows of rows of numbers, all of one length at each depth. */
export type Nested = number | readonly Nested[];
/** What a tensor may be made from beside nested arrays; what it reads back as is `Numbers` of read.ts. */
export type FlatNumbers = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array | Int16Array | readonly number[];

/**
 * A tensor from a number, from nested arrays, or from flat numbers with a `shape`: `tensor([[1, 2], [3, 4]])`,
 * `tensor(new Float32Array(6), { shape: [2, 3] })`. Float64Array and Int32Array keep their dtype. Ragged arrays, a size that does
 * not fit and non-integers for int32 are errors.
 */
export function tensor(data: Nested | FlatNumbers, options: CreateOptions & { readonly shape?: Shape } = {}): Tensor {
  const shape = options.shape ?? shapeOf(data);
  const flat = ArrayBuffer.isView(data) ? data : flatten(data, options.shape ? shapeOf(data) : shape);
  checkShape("tensor", shape);
  if (flat.length !== sizeOf(shape))
    throw new RangeError(`tensor: ${flat.length} numbers do not fill shape ${formatShape(shape)} of ${sizeOf(shape)}`);
  const dtype = options.dtype ?? (data instanceof Float64Array ? "float64" : data instanceof Int32Array ? "int32" : "float32");
  return fromNumbers({ shape, dtype }, flat, options);
}

function shapeOf(data: Nested | FlatNumbers): number[] {
  const shape: number[] = [];
  for (let part: Nested | FlatNumbers = data; typeof part !== "number"; part = part[0]) {
    if (!Array.isArray(part) && !ArrayBuffer.isView(part)) break; // not numbers: flatten says where
    shape.push(part.length);
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
    if (!Array.isArray(part))
      throw new TypeError(`tensor: data${path} is ${part === null ? "null" : typeof part}, not a number or an array`);
    if (part.length !== shape[depth])
      throw new RangeError(`tensor: ragged: data${path} holds ${part.length} entries where the first row says shape ${formatShape(shape)}`);
    part.forEach((item: Nested, i) => visit(item, depth + 1, `${path}[${i}]`));
  };
  visit(data, 0, "");
  return flat;
}

function fromNumbers(type: ArrayType, flat: ArrayLike<number>, options: CreateOptions): Tensor {
  const data = encode(type.dtype, flat);
  const backend = options.backend ?? defaultBackend();
  checkDtype(backend, type);
  const host = data instanceof Int32Array ? data : null;
  return finish(new Tensor(type, new Storage(backend, backend.upload(type, data), host)), options);
}

/**
 * A tensor from numbers that lie as a backend takes them: typed arrays of the dtype, bfloat16 as the upper 16 bits of a float32. What
 * was read from a file goes to the device as it is.
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

/** `value` everywhere. */
export function full(shape: Shape, value: number, options: CreateOptions = {}): Tensor {
  return filled("full", shape, value, options);
}

function filled(operation: string, shape: Shape, value: number, options: CreateOptions): Tensor {
  checkShape(operation, shape);
  const type: ArrayType = { shape, dtype: options.dtype ?? "float32" };
  if (type.dtype === "int32" && (value | 0) !== value) throw new RangeError(`${operation}: ${value} is not a 32-bit integer`);
  const backend = options.backend ?? defaultBackend();
  checkDtype(backend, type);
  return finish(new Tensor(type, new Storage(backend, backend.full(type, value))), options);
}

/** 0 everywhere. */
export function zeros(shape: Shape, options: CreateOptions = {}): Tensor {
  return filled("zeros", shape, 0, options);
}

/** 1 everywhere. */
export function ones(shape: Shape, options: CreateOptions = {}): Tensor {
  return filled("ones", shape, 1, options);
}

/** The identity matrix [n, n], or [n, m]. */
export function eye(n: number, m = n, options: CreateOptions = {}): Tensor {
  checkShape("eye", [n, m]);
  const flat = new Float64Array(n * m);
  for (let i = 0; i < Math.min(n, m); i++) flat[i * m + i] = 1;
  return tensor(flat, { dtype: "float32", ...options, shape: [n, m] });
}

/** start, start + step, … below `stop`. `arange(5)` counts 0 to 4. */
export function arange(start: number, stop?: number, step = 1, options: CreateOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (!Number.isFinite(from) || !Number.isFinite(to) || !Number.isFinite(step) || step === 0)
    throw new RangeError(`arange: from ${from} to ${to} by ${step} is not a finite range`);
  const length = Math.max(0, Math.ceil((to - from) / step));
  return tensor(
    Float64Array.from({ length }, (_, i) => from + i * step),
    { dtype: "float32", ...options },
  );
}

/** `count` numbers evenly from `start` to `stop`, both included. */
export function linspace(start: number, stop: number, count: number, options: CreateOptions = {}): Tensor {
  checkShape("linspace", [count]);
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  return tensor(
    Float64Array.from({ length: count }, (_, i) => (i === count - 1 && count > 1 ? stop : start + i * step)),
    { dtype: "float32", ...options },
  );
}
