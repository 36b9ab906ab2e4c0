/**
 * Uniform numbers from a 24-bit hash of the element's index: a Feistel network of four rounds on two halves of 12 bits. Every
 * intermediate is an integer below 2^24, so float32 devices compute the same bits, and the network is a permutation, so
 * no value is favoured: 2^24 indices give each 24-bit number once.
 */
import type { TypedArray } from "../backend.ts";

/** As many indices as there are 24-bit numbers. */
export const maxUniform = 2 ** 24;

/** `rounds` holds four pairs (m, a), m odd in 2049..4095 and a in 0..4095. */
export function uniform(out: TypedArray, rounds: readonly number[]): void {
  for (let i = 0; i < out.length; i++) {
    let left = i >>> 12;
    let right = i & 0xfff;
    for (let k = 0; k < 8; k += 2) {
      const mixed = (left + scramble(right, rounds[k], rounds[k + 1])) & 0xfff;
      left = right;
      right = mixed;
    }
    out[i] = (left * 4096 + right) / maxUniform;
  }
}

// 12 bits to 12 bits: the middle bits of a square, then the middle bits of a product. s^2 and t m stay below 2^24.
function scramble(half: number, m: number, a: number): number {
  const s = (half + a) & 0xfff;
  const t = (((s * s) >>> 5) + s) & 0xfff;
  return ((t * m) >>> 6) & 0xfff;
}
