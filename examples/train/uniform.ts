/** Randomness as a value: the number in [0, 1) that belongs to an index. Any pure function will do, a key of the library too. */
export type Uniform = (index: number) => number;

/**
 * Numbers from a seed: the 32-bit finaliser of MurmurHash3 (Appleby 2011, public domain), once over the seed and once over
 * the index, so that neighbouring seeds share nothing.
 */
export function seeded(seed: number): Uniform {
  const start = mix(seed ^ 0x9e3779b9);
  return (index) => (mix(start + Math.imul(index + 1, 0x9e3779b9)) >>> 0) / 2 ** 32;
}

function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The numbers of a key one after the other. */
export function draws(uniform: Uniform): () => number {
  let index = 0;
  return () => uniform(index++);
}

/** A copy in random order, every order equally likely. Fisher and Yates 1938. */
export function shuffled<T>(values: Iterable<T>, draw: () => number): T[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
