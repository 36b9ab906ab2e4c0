/**
 * Checks of indices that were computed on a device. Where the host can read them without waiting, an index outside its array throws, with the
 * same error on every such device; on the others it reads as NaN (of int32: 0) and writes nowhere.
 */
import { BackendError } from "./backend.ts";
import { formatShape } from "./shape.ts";
import type { ArrayType, NDArray } from "./backend.ts";
import { reread } from "./views.ts";

/** Throws if one of `indices`, in row-major order, is not in `low` to `high` - 1. */
export function checkIndices(operation: string, indices: ArrayLike<number>, low: number, high: number): void {
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] >= low && indices[i] < high) continue;
    const range = high > low ? `outside ${low} to ${high - 1}` : `an index into nothing`;
    throw new RangeError(`${operation}: index ${indices[i]} at ${i} is ${range}`);
  }
}

/** The same of class ids, of which `ignored` is one too. */
export function checkTargets(targets: ArrayLike<number>, classes: number, ignored: number): void {
  for (let i = 0; i < targets.length; i++) {
    const id = targets[i];
    if (id === ignored || (id >= 0 && id < classes)) continue;
    throw new RangeError(`crossEntropy: target ${id} at ${i} is outside 0 to ${classes - 1} and not the ignored ${ignored}`);
  }
}

/** Throws unless `offsets` say where each expert's rows begin among `rows` sorted ones. */
export function checkOffsets(operation: string, offsets: ArrayLike<number>, rows: number): void {
  for (let e = 0; e < offsets.length; e++) {
    const least = e === 0 ? 0 : offsets[e - 1];
    if (offsets[e] >= least && offsets[e] <= (e === 0 ? 0 : rows)) continue;
    throw new RangeError(`${operation}: offset ${offsets[e]} at ${e}: offsets begin at 0, never fall, and end at ${rows} rows at most`);
  }
}

/** Throws unless each of `filled` is a number of slots from 0 to `capacity`. */
export function checkFilled(operation: string, filled: ArrayLike<number>, capacity: number): void {
  for (let i = 0; i < filled.length; i++) {
    if (filled[i] >= 0 && filled[i] <= capacity) continue;
    throw new RangeError(`${operation}: ${filled[i]} filled slots at ${i}: want 0 to ${capacity}, the slots of an expert and group`);
  }
}

/** How many places of each row of `x` the result holds. Throws where the row is shorter. */
export function placesOf(operation: string, out: ArrayType, x: ArrayType): number {
  const [k, n] = [out, x].map(({ shape }) => shape[shape.length - 1] ?? 1);
  if (k > n) throw new BackendError(`${operation}: ${k} places of rows of ${n}, ${formatShape(x.shape)}`);
  return k;
}

/** A scalar as a row of one number, for kernels that work along the last axis; other arrays as they are. */
export function withRow(x: NDArray): NDArray {
  return x.shape.length > 0 ? x : reread(x, [1], [1]);
}

/** The same of the type of a result. */
export function rowType({ shape, dtype }: ArrayType): ArrayType {
  return { shape: shape.length > 0 ? shape : [1], dtype };
}
