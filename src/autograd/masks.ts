/** Random numbers made on the device: masks and jitter in the shape of a tensor. */
import { aKey, check, rate as aRate, requireFloat, requireTensor } from "./arguments.ts";
import type { DType } from "../backend/backend.ts";
import { noGrad } from "./context.ts";
import type { Key } from "./key.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** The four round constants of the 24-bit hash that every device computes alike: m odd in 2049..4095, a in 0..4095. */
function roundsOf(at: Key): number[] {
  return [0, 1, 2, 3].flatMap((round) => [2049 + 2 * (at.bits(2 * round) % 1024), at.bits(2 * round + 1) % 4096]);
}

/**
 * Draws numbers uniformly from [0, 1) on the device of `like`, of its shape and float dtype: 24 random bits each, of bfloat16 8. Throws for an
 * int32 `like`, for an `at` that is no key, and for more than 2^24 elements.
 */
export function uniformLike(like: Tensor, at: Key): Tensor {
  requireTensor("random.uniformLike", like, "like");
  requireFloat("random.uniformLike", like);
  check("random.uniformLike", "at", at, aKey);
  if (like.dtype !== "bfloat16") return drawn(like, like.dtype, at);
  // Of the 24 bits the leading 8, which a bfloat16 holds: rounding the others would reach 1.
  return noGrad(() =>
    drawn(like, "float32", at)
      .mul(2 ** 8)
      .floor()
      .mul(2 ** -8)
      .cast("bfloat16"),
  );
}

function drawn(like: Tensor, dtype: DType, at: Key): Tensor {
  const { shape, backend } = like;
  return like.wrap({ shape, dtype }, new Storage(backend, backend.uniform({ shape, dtype }, roundsOf(at))));
}

/**
 * Draws a mask for dropout, of the shape, float dtype and device of `like`: each element is 0 with probability `rate`, else 1 / (1 - rate). Throws
 * for a rate outside of 0 to below 1, and as `uniformLike` does.
 */
export function uniformMask(like: Tensor, rate: number, at: Key): Tensor {
  check("random.uniformMask", "rate", rate, aRate);
  requireTensor("random.uniformMask", like, "like");
  requireFloat("random.uniformMask", like);
  check("random.uniformMask", "at", at, aKey);
  return noGrad(() =>
    drawn(like, like.dtype === "bfloat16" ? "float32" : like.dtype, at)
      .greaterEqual(rate)
      .mul(1 / (1 - rate))
      .cast(like.dtype),
  );
}
