/**
 * First weights. The last two axes of a weight are [fanIn, fanOut]; axes before them count copies, so experts [E, D, F] are
 * drawn each by the fan-in of one expert, and differently.
 */
import type { Shape } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import type { CreateOptions } from "../autograd/create.ts";
import { full } from "../autograd/create.ts";
import type { Key } from "../autograd/random.ts";
import * as random from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** Makes the weight of a shape from a key: the same key, the same numbers. */
export type Initializer = (shape: Shape, at: Key, options?: CreateOptions) => Tensor;

/** [..., fanIn, fanOut]; an error for fewer than two axes. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2) throw new RangeError(`fan-in of ${formatShape(shape)}: a weight has the axes [..., fanIn, fanOut]`);
  return { fanIn: shape[shape.length - 2], fanOut: shape[shape.length - 1] };
}

/** `value` everywhere. */
export const constantInitializer =
  (value: number): Initializer =>
  (shape, _, options) =>
    full(shape, value, options);

/** Normal of mean 0. */
export const normal =
  (std: number): Initializer =>
  (shape, at, options) =>
    random.normal(shape, at, { ...options, std });

/** Normal, values beyond two deviations drawn again. */
export const truncatedNormal =
  (std: number): Initializer =>
  (shape, at, options) =>
    random.truncatedNormal(shape, at, { ...options, std });

/**
 * Truncated normal of deviation sqrt(scale / fanIn). Fedus et al. 2021, arXiv:2101.03961, section 2.4: scale 0.1 instead of the
 * usual 1.0 makes sparse models train stably. The deviation is that before truncation, as in their code.
 */
export const scaledTruncatedNormal =
  (scale = 1): Initializer =>
  (shape, at, options) =>
    random.truncatedNormal(shape, at, { ...options, std: Math.sqrt(scale / fans(shape).fanIn) });

/** Glorot & Bengio 2010, eq. 16: uniform within gain sqrt(6 / (fanIn + fanOut)). */
export const xavierUniform =
  (gain = 1): Initializer =>
  (shape, at, options) =>
    symmetric(shape, at, gain * Math.sqrt(6 / sum(shape)), options);

/** Glorot & Bengio 2010: normal of deviation gain sqrt(2 / (fanIn + fanOut)). */
export const xavierNormal =
  (gain = 1): Initializer =>
  (shape, at, options) =>
    random.normal(shape, at, { ...options, std: gain * Math.sqrt(2 / sum(shape)) });

/** He et al. 2015, arXiv:1502.01852, eq. 10: variance gain^2 / fanIn, gain sqrt(2) before a ReLU. */
export const kaimingUniform =
  (gain = Math.SQRT2): Initializer =>
  (shape, at, options) =>
    symmetric(shape, at, gain * Math.sqrt(3 / fans(shape).fanIn), options);

export const kaimingNormal =
  (gain = Math.SQRT2): Initializer =>
  (shape, at, options) =>
    random.normal(shape, at, { ...options, std: gain / Math.sqrt(fans(shape).fanIn) });

function sum(shape: Shape): number {
  const { fanIn, fanOut } = fans(shape);
  return fanIn + fanOut;
}

function symmetric(shape: Shape, at: Key, bound: number, options?: CreateOptions): Tensor {
  return random.uniform(shape, at, { ...options, low: -bound, high: bound });
}
