/**
 * Randomness as a value. A key is a place in a tree of random streams; numbers are a pure function of key and element index, so
 * the same key gives the same numbers on every device, in any order, as often as asked. Nothing here has state.
 */

import { aCount, check, either, finite, text, whole } from "./arguments.ts";

const bits32 = whole(0, 2 ** 32 - 1);
const pathPart = either(text, finite());

/** Mixes 32 bits: the finalizer of MurmurHash3 (Appleby 2011). */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * A place in a tree of random streams: 64 bits. The same key gives the same numbers, on every device and as often as asked.
 * Make the root with `key(seed)`, and one key for each use with `at`. The constructor throws for halves that are not 32 bits.
 */
export class Key {
  /** The upper 32 bits. */
  readonly high: number;
  /** The lower 32 bits. */
  readonly low: number;

  constructor(high: number, low: number) {
    if (high >>> 0 !== high) check("Key", "high", high, bits32);
    if (low >>> 0 !== low) check("Key", "low", low, bits32);
    this.high = high;
    this.low = low;
  }

  /** The key at a path of names and finite numbers under this one: `key.at("blocks.3.dropout", step)`. */
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

  /** 32 random bits for each index, as a whole number below 2^32. Throws for an index that is no whole number from 0. */
  bits(index: number): number {
    if (!(index >= 0)) check("Key.bits", "index", index, aCount);
    const a = mix((this.low + Math.imul(index, 0x9e3779b1)) >>> 0);
    return mix(a ^ this.high ^ Math.imul(Math.floor(index / 2 ** 32), 0x85ebca77));
  }

  /** A number in [0, 1) with 32 random bits, one for each index. */
  number(index = 0): number {
    return this.bits(index) * 2 ** -32;
  }

  /** The 64 bits in hexadecimal. */
  toString(): string {
    return `key ${this.high.toString(16).padStart(8, "0")}${this.low.toString(16).padStart(8, "0")}`;
  }
}

/** The words that are mixed for a part of a path. The first says whether it is a name or a number, so "1" and 1 give different keys. */
function wordsOf(part: string | number): number[] {
  if (typeof part === "string") return [0x5354, part.length, ...Array.from(part, (char) => char.codePointAt(0) ?? 0)];
  if (!Number.isFinite(part)) check("Key.at", "path", part, pathPart);
  return [0x4e55, ...new Uint32Array(Float64Array.of(part).buffer)];
}

/** The root of the tree of keys that belongs to a seed: a finite number or a string. Throws for any other seed. */
export function key(seed: number | string): Key {
  check("key", "seed", seed, pathPart);
  return new Key(0x243f6a88, 0x85a308d3).at(seed);
}
