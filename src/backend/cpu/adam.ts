/** One step of Adam. p parameter, g gradient, m and v its first and second moments. */
import type { AdamStep, TypedArray } from "../backend.ts";

type AdamNumbers = Pick<AdamStep, "lr" | "beta1" | "beta2" | "eps" | "correction1" | "correction2">;

/** Kingma and Ba 2015 (arXiv:1412.6980), algorithm 1, with the decoupled decay of Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2. */
export function adamStep(
  p: TypedArray,
  g: TypedArray,
  m: TypedArray,
  v: TypedArray,
  gradScale: number,
  weightDecay: number,
  n: AdamNumbers,
): void {
  const { lr, beta1, beta2, eps, correction1, correction2 } = n;
  for (let i = 0; i < p.length; i++) {
    const slope = g[i] * gradScale;
    const first = beta1 * m[i] + (1 - beta1) * slope;
    const second = beta2 * v[i] + (1 - beta2) * slope * slope;
    m[i] = first;
    v[i] = second;
    p[i] -= lr * (first / correction1 / (Math.sqrt(second / correction2) + eps) + weightDecay * p[i]);
  }
}
