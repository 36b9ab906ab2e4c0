/** Clipping gradients, on the device: nothing is read back. */
import { aTensor, check, describe, positive } from "../autograd/arguments.ts";
import type { Kind } from "../autograd/arguments.ts";
import { context, noGrad } from "../autograd/context.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import { Storage } from "../autograd/storage.ts";
import { Tensor } from "../autograd/tensor.ts";

/** p above 0 of (sum |g|^p)^(1/p): 1 sums magnitudes, 2 is the Euclidean length, Infinity the largest magnitude. */
export type NormType = number;

const aboveZero: Kind = { wanted: "a number above 0, or Infinity", accepts: (value) => value === Infinity || positive.accepts(value) };

/**
 * The norm of all gradients taken as one vector, a scalar of at least float32 on their device. `type` chooses the norm, 2 unless
 * another one is given. Throws where no parameter has a gradient.
 */
export function gradNorm(parameters: Iterable<Tensor>, type: NormType = 2): Tensor {
  check("gradNorm", "type", type, aboveZero);
  const gradients = listed("gradNorm", parameters).flatMap(({ grad }) => grad ?? []);
  if (gradients.length === 0) throw new RangeError("gradNorm: no parameter has a gradient; call backward first");
  return noGrad(() =>
    scope(() => {
      const kernel = type === 2 ? kernelOf(gradients) : undefined;
      if (kernel) return kernel(gradients).sqrt();
      const parts = gradients.map((g) => partOf(g.atLeast("float32"), type).reshape([1]));
      const widest = parts.some(({ dtype }) => dtype === "float64") ? "float64" : "float32";
      const all = concat(parts.map((part) => part.cast(widest)));
      if (type === Infinity) return all.max();
      return type === 2 ? all.sum().sqrt() : all.sum().pow(1 / type);
    }),
  );
}

/** The parameters as an array. */
function listed(where: string, parameters: Iterable<Tensor>): Tensor[] {
  const isIterable = typeof parameters === "object" && parameters !== null && Symbol.iterator in parameters;
  if (!isIterable) throw new TypeError(`${where}: parameters ${describe(parameters)}: want tensors, such as model.parameters()`);
  const all = [...parameters];
  for (const [i, parameter] of all.entries()) check(where, `parameter ${i}`, parameter, aTensor);
  return all;
}

/** The device's kernel for the sum of squares of many tensors, where it has one that fits. */
function kernelOf([first, ...rest]: readonly Tensor[]): ((xs: readonly Tensor[]) => Tensor) | undefined {
  const { backend } = first;
  const { sumOfSquares } = backend.fused;
  const same = [first, ...rest].every((g) => g.backend === backend && g.dtype === "float32");
  if (!sumOfSquares || !same || context().debug) return undefined;
  return (xs) => new Tensor({ shape: [], dtype: "float32" }, new Storage(backend, sumOfSquares(xs)));
}

function partOf(g: Tensor, type: NormType): Tensor {
  if (type === Infinity) return g.abs().max();
  return type === 2 ? g.square().sum() : g.abs().pow(type).sum();
}

/**
 * min(1, maxNorm / (norm + 1e-6)), a scalar. Passed to `step({ gradScale })`, it clips the gradients by their norm without changing `.grad`.
 * Pascanu et al. 2013, arXiv:1211.5063, algorithm 1. Throws unless `maxNorm` is above 0.
 */
export function clipScale(norm: Tensor, maxNorm: number): Tensor {
  check("clipScale", "norm", norm, aTensor);
  check("clipScale", "maxNorm", maxNorm, aboveZero);
  return noGrad(() => scope(() => norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1)));
}

/**
 * Scales all gradients in place so that their norm, taken as one vector, is at most `maxNorm`, and returns the norm before clipping, a scalar.
 * Semantics of torch.nn.utils.clip_grad_norm_. Throws where no parameter has a gradient, and for a maxNorm of 0 or less. Pascanu et al. 2013,
 * arXiv:1211.5063, algorithm 1.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number, type: NormType = 2): Tensor {
  check("clipGradNorm", "maxNorm", maxNorm, aboveZero);
  const all = listed("clipGradNorm", parameters);
  const norm = gradNorm(all, type);
  noGrad(() =>
    scope(() => {
      const scale = clipScale(norm, maxNorm);
      for (const { grad } of all) grad?.assign(grad.mul(scale.cast(grad.dtype)));
    }),
  );
  return norm;
}

/** Limits every element of all gradients to [-bound, bound], in place. Throws for a bound of 0 or less. */
export function clipGradValue(parameters: Iterable<Tensor>, bound: number): void {
  check("clipGradValue", "bound", bound, aboveZero);
  const all = listed("clipGradValue", parameters);
  noGrad(() =>
    scope(() => {
      for (const { grad } of all) grad?.assign(grad.clamp(-bound, bound));
    }),
  );
}
