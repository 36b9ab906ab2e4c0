/**
 * Freed arrays that are kept for reuse. A training step asks for the same sizes as the step before, and an array that is reused
 * need not be zeroed by the engine nor collected.
 */
import type { DType, TypedArray } from "../backend.ts";

/** Keeps freed arrays by dtype and length. */
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

  /** Keeps `array` for reuse. Where more than `room` bytes would be kept, those kept before are dropped. */
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

/** A new typed array of `n` zeros. */
export function newArray(dtype: DType, n: number): TypedArray {
  if (dtype === "float32") return new Float32Array(n);
  if (dtype === "float64") return new Float64Array(n);
  return dtype === "int32" ? new Int32Array(n) : new Uint16Array(n);
}
