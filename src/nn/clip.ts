/** Clipping gradients, on the device: nothing is read back. By their common norm: Pascanu et al. 2012, arXiv:1211.5063, algorithm 1. */
import { context, noGrad } from "../autograd/context.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import { Storage } from "../autograd/storage.ts";
import { Tensor } from "../autograd/tensor.ts";

/** p above 0 of (sum |g|^p)^(1/p): 1 sums magnitudes, 2 is the Euclidean length, Infinity the largest magnitude. */
export type NormType = number;

/** The norm of all gradients as one vector. An error where no parameter has a gradient. */
export function gradNorm(parameters: Iterable<Tensor>, type: NormType = 2): Tensor {
  if (!(type > 0)) throw new RangeError(`gradNorm: a norm of type ${type}: want a number above 0`);
  const gradients = [...parameters].flatMap(({ grad }) => grad ?? []);
  if (gradients.length === 0) throw new RangeError("gradNorm: no parameter has a gradient; call backward first");
  return noGrad(() =>
    scope(() => {
      const kernel = type === 2 ? kernelOf(gradients) : undefined;
      if (kernel) return kernel(gradients).sqrt();
      const parts = gradients.map((g) => partOf(g.atLeast("float32"), type).reshape([1]));
      const all = concat(parts);
      if (type === Infinity) return all.max();
      if (type === 2) return all.sum().sqrt();
      return type === 1 ? all.sum() : all.sum().pow(1 / type);
    }),
  );
}

/** The device's own sum of squares of everything at once, where it has one. */
function kernelOf([first, ...rest]: readonly Tensor[]): ((xs: readonly Tensor[]) => Tensor) | undefined {
  const { backend } = first;
  const { sumOfSquares } = backend.fused;
  const same = [first, ...rest].every((g) => g.backend === backend && g.dtype === "float32");
  if (!sumOfSquares || !same || context().debug) return undefined;
  return (xs) => new Tensor({ shape: [], dtype: "float32" }, new Storage(backend, sumOfSquares(xs)));
}

function partOf(g: Tensor, type: NormType): Tensor {
  if (type === Infinity) return g.abs().max();
  if (type === 2) return g.square().sum();
  return type === 1 ? g.abs().sum() : g.abs().pow(type).sum();
}

/** min(1, maxNorm / (norm + 1e-6)): what `step({ gradScale })` multiplies every gradient with. */
export function clipScale(norm: Tensor, maxNorm: number): Tensor {
  if (!(maxNorm > 0)) throw new RangeError(`clipScale: maxNorm ${maxNorm} is not above 0`);
  return noGrad(() => scope(() => norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1)));
}

/** Scales all gradients so that their norm is at most `maxNorm`, and answers with the norm before. */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number, type: NormType = 2): Tensor {
  const all = [...parameters];
  const norm = gradNorm(all, type);
  noGrad(() =>
    scope(() => {
      const scale = clipScale(norm, maxNorm);
      for (const { grad } of all) grad?.assign(grad.mul(scale.cast(grad.dtype)));
    }),
  );
  return norm;
}

/** Brings every element of all gradients into [-bound, bound]. */
export function clipGradValue(parameters: Iterable<Tensor>, bound: number): void {
  if (!(bound > 0)) throw new RangeError(`clipGradValue: bound ${bound} is not above 0`);
  noGrad(() =>
    scope(() => {
      for (const { grad } of parameters) grad?.assign(grad.clamp(-bound, bound));
    }),
  );
}
