/** Random tensors, made on the host from a key: the same numbers on every device. */
import type { Shape } from "../backend/shape.ts";
import { sizeOf } from "../backend/shape.ts";
import { checkShape } from "./arguments.ts";
import { context, noGrad, within } from "./context.ts";
import type { CreateOptions } from "./create.ts";
import { tensor, zeros } from "./create.ts";
import type { Key } from "./key.ts";
import { requireKey } from "./key.ts";
import type { Tensor } from "./tensor.ts";

export { Key, key } from "./key.ts";
export { uniformLike, uniformMask } from "./masks.ts";

export interface DrawOptions extends CreateOptions {
  /** Index of the first element: a part of a larger tensor has the numbers it would have in the whole. Default 0. */
  readonly first?: number;
}

function fill(shape: Shape, at: Key, draw: (i: number) => number, { first = 0, ...options }: DrawOptions): Tensor {
  checkShape("random", shape);
  requireKey(at);
  if (!context().drawing) return blank(shape, options);
  return tensor(
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => draw(first + i)),
    { dtype: "float32", ...options, shape },
  );
}

/**
 * Random tensors made by `fn` are zeros that take no room: one number, stretched. For models whose weights come from a file; drawing
 * hundreds of millions of first weights takes longer than reading them.
 */
export function withoutDrawing<T>(fn: () => T): T {
  return within({ drawing: false }, fn, "withoutDrawing");
}

function blank(shape: Shape, { requiresGrad = false, ...options }: CreateOptions): Tensor {
  const zero = zeros([], options);
  const stretched = noGrad(() => zero.broadcastTo(shape));
  if (shape.length > 0) zero.dispose();
  return requiresGrad ? stretched.requireGrad() : stretched;
}

/** Uniform in [low, high). */
export function uniform(shape: Shape, at: Key, options: DrawOptions & { readonly low?: number; readonly high?: number } = {}): Tensor {
  const { low = 0, high = 1 } = options;
  return fill(shape, at, (i) => low + (high - low) * at.number(i), options);
}

/** One standard normal number per index. Box & Muller 1958. */
export function gaussian(at: Key, index: number): number {
  const radius = Math.sqrt(-2 * Math.log((at.bits(2 * index) + 0.5) * 2 ** -32));
  return radius * Math.cos(2 * Math.PI * at.number(2 * index + 1));
}

/** Normal with `mean` and `std`. */
export function normal(shape: Shape, at: Key, options: DrawOptions & { readonly mean?: number; readonly std?: number } = {}): Tensor {
  const { mean = 0, std = 1 } = options;
  return fill(shape, at, (i) => mean + std * gaussian(at, i), options);
}

/** Normal, with values beyond `bound` standard deviations drawn again. (The result's own deviation is 0.8796 std at 2.) */
export function truncatedNormal(
  shape: Shape,
  at: Key,
  options: DrawOptions & { readonly std?: number; readonly bound?: number } = {},
): Tensor {
  const { std = 1, bound = 2 } = options;
  const draw = (i: number): number => {
    for (let attempt = 0; ; attempt++) {
      const z = gaussian(attempt ? at.at("again", attempt) : at, i);
      if (Math.abs(z) <= bound) return std * z;
    }
  };
  return fill(shape, at, draw, options);
}
