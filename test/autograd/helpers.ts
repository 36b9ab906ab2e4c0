/** Short words for the suites of autograd. Everything is read with await, so that they run on devices that take their time. */
import { expect } from "chai";
import { tensor } from "switchyard-moe";
import type { Nested, Tensor } from "switchyard-moe";

export const f64 = (data: Nested): Tensor => tensor(data, { dtype: "float64" });
export const f32 = (data: Nested): Tensor => tensor(data, { dtype: "float32" });
export const bf16 = (data: Nested): Tensor => tensor(data, { dtype: "bfloat16" });
export const int = (data: Nested): Tensor => tensor(data, { dtype: "int32" });
export const leaf = (data: Nested): Tensor => f64(data).requireGrad();

/** The elements in row-major order. */
export async function valuesOf(x: Tensor): Promise<number[]> {
  return Array.from(await x.data());
}

/** The gradient at `data` of the sum of f. */
export function slope(f: (x: Tensor) => Tensor, data: Nested): Tensor {
  const x = leaf(data);
  return f(x).sum().gradients([x])[0];
}

/** Elements equal, NaN with NaN; zeros of either sign alike. */
export function same(got: readonly number[], want: readonly number[], what = ""): void {
  const plain = (list: readonly number[]): (number | string)[] => list.map((x) => (Number.isNaN(x) ? "NaN" : x + 0));
  expect(plain(got), what).to.deep.equal(plain(want));
}

/** Elements as near as `tolerance` says, relative to the larger of them and 1. */
export function near(got: readonly number[], want: readonly number[], tolerance = 1e-12, what = ""): void {
  expect(got.length, `${what} length`).to.equal(want.length);
  want.forEach((w, i) => {
    const agrees = Number.isFinite(w) ? Math.abs(got[i] - w) <= tolerance * Math.max(1, Math.abs(w)) : Object.is(got[i], w);
    if (!agrees) expect.fail(`${what}[${i}]: got ${got[i]}, want ${w}`);
  });
}
