/** Bias and activation in one pass, and its cotangent. z = x + bias. */
import { normalCdf } from "../specialFunctions.ts";
import { binary } from "./elementwise.ts";
import { contiguous, copy } from "./movement.ts";
import type { Strided } from "./strided.ts";
import type { Activation, TypedArray } from "../backend.ts";

const densityAtZero = 1 / Math.sqrt(2 * Math.PI);

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

/** GELU by tanh, Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2: z sigmoid(2 u) with u = sqrt(2 / pi) (z + 0.044715 z^3). */
const tanhScale = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

function geluTanhGate(z: number): number {
  return sigmoid(2 * tanhScale * (z + cubic * z * z * z));
}

/** z -> activation(z), in place. */
// prettier-ignore
const activations: Record<Activation, (z: TypedArray) => void> = {
  relu: (z) => { for (let i = 0; i < z.length; i++) z[i] = Math.max(z[i], 0); },
  gelu: (z) => { for (let i = 0; i < z.length; i++) z[i] *= normalCdf(z[i]); },
  geluTanh: (z) => { for (let i = 0; i < z.length; i++) z[i] *= geluTanhGate(z[i]); },
  silu: (z) => { for (let i = 0; i < z.length; i++) z[i] *= sigmoid(z[i]); },
};

/** z -> g activation'(z), in place. */
// prettier-ignore
const cotangents: Record<Activation, (z: TypedArray, g: TypedArray) => void> = {
  relu: (z, g) => { for (let i = 0; i < z.length; i++) z[i] = z[i] > 0 ? g[i] : 0; },
  gelu: (z, g) => { for (let i = 0; i < z.length; i++) z[i] = g[i] * (normalCdf(z[i]) + z[i] * densityAtZero * Math.exp(-0.5 * z[i] * z[i])); },
  geluTanh: (z, g) => {
    for (let i = 0; i < z.length; i++) {
      const gate = geluTanhGate(z[i]);
      const slope = 2 * tanhScale * (1 + 3 * cubic * z[i] * z[i]);
      z[i] = g[i] * (gate + z[i] * gate * (1 - gate) * slope);
    }
  },
  silu: (z, g) => {
    for (let i = 0; i < z.length; i++) {
      const gate = sigmoid(z[i]);
      z[i] = g[i] * gate * (1 + z[i] * (1 - gate));
    }
  },
};

function addBias(z: TypedArray, x: Strided, bias: Strided | undefined): void {
  if (bias) binary("add", z, x.shape, x, bias);
  else copy(z, x);
}

export function biasActivation(out: TypedArray, x: Strided, bias: Strided | undefined, activation: Activation): void {
  addBias(out, x, bias);
  activations[activation](out);
}

/** The cotangent of x; that of the bias is its sum over the stretched axes. */
export function biasActivationCotangent(out: TypedArray, g: Strided, x: Strided, bias: Strided | undefined, activation: Activation): void {
  addBias(out, x, bias);
  cotangents[activation](out, contiguous(g));
}
