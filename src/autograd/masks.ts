/** Random numbers made on the device: masks and jitter in the shape of a tensor. */
import { noGrad } from "./context.ts";
import type { Key } from "./key.ts";
import { requireKey } from "./key.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** The four round constants of the 24-bit hash that every device computes alike: m odd in 2049..4095, a in 0..4095. */
function roundsOf(at: Key): number[] {
  requireKey(at);
  return [0, 1, 2, 3].flatMap((round) => [2049 + 2 * (at.bits(2 * round) % 1024), at.bits(2 * round + 1) % 4096]);
}

/** Uniform in [0, 1) with 24 random bits, made on the device of `like`, in its shape and dtype. */
export function uniformLike(like: Tensor, at: Key): Tensor {
  const { backend } = like;
  const type = { shape: like.shape, dtype: like.dtype };
  return like.wrap(type, new Storage(backend, backend.uniform(type, roundsOf(at))));
}

/** 0 for a share `rate` of the elements, 1 / (1 - rate) for the others: made on the device. */
export function uniformMask(like: Tensor, rate: number, at: Key): Tensor {
  return noGrad(() =>
    uniformLike(like, at)
      .greaterEqual(rate)
      .mul(1 / (1 - rate)),
  );
}
