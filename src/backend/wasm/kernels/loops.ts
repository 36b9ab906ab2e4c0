/** Loops over vectors of four numbers, and what to do where a row ends between two. */
import { f32, f32x4, f64, f64x2, i32, i32x4, v128 } from "../instructions.ts";
import type { F32, F64, I32, V128 } from "../instructions.ts";
import type { Body, Local } from "../assembler.ts";

export const ZERO = f32x4.const(0);

/** The end of a row that does not fill a vector. */
export interface Tail {
  /** 4, 8 or 12. */
  readonly bytes: I32;
  /** All ones in the lanes that exist. */
  readonly mask: V128;
}

/** `body` for each 16 bytes of a row, whose last may be a tail. Its code is written twice, with and without one. */
export function forVectors(f: Body, bytes: I32, body: (at: Local<"i32">, tail?: Tail) => void): void {
  const whole = f.let(i32.and(bytes, -16));
  f.for(0, whole, 16, (at) => body(at));
  const rest = f.let(i32.and(bytes, 15));
  f.if(rest, () => {
    const mask = f.let(i32x4.lt(i32x4.lanes(0, 4, 8, 12), i32x4.splat(rest)));
    body(whole, { bytes: rest, mask });
  });
}

/** Stores a vector, or as much of it as exists. */
export function store(f: Body, address: I32, value: V128, tail?: Tail): void {
  if (!tail) return f.do(v128.store(address, value));
  const to = f.let(address);
  const lanes = f.let(value);
  f.if(
    i32.and(tail.bytes, 8),
    () => {
      f.do(v128.store64Lane(to, lanes, 0));
      f.if(i32.and(tail.bytes, 4), () => f.do(v128.store32Lane(to, lanes, 2, 8)));
    },
    () => f.do(v128.store32Lane(to, lanes, 0)),
  );
}

/** Stores vectors one after the other, as far as `left` bytes exist. */
export function storeStrip(f: Body, address: I32, left: I32, values: readonly V128[]): void {
  for (const [k, value] of values.entries()) {
    const to = i32.add(address, 16 * k);
    const bytes = f.let(i32.sub(left, 16 * k));
    f.if(
      i32.ge(bytes, 16),
      () => store(f, to, value),
      () => {
        f.if(i32.gt(bytes, 0), () => store(f, to, value, { bytes, mask: ZERO }));
      },
    );
  }
}

/** `value`, with `neutral` in the lanes that do not exist. */
export function within(value: V128, neutral: V128, tail?: Tail): V128 {
  return tail ? v128.select(tail.mask, value, neutral) : value;
}

type Combine = (x: V128, y: V128) => V128;

/** The four lanes combined, in all four lanes. */
export function acrossLanes(f: Body, value: V128, combine: Combine): Local<"v128"> {
  const pairs = f.let(value);
  const halves = f.let(combine(pairs, v128.shuffle(pairs, pairs, [2, 3, 0, 1])));
  return f.let(combine(halves, v128.shuffle(halves, halves, [1, 0, 3, 2])));
}

/** The halves of four float32 as float64. */
export function widened(f: Body, value: V128): readonly [V128, V128] {
  const lanes = f.let(value);
  return [f64x2.fromLowF32x4(lanes), f64x2.fromLowF32x4(v128.shuffle(lanes, lanes, [2, 3, 2, 3]))];
}

/** The same of four float32 in memory, which the conversion reads itself. */
export const loadWidened = (address: I32, offset = 0): readonly [V128, V128] => [
  f64x2.fromLowF32x4(v128.load64Zero(address, offset)),
  f64x2.fromLowF32x4(v128.load64Zero(address, offset + 8)),
];

/** Two pairs of float64 rounded to four float32. */
export const narrowed = (low: V128, high: V128): V128 => v128.shuffle(f32x4.fromF64x2(low), f32x4.fromF64x2(high), [0, 1, 4, 5]);

/**
 * Four running sums in float64, rounded once at their end, as the reference keeps its own. With terms t in float32 the error of a sum is at
 * most half a unit in its last place and 2^-50 times the sum of |t|, whatever the number of terms: pairwise sums in float32 have log2(n) 2^-24.
 */
export class Sums {
  readonly #f: Body;
  readonly #low: Local<"v128">;
  readonly #high: Local<"v128">;

  constructor(f: Body) {
    this.#f = f;
    this.#low = f.local("v128");
    this.#high = f.local("v128");
  }

  start(): void {
    for (const sum of [this.#low, this.#high]) this.#f.set(sum, f64x2.const(0));
  }

  add([low, high]: readonly [V128, V128]): void {
    this.#f.set(this.#low, f64x2.add(this.#low, low));
    this.#f.set(this.#high, f64x2.add(this.#high, high));
  }

  /** The four, rounded. */
  get lanes(): V128 {
    return narrowed(this.#low, this.#high);
  }

  /** All of them in one. */
  get total(): F64 {
    const pair = this.#f.let(f64x2.add(this.#low, this.#high));
    return f64.add(f64x2.lane(pair, 0), f64x2.lane(pair, 1));
  }
}

/** A float64 rounded into four lanes. */
export const splatF64 = (f: Body, value: F64): Local<"v128"> => f.let(f32x4.splat(f32.fromF64(value)));

export const sumLanes = (f: Body, value: V128): Local<"v128"> => acrossLanes(f, value, f32x4.add);

/** A float32 parameter in all lanes. */
export const splat = (f: Body, value: F32): Local<"v128"> => f.let(f32x4.splat(value));

/** The larger, where NaN ranks below every number. */
export function maxOf(f: Body): Combine {
  return (x, y) => {
    const a = f.let(x);
    const b = f.let(y);
    return v128.select(v128.or(f32x4.gt(b, a), f32x4.ne(a, a)), b, a);
  };
}
