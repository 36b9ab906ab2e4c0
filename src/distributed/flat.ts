/** Flat arrays of numbers, which ranks send to each other. */
import type { Kind } from "../autograd/arguments.ts";

/** Typed arrays, also views of WebAssembly memory. bfloat16 is sent as its bits, a Uint16Array. */
export type Flat = Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array;

/** How the numbers of several ranks become one. */
export type Reduction = "sum" | "max" | "min";

export const aFlat: Kind = {
  wanted: "a Float32Array, Float64Array, Int32Array, Uint16Array or Uint8Array",
  accepts: (value) =>
    value instanceof Float32Array ||
    value instanceof Float64Array ||
    value instanceof Int32Array ||
    value instanceof Uint16Array ||
    value instanceof Uint8Array,
};

/** An array of the type of `like`. */
export function newLike<F extends Flat>(like: F, length: number): F {
  const Type = like.constructor as new (length: number) => F;
  return new Type(length);
}

/** The bytes of an array where they lie. */
export function bytesOf(data: Flat): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** into[i] becomes into[i] and parts[from + i], reduced. */
export function accumulate(into: Flat, parts: Flat, from: number, how: Reduction): void {
  const { length } = into;
  if (how === "sum") for (let i = 0; i < length; i++) into[i] += parts[from + i];
  else if (how === "max") for (let i = 0; i < length; i++) into[i] = Math.max(into[i], parts[from + i]);
  else for (let i = 0; i < length; i++) into[i] = Math.min(into[i], parts[from + i]);
}

export function total(counts: readonly number[]): number {
  return counts.reduce((sum, n) => sum + n, 0);
}
