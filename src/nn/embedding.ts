/** V symbols, D width. */
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { normal } from "./initializers.ts";
import type { Cost, Init } from "./module.ts";
import { Module, beside, requireInit } from "./module.ts";

export interface EmbeddingOptions extends Init {
  /** Default: normal of deviation 1. */
  readonly initializer?: Initializer;
}

/** ids [...] int32 -> rows of the table [..., D]. */
export class Embedding extends Module {
  /** [V, D] */
  readonly weight: Tensor;

  constructor(symbols: number, width: number, options: EmbeddingOptions) {
    super();
    requireInit("Embedding", options);
    const { initializer = normal(1), random, dtype = "float32" } = options;
    this.weight = initializer([symbols, width], random.at("weight"), { dtype, requiresGrad: true });
  }

  forward(ids: Tensor): Tensor {
    return this.weight.takeRows(ids);
  }

  /** x [..., D] -> logits [..., V] against the same table. Press & Wolf 2016, arXiv:1608.05859. */
  logits(x: Tensor): Tensor {
    return x.matmul(beside(x, this.weight).transpose());
  }

  /** One row of the table; the rest sleeps. */
  override cost(): Cost {
    return { active: this.weight.shape[1], flops: 0 };
  }
}
