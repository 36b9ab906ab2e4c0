/** Embeddings of symbols. V symbols, D width. */
import { aFloatDtype, aKey, aTensor, callable, check, checkOptions, optional, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { normal } from "./initializers.ts";
import type { Cost, Init } from "./module.ts";
import { Module, inDtypeOf } from "./module.ts";

/** How an Embedding is made. */
export interface EmbeddingOptions extends Init {
  /** Default: normal of deviation 1. */
  readonly initializer?: Initializer;
}

const kinds: Kinds<EmbeddingOptions> = { random: aKey, dtype: optional(aFloatDtype), initializer: optional(callable) };

/** A table of V vectors of width D, one for each id: ids [...] int32 -> [..., D]. */
export class Embedding extends Module {
  /** [V, D] */
  readonly weight: Tensor;

  /** `symbols` V, `width` D. Throws for sizes below 1 and for unknown options. */
  constructor(symbols: number, width: number, options: EmbeddingOptions) {
    super();
    check("Embedding", "symbols", symbols, whole(1));
    check("Embedding", "width", width, whole(1));
    checkOptions("Embedding", options, kinds);
    const { initializer = normal(1), random, dtype = "float32" } = options;
    this.weight = initializer([symbols, width], random.at("weight"), { dtype, requiresGrad: true });
  }

  /** ids [...] int32 -> their rows [..., D]. Throws for an id outside 0 to V - 1, where the host knows the ids. */
  forward(ids: Tensor): Tensor {
    check("Embedding.forward", "ids", ids, aTensor);
    return this.weight.takeRows(ids);
  }

  /**
   * x [..., D] -> logits [..., V]: the product of x with each row of the table. Press & Wolf 2016, arXiv:1608.05859. Throws where x has
   * another last axis.
   */
  logits(x: Tensor): Tensor {
    check("Embedding.logits", "x", x, aTensor);
    return x.matmul(inDtypeOf(x, this.weight).transpose());
  }

  /** One row of the table is read for a token; there is no product. */
  override cost(): Cost {
    return { active: this.weight.shape[1], flops: 0 };
  }
}
