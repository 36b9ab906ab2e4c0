/** Dropout, as a function and as a layer. */
import { aTensor, check, rate as aRate } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "./module.ts";
import { Module, requirePass } from "./module.ts";

/**
 * Sets a share `rate` of the elements of x to 0 while training, and multiplies the others with 1 / (1 - rate), so that the mean
 * stays. The mask follows from `pass.random` and the shape: give each use a key of its own, with `under(pass, name)`. In evaluation, and at a rate
 * of 0, it returns x itself. Srivastava et al. 2014. Throws for a rate outside [0, 1).
 */
export function dropout(x: Tensor, rate: number, pass: Pass): Tensor {
  check("dropout", "x", x, aTensor);
  check("dropout", "rate", rate, aRate);
  requirePass(pass);
  return pass.training && rate > 0 ? x.dropout(rate, pass.random) : x;
}

/** Applies `dropout` at a fixed rate. Two layers that get the same pass drop the same elements: see `dropout`. Srivastava et al. 2014. */
export class Dropout extends Module {
  /** The share of elements that are set to 0 while training. */
  readonly rate: number;

  /** Throws for a rate outside [0, 1). */
  constructor(rate: number) {
    super();
    check("Dropout", "rate", rate, aRate);
    this.rate = rate;
  }

  /** x of any shape -> the same shape. */
  forward(x: Tensor, pass: Pass): Tensor {
    return dropout(x, this.rate, pass);
  }
}
