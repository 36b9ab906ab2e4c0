/**
 * Freed arrays that wait to be used again. A training step asks for the same sizes as the step before; an array that is used again
 * need not be zeroed by the engine nor found by its garbage collector.
 */
import type { DType, TypedArray } from "../backend.ts";

export class Pool {
  readonly #waiting = new Map<string, TypedArray[]>();
  #bytes = 0;

  /** An array of `n` elements whose contents are undefined. */
  take(dtype: DType, n: number): TypedArray {
    const array = this.#waiting.get(dtype + n)?.pop();
    if (array === undefined) return newArray(dtype, n);
    this.#bytes -= array.byteLength;
    return array;
  }

  /** Takes `array` back. More than `room` bytes are not held: then sizes of the past are forgotten. */
  give(dtype: DType, array: TypedArray, room: number): void {
    if (this.#bytes + array.byteLength > room) this.#clear();
    const key = dtype + array.length;
    const others = this.#waiting.get(key);
    if (others) others.push(array);
    else this.#waiting.set(key, [array]);
    this.#bytes += array.byteLength;
  }

  #clear(): void {
    this.#waiting.clear();
    this.#bytes = 0;
  }
}

export function newArray(dtype: DType, n: number): TypedArray {
  if (dtype === "float32") return new Float32Array(n);
  if (dtype === "float64") return new Float64Array(n);
  return dtype === "int32" ? new Int32Array(n) : new Uint16Array(n);
}
