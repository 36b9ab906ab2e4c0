/** Linear maps. D inputs, F outputs. */
import {
  aFloatDtype,
  aKey,
  aTensor,
  callable,
  check,
  checkOptions,
  flag,
  optional,
  requireFloat,
  requireSameDtype,
  whole,
} from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { formatShape } from "../autograd/contract.ts";
import { zeros } from "../autograd/create.ts";
import type { Fused } from "../autograd/fused.ts";
import { applyFused } from "../autograd/fused.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import type { Cost, Init } from "./module.ts";
import { Module, inDtypeOf } from "./module.ts";

/** How a Linear is made. */
export interface LinearOptions extends Init {
  /** Default true. */
  readonly bias?: boolean;
  /** Of the weight; the bias starts at 0. Default: truncated normal of deviation sqrt(1 / D). */
  readonly initializer?: Initializer;
}

const kinds: Kinds<LinearOptions> = {
  random: aKey,
  dtype: optional(aFloatDtype),
  bias: optional(flag),
  initializer: optional(callable),
};

const linearFused: Fused<"linear"> = {
  name: "linear",
  type: (_, { shape, dtype }, weight) => ({ shape: shape.with(-1, weight.shape[1]), dtype }),
  compose: (_, x, weight, bias) => (bias ? x.matmul(weight).add(bias) : x.matmul(weight)),
};

/**
 * x weight + bias: x [..., D], weight [D, F], bias [F] -> [..., F], all of one dtype. Where the device has a kernel for it, the bias is added in
 * place, so one array is kept instead of two. bfloat16 is rounded after the product and after the sum.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  requireFloat("linear", x);
  for (const given of [weight, bias]) if (given) requireSameDtype("linear", x, given);
  const inputs = bias ? [x, weight, bias] : [x, weight];
  return x.dtype === "bfloat16" ? linearFused.compose(null, ...inputs) : applyFused(linearFused, null, ...inputs);
}

/** A linear map: x [..., D] -> x W + b [..., F]. */
export class Linear extends Module {
  /** [D, F], like experts [E, D, F]; PyTorch's is the transpose of it. */
  readonly weight: Tensor;
  /** [F] */
  readonly bias: Tensor | null;

  /** `inputs` D, `outputs` F. Throws for sizes below 1 and for unknown options. */
  constructor(inputs: number, outputs: number, options: LinearOptions) {
    super();
    check("Linear", "inputs", inputs, whole(1));
    check("Linear", "outputs", outputs, whole(1));
    checkOptions("Linear", options, kinds);
    const { bias = true, initializer = scaledTruncatedNormal(), random, dtype = "float32" } = options;
    this.weight = initializer([inputs, outputs], random.at("weight"), { dtype, requiresGrad: true });
    this.bias = bias ? zeros([outputs], { dtype, requiresGrad: true }) : null;
  }

  /** x [..., D] -> [..., F]. Throws where x does not end in D. */
  forward(x: Tensor): Tensor {
    this.#check(x);
    return linear(x, inDtypeOf(x, this.weight), this.bias && inDtypeOf(x, this.bias));
  }

  /** x W without the bias, for callers that add the bias in a kernel of theirs. Throws where x does not end in D. */
  project(x: Tensor): Tensor {
    this.#check(x);
    return x.matmul(inDtypeOf(x, this.weight));
  }

  #check(x: Tensor): void {
    check("Linear", "x", x, aTensor);
    const [inputs] = this.weight.shape;
    if (x.shape[x.shape.length - 1] !== inputs)
      throw new RangeError(
        `Linear: x ${formatShape(x.shape)} does not end in ${inputs}, the inputs of weight ${formatShape(this.weight.shape)}`,
      );
  }

  /** One product with the weight for each token. */
  override cost(length: number): Cost {
    return { active: super.cost(length).active, flops: 2 * this.weight.size };
  }
}
