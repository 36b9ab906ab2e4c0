/**
 * Initial weights. The last two axes of a weight are [fanIn, fanOut]; axes before them count copies. So experts [E, D, F] are drawn by the fan-in
 * D of one expert, and each expert gets numbers of its own.
 */
import { aKey, aShape, check, finite, number } from "../autograd/arguments.ts";
import type { Kind } from "../autograd/arguments.ts";
import type { Shape } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { full } from "../autograd/create.ts";
import type { DrawOptions, Key } from "../autograd/random.ts";
import * as random from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** Makes a weight of a shape from a key; the same key gives the same numbers. */
export type Initializer = (shape: Shape, at: Key, options?: DrawOptions) => Tensor;

/** The numbers of inputs and outputs of a weight [..., fanIn, fanOut]. Throws for fewer than two axes. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  check("initializers.fans", "shape", shape, aShape);
  if (shape.length < 2) throw new RangeError(`fan-in of ${formatShape(shape)}: a weight has the axes [..., fanIn, fanOut]`);
  return { fanIn: shape[shape.length - 2], fanOut: shape[shape.length - 1] };
}

/** Sets every element to `value`. */
export function constantInitializer(value: number): Initializer {
  return initializer("constantInitializer", "value", value, number, (shape, _, { first: _first, ...options } = {}) =>
    full(shape, value, options),
  );
}

/** Draws from the normal distribution of mean 0 and deviation `std`. */
export function normal(std: number): Initializer {
  return initializer("normal", "std", std, size, (shape, at, options) => random.normal(shape, at, { ...options, std }));
}

/** Draws from the normal distribution of mean 0 and deviation `std`; values beyond two deviations are drawn again. */
export function truncatedNormal(std: number): Initializer {
  return initializer("truncatedNormal", "std", std, size, (shape, at, options) => random.truncatedNormal(shape, at, { ...options, std }));
}

/**
 * Draws from a truncated normal distribution of deviation sqrt(scale / fanIn); `scale` is 1 by default. Fedus et al. 2021, arXiv:2101.03961,
 * section 2.4: with scale 0.1 sparse models train stably. The deviation is that before truncation, as in their code; after it, it is 0.88 of
 * that.
 */
export function scaledTruncatedNormal(scale = 1): Initializer {
  return initializer("scaledTruncatedNormal", "scale", scale, size, (shape, at, options) =>
    random.truncatedNormal(shape, at, { ...options, std: Math.sqrt(scale / fans(shape).fanIn) }),
  );
}

/** Draws uniformly from -b to b, b = gain sqrt(6 / (fanIn + fanOut)); `gain` is 1 by default. Glorot & Bengio 2010, eq. 16. */
export function xavierUniform(gain = 1): Initializer {
  return initializer("xavierUniform", "gain", gain, size, (shape, at, options) =>
    symmetric(shape, at, gain * Math.sqrt(6 / sum(shape)), options),
  );
}

/** Draws from the normal distribution of deviation gain sqrt(2 / (fanIn + fanOut)); `gain` is 1 by default. Glorot & Bengio 2010. */
export function xavierNormal(gain = 1): Initializer {
  return initializer("xavierNormal", "gain", gain, size, (shape, at, options) =>
    random.normal(shape, at, { ...options, std: gain * Math.sqrt(2 / sum(shape)) }),
  );
}

/**
 * Draws uniformly from -b to b with variance gain^2 / fanIn, b = gain sqrt(3 / fanIn); `gain` is by default sqrt(2), that of a ReLU. He et al. 2015,
 * arXiv:1502.01852, eq. 10.
 */
export function kaimingUniform(gain = Math.SQRT2): Initializer {
  return initializer("kaimingUniform", "gain", gain, size, (shape, at, options) =>
    symmetric(shape, at, gain * Math.sqrt(3 / fans(shape).fanIn), options),
  );
}

/** Draws from the normal distribution of variance gain^2 / fanIn; `gain` as in `kaimingUniform`. He et al. 2015, arXiv:1502.01852, eq. 10. */
export function kaimingNormal(gain = Math.SQRT2): Initializer {
  return initializer("kaimingNormal", "gain", gain, size, (shape, at, options) =>
    random.normal(shape, at, { ...options, std: gain / Math.sqrt(fans(shape).fanIn) }),
  );
}

const size: Kind = finite(0);

/** An initializer that checks what it is made with, and what it is called with. */
function initializer(name: string, argument: string, value: number, kind: Kind, make: Initializer): Initializer {
  const where = `initializers.${name}`;
  check(where, argument, value, kind);
  return (shape, at, options) => {
    check(where, "shape", shape, aShape);
    check(where, "at", at, aKey);
    return make(shape, at, options);
  };
}

function sum(shape: Shape): number {
  const { fanIn, fanOut } = fans(shape);
  return fanIn + fanOut;
}

function symmetric(shape: Shape, at: Key, bound: number, options?: DrawOptions): Tensor {
  return random.uniform(shape, at, { ...options, low: -bound, high: bound });
}
