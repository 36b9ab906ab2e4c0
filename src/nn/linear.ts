/** D inputs, F outputs. */
import { formatShape } from "../autograd/contract.ts";
import { zeros } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import type { Cost, Init } from "./module.ts";
import { Module, beside, requireInit } from "./module.ts";

export interface LinearOptions extends Init {
  /** Default true. */
  readonly bias?: boolean;
  /** Of the weight; the bias starts at 0. Default: truncated normal of deviation sqrt(1 / D). */
  readonly initializer?: Initializer;
}

/** x [..., D] -> x W + b [..., F]. */
export class Linear extends Module {
  /** [D, F]: as experts [E, D, F] are, and the transpose of PyTorch's. */
  readonly weight: Tensor;
  /** [F] */
  readonly bias: Tensor | null;

  constructor(inputs: number, outputs: number, options: LinearOptions) {
    super();
    requireInit("Linear", options);
    const { bias = true, initializer = scaledTruncatedNormal(), random, dtype = "float32" } = options;
    this.weight = initializer([inputs, outputs], random.at("weight"), { dtype, requiresGrad: true });
    this.bias = bias ? zeros([outputs], { dtype, requiresGrad: true }) : null;
  }

  forward(x: Tensor): Tensor {
    const y = this.project(x);
    return this.bias ? y.add(beside(x, this.bias)) : y;
  }

  /** Without the bias, for those who add it in one pass with what follows. */
  project(x: Tensor): Tensor {
    const [inputs] = this.weight.shape;
    if (x.shape[x.shape.length - 1] !== inputs)
      throw new RangeError(
        `Linear: x ${formatShape(x.shape)} does not end in ${inputs}, the inputs of weight ${formatShape(this.weight.shape)}`,
      );
    return x.matmul(beside(x, this.weight));
  }

  override cost(length: number): Cost {
    return { active: super.cost(length).active, flops: 2 * this.weight.size };
  }
}
