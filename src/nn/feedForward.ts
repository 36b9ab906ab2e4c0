/**
 * The feed-forward layer of a Transformer block: what a block needs of it, and the dense one.
 * B batch, T tokens, D width, F hidden width.
 */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, callable, check, checkOptions, flag, oneOf, optional, rate, whole } from "../autograd/arguments.ts";
import { activate } from "../autograd/activations.ts";
import type { Activation } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "./dropout.ts";
import type { Initializer } from "./initializers.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import { Linear } from "./linear.ts";
import type { Init, Pass } from "./module.ts";
import { Module, inDtypeOf } from "./module.ts";

/** What the feed-forward layer of a block is told of the tokens beside their vectors. */
export interface TokenInfo {
  /** [B, T] int32 */
  readonly ids?: Tensor;
  /** [B, T], 1 for tokens, 0 for padding. */
  readonly mask?: Tensor;
  /** Whether a token must not depend on later ones. */
  readonly causal?: boolean;
}

/** What a block uses as its feed-forward layer: a dense one or a sparse one. */
export interface FeedForward<R extends object | null = object | null> {
  /** x [B, T, D] -> output [B, T, D]; losses are scalars to be added to the model's. */
  forward(x: Tensor, tokens: TokenInfo, pass: Pass): { output: Tensor; losses: Record<string, Tensor>; routing: R };
}

/**
 * The activation between the two projections. "geluTanh" is GELU approximated with tanh, `gelu_new` of Hugging Face. The gated kinds ("…glu")
 * multiply it with a second projection: Shazeer 2020, arXiv:2002.05202, eq. 5-6; "gegluTanh" is that of T5 1.1.
 */
export type FeedForwardKind = "relu" | "gelu" | "geluTanh" | "silu" | "reglu" | "geglu" | "gegluTanh" | "swiglu";

export const activationOf: Record<FeedForwardKind, Activation> = {
  relu: "relu",
  gelu: "gelu",
  geluTanh: "geluTanh",
  silu: "silu",
  reglu: "relu",
  geglu: "gelu",
  gegluTanh: "geluTanh",
  swiglu: "silu",
};

export const aFeedForwardKind: Kind = oneOf(...Object.keys(activationOf));

/** Whether the activation is multiplied with a second projection. */
export function isGated(kind: FeedForwardKind): boolean {
  return kind === "reglu" || kind === "geglu" || kind === "gegluTanh" || kind === "swiglu";
}

/** Options of a dense feed-forward layer. */
export interface FeedForwardOptions extends Init {
  /** Default "relu", as in the Switch Transformer. */
  readonly kind?: FeedForwardKind;
  /** Whether the projections have biases. Default true. */
  readonly bias?: boolean;
  /** The dropout rate of the hidden activations, while training. Default 0. */
  readonly dropout?: number;
  /** Draws the weights. Default: truncated normal of deviation sqrt(1 / fan-in), in experts sqrt(0.1 / fan-in). */
  readonly initializer?: Initializer;
}

const kinds: Kinds<FeedForwardOptions> = {
  random: aKey,
  dtype: optional(aFloatDtype),
  kind: optional(aFeedForwardKind),
  bias: optional(flag),
  dropout: optional(rate),
  initializer: optional(callable),
};

/**
 * Two projections with an activation between them: activation(x W + b) V + c, or (activation(x W + b) * (x U + d)) V + c in the gated kinds. `width`
 * is D, `hidden` is F. Vaswani et al. 2017, arXiv:1706.03762, eq. 2. The constructor throws for sizes below 1 and for unknown options.
 */
export class DenseFeedForward extends Module implements FeedForward<null> {
  readonly hidden: Linear;
  /** What the activation is multiplied with, in the gated kinds. */
  readonly factor: Linear | null;
  readonly output: Linear;
  readonly kind: FeedForwardKind;
  readonly dropout: number;

  constructor(width: number, hidden: number, options: FeedForwardOptions) {
    super();
    for (const [name, size] of Object.entries({ width, hidden })) check("DenseFeedForward", name, size, whole(1));
    checkOptions("DenseFeedForward", options, kinds);
    const { kind = "relu", dropout: share = 0, random, bias = true, dtype = "float32", initializer = scaledTruncatedNormal() } = options;
    const linear = (name: string, from: number, to: number): Linear =>
      new Linear(from, to, { bias, dtype, initializer, random: random.at(name) });
    this.kind = kind;
    this.dropout = share;
    this.hidden = linear("hidden", width, hidden);
    this.factor = isGated(kind) ? linear("factor", width, hidden) : null;
    this.output = linear("output", hidden, width);
  }

  /** x [B, T, D] -> output [B, T, D]; there are no losses and no routing. */
  forward(x: Tensor, _tokens: TokenInfo, pass: Pass): { output: Tensor; losses: Record<string, Tensor>; routing: null } {
    return { output: this.apply(x, pass), losses: {}, routing: null };
  }

  /** The layer alone, outside of a block: x [..., D] -> [..., D]. */
  apply(x: Tensor, pass: Pass): Tensor {
    const { bias } = this.hidden;
    const active = activate(this.hidden.project(x), activationOf[this.kind], bias ? inDtypeOf(x, bias) : undefined); // [..., F]
    const gated = this.factor ? active.mul(this.factor.forward(x)) : active;
    return this.output.forward(dropout(gated, this.dropout, pass));
  }
}
