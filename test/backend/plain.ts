/**
 * Arrays as the oracle sees them: a shape and a flat list of numbers. Nothing here knows how a backend works; everything is
 * written for being obviously right.
 */
import { sizeOf } from "../../src/backend/shape.ts";
import type { DType } from "../../src/backend/backend.ts";
import type { Shape } from "../../src/backend/shape.ts";

export interface Plain {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: readonly number[];
}

export type Index = readonly number[];

const known = new Map<string, readonly Index[]>();

/** Every index of `shape`, the last axis fastest. Those of some shapes are kept: finite differences build the same arrays a thousand times. */
export function indices(shape: Shape): readonly Index[] {
  const name = shape.join();
  const kept = known.get(name);
  if (kept) return kept;
  const all = shape.reduce<number[][]>((found, n) => found.flatMap((index) => Array.from({ length: n }, (_, i) => [...index, i])), [[]]);
  if (known.size > 100) known.clear();
  known.set(name, all);
  return all;
}

/** The array whose element at `index` is `f(index)`. */
export function build(shape: Shape, dtype: DType, f: (index: Index) => number): Plain {
  return { shape, dtype, data: indices(shape).map(f) };
}

/** The element at `index`; along an axis of size 1 every index reads the same, and leading axes may be missing. */
export function at(x: Plain, index: Index): number {
  const lead = index.length - x.shape.length;
  let place = 0;
  for (let axis = 0; axis < x.shape.length; axis++) place = place * x.shape[axis] + (x.shape[axis] === 1 ? 0 : index[lead + axis]);
  return x.data[place];
}

export function plain(shape: Shape, dtype: DType, data: readonly number[]): Plain {
  if (data.length !== sizeOf(shape)) throw new Error(`plain: ${data.length} numbers for [${shape}]`);
  return { shape, dtype, data: dtype === "float32" ? data.map(Math.fround) : data };
}

/** A stream of numbers in [0, 1), the same in every run. */
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Numbers between low and high; whole numbers for int32. */
export function random(shape: Shape, dtype: DType, seed = 1, low = -2, high = 2): Plain {
  const next = stream(seed);
  const number = () => low + (high - low) * next();
  return plain(shape, dtype, Array.from({ length: sizeOf(shape) }, dtype === "int32" ? () => Math.floor(number()) : number));
}

/** Whole numbers in [low, high): indices, and values with many ties. */
export function integers(shape: Shape, dtype: DType, seed: number, low: number, high: number): Plain {
  const next = stream(seed);
  return plain(
    shape,
    dtype,
    Array.from({ length: sizeOf(shape) }, () => Math.floor(low + (high - low) * next())),
  );
}
