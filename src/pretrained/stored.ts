/** Tensors as they are stored in files, and their conversion to the numbers of a backend. */
import type { DType, Shape, TypedArray } from "../autograd/contract.ts";
import { packBfloat16 } from "../autograd/contract.ts";
import { fromFloat16Bits } from "../nn/float16.ts";

/** Element types that files may have. Models are made of the floats among them. */
export type StoredDType = "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8" | "uint8" | "bool";

export const BYTES: Readonly<Record<StoredDType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** The dtypes that parameters may have. */
export type FloatDType = Exclude<DType, "int32">;

/** A part of a tensor: its bytes from byte `at` on, little-endian. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** One tensor of a file. Its numbers are not in memory; `pieces` reads them. */
export interface StoredTensor {
  readonly name: string;
  /** The file that holds it. */
  readonly file: string;
  readonly dtype: StoredDType;
  readonly shape: Shape;
  /** Where its numbers are: equal for tensors that share them, as PyTorch saves tied weights. */
  readonly place: string;
  /** Reads all of it, row-major, piece by piece. Throws a RangeError for damage. */
  pieces(): AsyncIterable<Piece>;
}

/** Cuts pieces of any length into pieces that hold whole rows of `rowBytes`. */
export async function* wholeRows(pieces: AsyncIterable<Piece>, rowBytes: number): AsyncGenerator<Piece> {
  let rest = new Uint8Array();
  let at = 0;
  for await (const { bytes } of pieces) {
    const joined = rest.length > 0 ? join(rest, bytes) : bytes;
    const length = joined.length - (joined.length % rowBytes);
    if (length > 0) yield { at, bytes: joined.subarray(0, length) };
    at += length;
    rest = joined.slice(length);
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** The numbers of `bytes`, which are `from`, as `to`; bfloat16 as its bits. To nearest even where `to` is narrower, else exact. */
export function decode(bytes: Uint8Array, from: FloatStored, to: FloatDType): TypedArray {
  const aligned = bytes.byteOffset % BYTES[from] === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  const length = byteLength / BYTES[from];
  if (from === "bfloat16" || from === "float16") {
    const bits = new Uint16Array(buffer, byteOffset, length);
    if (from === to) return bits;
    return narrowed(from === "bfloat16" ? widenBfloat16(bits) : widenFloat16(bits), to);
  }
  return narrowed(from === "float32" ? new Float32Array(buffer, byteOffset, length) : new Float64Array(buffer, byteOffset, length), to);
}

function narrowed(values: Float32Array | Float64Array, to: FloatDType): TypedArray {
  if (to === "bfloat16") return packBfloat16(values);
  if (to === "float32") return values instanceof Float32Array ? values : Float32Array.from(values);
  return values instanceof Float64Array ? values : Float64Array.from(values);
}

export type FloatStored = "float64" | "float32" | "float16" | "bfloat16";

export function isFloat(dtype: StoredDType): dtype is FloatStored {
  return dtype === "float64" || dtype === "float32" || dtype === "float16" || dtype === "bfloat16";
}

function widenBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

function widenFloat16(bits: Uint16Array): Float32Array {
  float16s ??= Float32Array.from({ length: 65536 }, (_, i) => fromFloat16Bits(i));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16s[bits[i]];
  return values;
}

let float16s: Float32Array | undefined;
