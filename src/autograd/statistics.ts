/** Statistics of axes: extremes, products, means, variances and norms. */
import { apply, widened } from "./apply.ts";
import { finite, flag, optional, requireFloat, requireSome } from "./arguments.ts";
import type { Kinds } from "./arguments.ts";
import { axesOf, axisOf, keeping, reducedCount, shapeAfter } from "./axes.ts";
import { concat, where } from "./operations.ts";
import { argReduce, extremum } from "./reductions.ts";
import type { ReduceOptions, Tensor } from "./tensor.ts";

type Axes = number | readonly number[] | undefined;

export function extreme(op: "max" | "min", x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  if (typeof axes !== "number") {
    const list = axesOf(op, axes, x);
    const out = widened(op, [x], (y) => apply(extremum(op, list), y));
    return keepDims ? out.reshape(keeping(x.shape, list)) : out;
  }
  const axis = axisOf(op, axes, x);
  requireSome(op, x, [axis]);
  const best = widened(op, [x], (y) => apply(argReduce(op === "max" ? "argmax" : "argmin", axis), y));
  const out = x.takeAlong(best.unsqueeze(axis), axis);
  return keepDims ? out : out.squeeze(axis);
}

/** A tree of pairwise products, so that derivatives of every order are exact where factors are 0. */
export function prod(x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  const list = axesOf("prod", axes, x);
  const rest = x.shape.flatMap((_, axis) => (list.includes(axis) ? [] : [axis]));
  return widened("prod", [x], (y) => {
    let factors = y.permute([...list, ...rest]).reshape([reducedCount(x, list), ...rest.map((axis) => x.shape[axis])]);
    if (factors.shape[0] === 0)
      return factors
        .sum(0)
        .add(1)
        .reshape(shapeAfter(x, list, keepDims));
    while (factors.shape[0] > 1) {
      const n = factors.shape[0];
      const half = n >> 1;
      const pairs = factors.narrow(0, 0, half).mul(factors.narrow(0, half, 2 * half));
      factors = n % 2 ? concat([pairs, factors.narrow(0, n - 1, n)]) : pairs;
    }
    return factors.reshape(shapeAfter(x, list, keepDims));
  });
}

export function mean(x: Tensor, axes: Axes, options?: ReduceOptions): Tensor {
  requireFloat("mean", x);
  const list = axesOf("mean", axes, x);
  requireSome("mean", x, list);
  return widened("mean", [x], (y) => y.sum(list, options).mul(1 / reducedCount(x, list)));
}

/** x less its mean over `axes`. Why twice: a mean of 1e7 in float32 is off by up to a half, which may be more than the deviation. */
export function centred(x: Tensor, axes: Axes): Tensor {
  const near = x.sub(mean(x, axes, { keepDims: true }));
  return near.sub(mean(near, axes, { keepDims: true }));
}

/** What a variance divides by, and which axes it leaves. */
export interface VarianceOptions extends ReduceOptions {
  /** Taken off the count: 0 for the population (default), 1 for a sample. */
  readonly correction?: number;
}

export const varianceKinds: Kinds<VarianceOptions> = { keepDims: optional(flag), correction: optional(finite()) };

export function variance(x: Tensor, axes: Axes, { correction = 0, keepDims = false }: VarianceOptions = {}): Tensor {
  requireFloat("variance", x);
  const list = axesOf("variance", axes, x);
  requireSome("variance", x, list);
  const count = reducedCount(x, list) - correction;
  if (!(count > 0))
    throw new RangeError(`variance: ${reducedCount(x, list)} elements less a correction of ${correction} leave nothing to divide by`);
  return widened("variance", [x], (y) =>
    centred(y, list)
      .square()
      .sum(list, { keepDims })
      .mul(1 / count),
  );
}

export function std(x: Tensor, axes: Axes, options?: VarianceOptions): Tensor {
  return widened("std", [x], (y) => rootOrZero(variance(y, axes, options)));
}

export function norm(x: Tensor, axes: Axes, options?: ReduceOptions): Tensor {
  requireFloat("norm", x);
  return widened("norm", [x], (y) => rootOrZero(y.square().sum(axes, options)));
}

/** sqrt whose gradient at 0 is 0: the root is only taken where it is smooth. */
function rootOrZero(x: Tensor): Tensor {
  const zero = x.equal(0);
  return where(zero, 0, where(zero, 1, x).sqrt());
}
