/**
 * Randomness as a value. A key is a place in a tree of random streams; numbers are a pure function of key and element index, so
 * the same key gives the same numbers on every device, in any order, as often as asked. Nothing here has state.
 */

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
export function requireKey(at: unknown): void {
  if (!(at instanceof Key))
    throw new TypeError(`random: ${String(at)} is not a key; make one with key(${typeof at === "number" ? at : 0})`);
}
