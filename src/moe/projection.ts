/**
 * The linear map from tokens to router logits, and its precision. D width, E experts.
 *
 * It computes in at least float32 whatever the tokens are (Fedus et al. 2021, arXiv:2101.03961, section 2.4): with bfloat16's 8 bits
 * two experts tie where float32 still tells them apart. Gates go back to the tokens' dtype only where they weigh outputs.
 */
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "../nn/initializers.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost, Init } from "../nn/module.ts";
import { Module } from "../nn/module.ts";
import { masked } from "./losses.ts";

export interface ProjectionOptions extends Init {
  /** D */
  readonly width: number;
  /** E */
  readonly experts: number;
  /** Default: truncated normal of deviation sqrt(0.1 / D), section 2.4. */
  readonly initializer?: Initializer;
  /** "tokens" computes in the tokens' own dtype, to study what goes wrong. */
  readonly precision?: "float32" | "tokens";
}

export class Projection extends Module {
  /** [D, E] */
  readonly weight: Tensor;
  readonly precision: "float32" | "tokens";

  constructor({
    width,
    experts,
    initializer = scaledTruncatedNormal(0.1),
    precision = "float32",
    random,
    dtype = "float32",
  }: ProjectionOptions) {
    super();
    requireSizes({ width, experts });
    this.precision = precision;
    this.weight = initializer([width, experts], random.at("weight"), { dtype, requiresGrad: true });
  }

  /** The tokens [B, T, D] as the router sees them: padding as zeros, for NaN in it would reach the weight's gradient as 0 times NaN. */
  input(tokens: Tensor, mask?: Tensor): Tensor {
    const seen = masked(tokens, mask);
    return this.precision === "float32" ? seen.atLeast("float32") : seen;
  }

  /** [..., D] -> [..., E] */
  forward(input: Tensor): Tensor {
    return input.matmul(this.weight.cast(input.dtype));
  }

  override cost(length: number): Cost {
    return { active: super.cost(length).active, flops: 2 * this.weight.size };
  }
}

/** Sizes are whole numbers of 1 or more. */
export function requireSizes(sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes))
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`${name} ${size}: must be a whole number of 1 or more`);
}
