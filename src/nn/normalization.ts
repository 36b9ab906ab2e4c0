/** Normalisation over the last axes. D width. */
import { aFloatDtype, aTensor, check, checkOptions, either, finite, listOf, optional, whole } from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";
import type { Shape } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { ones, zeros } from "../autograd/create.ts";
import type { Fused } from "../autograd/fused.ts";
import { widened } from "../autograd/apply.ts";
import { requireFloat, requireSameDtype } from "../autograd/arguments.ts";
import { applyFused } from "../autograd/fused.ts";
import { inShape } from "../autograd/shaping.ts";
import { centred } from "../autograd/statistics.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Init } from "./module.ts";
import { Module, inDtypeOf } from "./module.ts";

const layerNormFused: Fused<"layerNorm"> = {
  name: "layerNorm",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose: ({ eps }, x, weight, bias) => standardize(x, eps).mul(weight).add(bias),
};

const rmsNormFused: Fused<"rmsNorm"> = {
  name: "rmsNorm",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose: ({ eps }, x, weight) => x.mul(x.square().mean(-1, { keepDims: true }).add(eps).rsqrt()).mul(weight),
};

function standardize(x: Tensor, eps: number): Tensor {
  const around = centred(x, -1);
  return around.mul(around.square().mean(-1, { keepDims: true }).add(eps).rsqrt());
}

const anEps: Kind = finite(0);

/**
 * Layer normalisation: (x - mean) / sqrt(variance + eps) * weight + bias over the last axes, as many as `weight` and `bias` have; without them
 * over the last axis. Ba, Kiros & Hinton 2016, arXiv:1607.06450, eq. 4. Throws where they do not fit x or one another.
 */
export function layerNorm(x: Tensor, weight?: Tensor, bias?: Tensor, eps = 1e-5): Tensor {
  check("layerNorm", "x", x, aTensor);
  check("layerNorm", "weight", weight, optional(aTensor));
  check("layerNorm", "bias", bias, optional(aTensor));
  check("layerNorm", "eps", eps, anEps);
  requireFloat("layerNorm", x);
  if (x.shape.length === 0) throw new RangeError("layerNorm: x is a scalar, which has no last axis");
  if (weight) checkTail("layerNorm", "weight", x, weight);
  if (bias) checkTail("layerNorm", "bias", x, bias);
  if (weight && bias && !sameShape(weight.shape, bias.shape))
    throw new RangeError(`layerNorm: weight ${formatShape(weight.shape)} and bias ${formatShape(bias.shape)} differ`);
  if (!weight || !bias) {
    const span = weight ?? bias;
    return widened("layerNorm", [x, ...(span ? [span] : [])], (y, given) => {
      const z = standardize(flat(y, given), eps).reshape(y.shape);
      return weight ? z.mul(given) : bias ? z.add(given) : z;
    });
  }
  return widened("layerNorm", [x, weight, bias], (y, w, b) =>
    inShape(applyFused(layerNormFused, { eps }, flat(y, w), inShape(w, [w.size]), inShape(b, [b.size])), y.shape),
  );
}

/** x with the axes that the weight spans joined to one. */
function flat(x: Tensor, weight?: Tensor): Tensor {
  if (!weight || weight.shape.length === 1) return x;
  return x.reshape([...x.shape.slice(0, x.shape.length - weight.shape.length), weight.size]);
}

/**
 * Root-mean-square normalisation: x / sqrt(mean(x^2) + eps) * weight over the last axis; weight [D]. Zhang & Sennrich 2019,
 * arXiv:1910.07467, eq. 4. Throws where the weight is not as long as that axis.
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps = 1e-6): Tensor {
  check("rmsNorm", "x", x, aTensor);
  check("rmsNorm", "weight", weight, aTensor);
  check("rmsNorm", "eps", eps, anEps);
  requireFloat("rmsNorm", x);
  checkTail("rmsNorm", "weight", x, weight);
  if (weight.shape.length !== 1) throw new RangeError(`rmsNorm: weight ${formatShape(weight.shape)} is more than the last axis`);
  return widened("rmsNorm", [x, weight], (y, w) => applyFused(rmsNormFused, { eps }, y, w));
}

function checkTail(operation: string, what: string, x: Tensor, given: Tensor): void {
  requireSameDtype(operation, x, given);
  const axes = given.shape.length;
  if (axes === 0 || !sameShape(x.shape.slice(-axes), given.shape))
    throw new RangeError(`${operation}: ${what} ${formatShape(given.shape)} does not fit the last axes of ${formatShape(x.shape)}`);
}

/** Options of `LayerNorm` and `RMSNorm`. */
export interface NormOptions extends Omit<Init, "random"> {
  /** Added to the variance, or the mean square, before the root. Default 1e-5 in `LayerNorm`, 1e-6 in `RMSNorm`. */
  readonly eps?: number;
}

const kinds: Kinds<NormOptions> = { eps: optional(anEps), dtype: optional(aFloatDtype) };

/**
 * Applies `layerNorm` with a weight and a bias that are learned. The constructor throws for a width that is no whole number from 1. Ba et
 * al. 2016, arXiv:1607.06450.
 */
export class LayerNorm extends Module {
  /** [D], 1 at the start. */
  readonly weight: Tensor;
  /** [D], 0 at the start. */
  readonly bias: Tensor;
  readonly eps: number;

  /** `width`: the size of the last axis, or the sizes of several. eps is 1e-5 unless another one is given. */
  constructor(width: number | Shape, options: NormOptions = {}) {
    super();
    check("LayerNorm", "width", width, either(whole(1), listOf(whole(1))));
    checkOptions("LayerNorm", options, kinds);
    const { eps = 1e-5, dtype = "float32" } = options;
    const shape = typeof width === "number" ? [width] : width;
    this.weight = ones(shape, { dtype, requiresGrad: true });
    this.bias = zeros(shape, { dtype, requiresGrad: true });
    this.eps = eps;
  }

  /** x [..., D] -> [..., D]. Throws where x does not end in the width. */
  forward(x: Tensor): Tensor {
    check("LayerNorm", "x", x, aTensor);
    return layerNorm(x, inDtypeOf(x, this.weight), inDtypeOf(x, this.bias), this.eps);
  }
}

/**
 * Applies `rmsNorm` with a weight that is learned: the normalisation of T5 and of the Switch Transformer, without mean and bias. The
 * constructor throws for a width that is no whole number from 1. Zhang & Sennrich 2019, arXiv:1910.07467.
 */
export class RMSNorm extends Module {
  /** [D], 1 at the start. */
  readonly weight: Tensor;
  readonly eps: number;

  /** `width`: the size of the last axis. eps is 1e-6 unless another one is given. */
  constructor(width: number, options: NormOptions = {}) {
    super();
    check("RMSNorm", "width", width, whole(1));
    checkOptions("RMSNorm", options, kinds);
    const { eps = 1e-6, dtype = "float32" } = options;
    this.weight = ones([width], { dtype, requiresGrad: true });
    this.eps = eps;
  }

  /** x [..., D] -> [..., D]. Throws where x does not end in the width. */
  forward(x: Tensor): Tensor {
    check("RMSNorm", "x", x, aTensor);
    return rmsNorm(x, inDtypeOf(x, this.weight), this.eps);
  }
}
