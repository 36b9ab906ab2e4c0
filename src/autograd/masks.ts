/** Random numbers made on the device: masks and jitter in the shape of a tensor. */
import { aKey, check, rate as aRate, requireFloat, requireTensor } from "./arguments.ts";
import { noGrad } from "./context.ts";
import type { Key } from "./key.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** The four round constants of the 24-bit hash that every device computes alike: m odd in 2049..4095, a in 0..4095. */
function roundsOf(at: Key): number[] {
  return [0, 1, 2, 3].flatMap((round) => [2049 + 2 * (at.bits(2 * round) % 1024), at.bits(2 * round + 1) % 4096]);
}

/**
 * Draws numbers uniformly from [0, 1), 24 random bits each, on the device of `like`, of its shape and float dtype. Throws where `at` is no
 * key.
 */
export function uniformLike(like: Tensor, at: Key): Tensor {
  requireTensor("random.uniformLike", like, "like");
  requireFloat("random.uniformLike", like);
  check("random.uniformLike", "at", at, aKey);
  const { backend } = like;
  const type = { shape: like.shape, dtype: like.dtype };
  return like.wrap(type, new Storage(backend, backend.uniform(type, roundsOf(at))));
}

/**
 * A mask for dropout, of the shape and device of `like`: 0 for a share `rate` of the elements, 1 / (1 - rate) for the others. Throws for a
 * rate outside of 0 to below 1.
 */
export function uniformMask(like: Tensor, rate: number, at: Key): Tensor {
  check("random.uniformMask", "rate", rate, aRate);
  return noGrad(() =>
    uniformLike(like, at)
      .greaterEqual(rate)
      .mul(1 / (1 - rate)),
  );
}
