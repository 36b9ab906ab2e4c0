/**
 * Randomness as a value. A key is a place in a tree of random streams; numbers are a pure function of key and element index, so
 * the same key gives the same numbers on every device, in any order, as often as asked. Nothing here has state.
 */
import type { Shape } from "../backend/shape.ts";
import { sizeOf } from "../backend/shape.ts";
import type { CreateOptions } from "./create.ts";
import { checkShape, tensor } from "./create.ts";
import { noGrad } from "./context.ts";
import { Storage } from "./storage.ts";
import { Tensor } from "./tensor.ts";

/** Mixes 32 bits: the finalizer of MurmurHash3 (Appleby 2011). */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A place in the tree: 64 bits of it. */
export class Key {
  readonly high: number;
  readonly low: number;

  constructor(high: number, low: number) {
    this.high = high >>> 0;
    this.low = low >>> 0;
  }

  /** The key under this one named by the path: `key.at("blocks.3.dropout", step)`. */
  at(...path: readonly (string | number)[]): Key {
    let { high, low } = this;
    for (const part of path)
      for (const word of wordsOf(part)) {
        const mixed = mix(low ^ word);
        low = mix((high + Math.imul(mixed, 0x9e3779b1)) >>> 0);
        high = mix(mixed ^ Math.imul(high, 0x27d4eb2f) ^ 0x165667b1);
      }
    return new Key(high, low);
  }

  /** 32 random bits for each index. */
  bits(index: number): number {
    const a = mix((this.low + Math.imul(index, 0x9e3779b1)) >>> 0);
    return mix(a ^ this.high ^ Math.imul(Math.floor(index / 2 ** 32), 0x85ebca77));
  }

  /** A number in [0, 1) with 32 random bits for each index. */
  number(index = 0): number {
    return this.bits(index) * 2 ** -32;
  }

  toString(): string {
    return `key ${this.high.toString(16).padStart(8, "0")}${this.low.toString(16).padStart(8, "0")}`;
  }
}

/** Names and numbers never collide: each is led by its kind. */
function wordsOf(part: string | number): number[] {
  if (typeof part === "string") return [0x5354, part.length, ...Array.from(part, (char) => char.codePointAt(0) ?? 0)];
  if (!Number.isFinite(part)) throw new RangeError(`Key.at: ${part} is not a finite number`);
  return [0x4e55, ...new Uint32Array(Float64Array.of(part).buffer)];
}

/** The root of the tree that belongs to a seed. */
export function key(seed: number | string): Key {
  return new Key(0x243f6a88, 0x85a308d3).at(seed);
}

/** For JavaScript, where a seed or nothing may stand in a key's place. */
function requireKey(at: unknown): void {
  if (!(at instanceof Key))
    throw new TypeError(`random: ${String(at)} is not a key; make one with key(${typeof at === "number" ? at : 0})`);
}

function fill(shape: Shape, at: Key, draw: (i: number) => number, options: CreateOptions): Tensor {
  checkShape("random", shape);
  requireKey(at);
  return tensor(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => draw(i)),
    { dtype: "float32", ...options, shape },
  );
}

/** Uniform in [low, high). */
export function uniform(shape: Shape, at: Key, options: CreateOptions & { readonly low?: number; readonly high?: number } = {}): Tensor {
  const { low = 0, high = 1 } = options;
  return fill(shape, at, (i) => low + (high - low) * at.number(i), options);
}

/** One standard normal number per index. Box & Muller 1958. */
export function gaussian(at: Key, index: number): number {
  const radius = Math.sqrt(-2 * Math.log((at.bits(2 * index) + 0.5) * 2 ** -32));
  return radius * Math.cos(2 * Math.PI * at.number(2 * index + 1));
}

/** Normal with `mean` and `std`. */
export function normal(shape: Shape, at: Key, options: CreateOptions & { readonly mean?: number; readonly std?: number } = {}): Tensor {
  const { mean = 0, std = 1 } = options;
  return fill(shape, at, (i) => mean + std * gaussian(at, i), options);
}

/** Normal, with values beyond `bound` standard deviations drawn again. (The result's own deviation is 0.8796 std at 2.) */
export function truncatedNormal(
  shape: Shape,
  at: Key,
  options: CreateOptions & { readonly std?: number; readonly bound?: number } = {},
): Tensor {
  const { std = 1, bound = 2 } = options;
  const draw = (i: number): number => {
    for (let attempt = 0; ; attempt++) {
      const z = gaussian(attempt ? at.at("again", attempt) : at, i);
      if (Math.abs(z) <= bound) return std * z;
    }
  };
  return fill(shape, at, draw, options);
}

/** The four round constants of the 24-bit hash that every device computes alike: m odd in 2049..4095, a in 0..4095. */
function roundsOf(at: Key): number[] {
  requireKey(at);
  return [0, 1, 2, 3].flatMap((round) => [2049 + 2 * (at.bits(2 * round) % 1024), at.bits(2 * round + 1) % 4096]);
}

/** Uniform in [0, 1) with 24 random bits, made on the device of `like`, in its shape and dtype. */
export function uniformLike(like: Tensor, at: Key): Tensor {
  const { backend } = like;
  const type = { shape: like.shape, dtype: like.dtype };
  return new Tensor(type, new Storage(backend, backend.uniform(type, roundsOf(at))));
}

/** 0 for a share `rate` of the elements, 1 / (1 - rate) for the others: made on the device. */
export function uniformMask(like: Tensor, rate: number, at: Key): Tensor {
  return noGrad(() =>
    uniformLike(like, at)
      .greaterEqual(rate)
      .mul(1 / (1 - rate)),
  );
}
