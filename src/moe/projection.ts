/**
 * The linear map from tokens to router logits, and its precision. D width, E experts.
 *
 * It computes in at least float32 whatever the tokens are (Fedus et al. 2021, arXiv:2101.03961, section 2.4): with bfloat16's 8 bits
 * two experts tie where float32 still tells them apart. Gates go back to the tokens' dtype only where they weigh outputs.
 */
import { zeros } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "../nn/initializers.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import { linear } from "../nn/linear.ts";
import type { Cost, Init } from "../nn/module.ts";
import { Module } from "../nn/module.ts";
import type { Kinds } from "./arguments.ts";
import { aTensor, anInitializer, check, checkOptions, count, flag, initKinds, oneOf, optional } from "./arguments.ts";

/** Options of a projection, and of every router that has one. */
export interface ProjectionOptions extends Init {
  /** D */
  readonly width: number;
  /** E */
  readonly experts: number;
  /** Draws the weight. Default: truncated normal of deviation sqrt(0.1 / D), Fedus et al. 2021, section 2.4. */
  readonly initializer?: Initializer;
  /** Whether a learnt number, zero at first, is added to the logit of each expert. Default false, as in the paper. */
  readonly bias?: boolean;
  /** What logits are computed in. "float32" (default): at least float32. "tokens": the dtype of the tokens, to study what bfloat16 does. */
  readonly precision?: "float32" | "tokens";
}

export const projectionKinds: Kinds<ProjectionOptions> = {
  ...initKinds,
  width: count,
  experts: count,
  initializer: optional(anInitializer),
  bias: optional(flag),
  precision: optional(oneOf("float32", "tokens")),
};

/**
 * Maps tokens [..., D] to router logits [..., E], one for each expert: x W (+ b), in at least float32. Throws for an option that it does not
 * know or that is out of range. Fedus et al. 2021, arXiv:2101.03961, section 2.4.
 */
export class Projection extends Module {
  /** [D, E] */
  readonly weight: Tensor;
  /** [E] */
  readonly bias: Tensor | null;
  readonly precision: "float32" | "tokens";

  constructor(options: ProjectionOptions) {
    super();
    checkOptions<ProjectionOptions>("Projection", options, projectionKinds);
    const { width, experts, initializer = scaledTruncatedNormal(0.1), precision = "float32", random, dtype = "float32" } = options;
    this.precision = precision;
    this.weight = initializer([width, experts], random.at("weight"), { dtype, requiresGrad: true });
    this.bias = options.bias ? zeros([experts], { dtype, requiresGrad: true }) : null;
  }

  /** Tokens [..., D] in the dtype in which the router computes. */
  input(tokens: Tensor): Tensor {
    check("Projection.input", "tokens", tokens, aTensor);
    return this.precision === "float32" ? tokens.atLeast("float32") : tokens;
  }

  /** Tokens [..., D] -> logits [..., E]. */
  forward(tokens: Tensor): Tensor {
    const x = this.input(tokens);
    return linear(x, this.weight.cast(x.dtype), this.bias && this.bias.cast(x.dtype));
  }

  /** What one token costs: a multiply-add for each element of the weight. */
  override cost(length: number): Cost {
    return { active: super.cost(length).active, flops: 2 * this.weight.size };
  }
}

/** Of the options of a router, those that its projection takes. */
export function projectionOptions(options: ProjectionOptions): ProjectionOptions {
  const { width, experts, initializer, bias, precision, random, dtype } = options;
  return {
    width,
    experts,
    random,
    ...(initializer && { initializer }),
    ...(bias !== undefined && { bias }),
    ...(precision && { precision }),
    ...(dtype && { dtype }),
  };
}
