/** Srivastava et al. 2014: zeroes a share of the elements while training and scales the rest, so that the mean stays. */
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "./module.ts";
import { Module, requirePass } from "./module.ts";

/** x in evaluation; while training, x with a share `rate` of its elements at 0 and the others times 1 / (1 - rate). */
export function dropout(x: Tensor, rate: number, pass: Pass): Tensor {
  requirePass(pass);
  return pass.training && rate > 0 ? x.dropout(rate, pass.random) : x;
}

/** `dropout` at a fixed rate in [0, 1). */
export class Dropout extends Module {
  readonly rate: number;

  constructor(rate: number) {
    super();
    if (!(rate >= 0 && rate < 1)) throw new RangeError(`Dropout: rate ${rate} is not in [0, 1)`);
    this.rate = rate;
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return dropout(x, this.rate, pass);
  }
}
