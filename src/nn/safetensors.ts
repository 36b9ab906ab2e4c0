/**
 * Writes and reads the safetensors format: eight bytes with the length of a JSON header, the header, then the numbers, little-endian. Files are
 * Uint8Arrays, so it works in browsers too. Format: https://huggingface.co/docs/safetensors.
 */
import { aBackend, aTensor, check, checkOptions, instance, optional, text } from "../autograd/arguments.ts";
import type { Backend, DType } from "../autograd/contract.ts";
import { sizeOf } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { fromFloat16Bits } from "./float16.ts";
import type { Metadata, Widths } from "./safetensorsHeader.ts";
import { LENGTH_BYTES, formatHeader, isObject, jsonLength, parseHeader } from "./safetensorsHeader.ts";

export type { Metadata } from "./safetensorsHeader.ts";

interface Readable {
  readonly dtype: DType;
  readonly bytes: number;
  get(view: DataView, at: number): number;
}

interface Format extends Readable {
  put(view: DataView, at: number, value: number): void;
}

/** Element types by their name in the file. */
const formats: Readonly<Record<string, Format>> = {
  F64: { dtype: "float64", bytes: 8, put: (v, at, x) => v.setFloat64(at, x, true), get: (v, at) => v.getFloat64(at, true) },
  F32: { dtype: "float32", bytes: 4, put: (v, at, x) => v.setFloat32(at, x, true), get: (v, at) => v.getFloat32(at, true) },
  I32: { dtype: "int32", bytes: 4, put: (v, at, x) => v.setInt32(at, x, true), get: (v, at) => v.getInt32(at, true) },
  BF16: { dtype: "bfloat16", bytes: 2, put: putBfloat16, get: getBfloat16 },
};

/** Element types that are read: also those that only others write, into a dtype that holds their values. */
const readable: Readonly<Record<string, Readable>> = {
  ...formats,
  F16: { dtype: "float32", bytes: 2, get: (v, at) => fromFloat16Bits(v.getUint16(at, true)) },
  I64: { dtype: "int32", bytes: 8, get: (v, at) => Number(v.getBigInt64(at, true)) },
  I16: { dtype: "int32", bytes: 2, get: (v, at) => v.getInt16(at, true) },
  I8: { dtype: "int32", bytes: 1, get: (v, at) => v.getInt8(at) },
  U8: { dtype: "int32", bytes: 1, get: (v, at) => v.getUint8(at) },
  BOOL: { dtype: "int32", bytes: 1, get: (v, at) => v.getUint8(at) },
};

/** Bytes of an element of each type that is read. */
export const widths: Widths = Object.fromEntries(Object.entries(readable).map(([name, { bytes }]) => [name, bytes]));

/** The name of a dtype in the file. */
export const nameOf: Record<DType, string> = { float64: "F64", float32: "F32", int32: "I32", bfloat16: "BF16" };

// A bfloat16 is the upper half of a float32; tensors give it as a float32 whose lower half is 0.
const word = new DataView(new ArrayBuffer(4));

function putBfloat16(view: DataView, at: number, value: number): void {
  word.setFloat32(0, value);
  view.setUint16(at, word.getUint16(0), true);
}

function getBfloat16(view: DataView, at: number): number {
  word.setUint32(0, view.getUint16(at, true) << 16);
  return word.getFloat32(0);
}

/** What a safetensors file holds. */
export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Metadata;
}

// Writing

/**
 * The bytes of a safetensors file with `tensors` of any shape, such as a module's `state()`, and `metadata`, texts by name. Throws for a value that
 * is no tensor, for metadata that is no string, and for a tensor named "__metadata__", which the format reserves.
 */
export async function writeSafetensors(tensors: ReadonlyMap<string, Tensor>, metadata: Metadata = {}): Promise<Uint8Array<ArrayBuffer>> {
  checkWritten(tensors, metadata);
  if (tensors.has("__metadata__")) throw new RangeError('writeSafetensors: a tensor may not be called "__metadata__"');
  const order = [...tensors].toSorted(([, a], [, b]) => widths[nameOf[b.dtype]] - widths[nameOf[a.dtype]]);
  const named = order.map(([name, { dtype, shape }]) => ({ name, dtype: nameOf[dtype], shape }));
  const { header, entries, bytes } = formatHeader(named, metadata, widths);
  const file = new Uint8Array(header.length + bytes);
  file.set(header);
  for (const [i, { dtype, from }] of entries.entries()) {
    const { put, bytes } = formats[dtype];
    const view = new DataView(file.buffer, header.length + from);
    (await order[i][1].data()).forEach((value, at) => put(view, at * bytes, value));
  }
  return file;
}

function checkWritten(tensors: ReadonlyMap<string, Tensor>, metadata: Metadata): void {
  const where = "writeSafetensors";
  check(where, "tensors", tensors, instance(Map, "a Map of tensors by name, such as model.state()"));
  for (const [name, value] of tensors) {
    check(where, "a name", name, text);
    check(where, `"${name}"`, value, aTensor);
  }
  check(where, "metadata", metadata, { wanted: "an object of strings", accepts: (value) => isObject(value) && !(value instanceof Map) });
  for (const [name, value] of Object.entries(metadata)) check(where, `metadata "${name}"`, value, text);
}

// Reading

/**
 * The tensors and the metadata of a safetensors file. Half precision becomes float32; integers and booleans become int32. `backend` is where the
 * tensors are made, by default the current one. Throws for a damaged or foreign file and for an integer beyond 32 bits; the error says what is
 * wrong and where.
 */
export function readSafetensors(file: Uint8Array, options: { readonly backend?: Backend } = {}): Safetensors {
  check(WHERE, "file", file, instance(Uint8Array, "a Uint8Array with the bytes of a file"));
  checkOptions(WHERE, options, { backend: optional(aBackend) });
  const { backend } = options;
  const start = LENGTH_BYTES + jsonLength(WHERE, file, file.length);
  const { entries, metadata } = parseHeader(WHERE, file.subarray(LENGTH_BYTES, start), file.length - start, widths);
  const tensors = entries.map(({ name, dtype, shape, from }): [string, Tensor] => {
    const format = readable[dtype];
    const view = new DataView(file.buffer, file.byteOffset + start + from);
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => format.get(view, i * format.bytes));
    const wide = format.dtype === "int32" ? values.findIndex((value) => (value | 0) !== value) : -1;
    if (wide >= 0) throw new RangeError(`${WHERE}: "${name}" holds ${values[wide]} at ${wide}, which 32 bits do not`);
    return [name, tensor(values, { shape, dtype: format.dtype, name, ...(backend ? { backend } : {}) })];
  });
  return { tensors: new Map(tensors), metadata };
}

const WHERE = "readSafetensors";
