/** What the tests of layers share: passes, float64 numbers from a seed, and comparisons that say where they fail. */
import { expect } from "chai";
import { key, random } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { Pass } from "switchyard-moe/nn";

export const evaluating: Pass = { training: false, random: key("evaluating") };

export function training(seed: number): Pass {
  return { training: true, random: key(seed) };
}

/** float64 numbers around 0. */
export function drawn(shape: readonly number[], seed: number | string): Tensor {
  return random.normal(shape, key(seed), { dtype: "float64" });
}

/** Equal shapes, and numbers within `tolerance` of their size. */
export function expectClose(actual: Tensor, wanted: Tensor, tolerance = 1e-9): void {
  expect([...actual.shape]).to.deep.equal([...wanted.shape]);
  const [a, b] = [actual.dataSync(), wanted.dataSync()];
  for (let i = 0; i < a.length; i++)
    if (!(Math.abs(a[i] - b[i]) <= tolerance * (1 + Math.abs(b[i])))) expect.fail(`element ${i} is ${a[i]}, wanted ${b[i]}`);
}

/** The largest distance between two tensors. */
export function distance(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().max().itemSync();
}
