/** What an experiment changes of a model that no option of the command line says. Plain data, so that it can be saved and hashed. */
import type { FeedForwardKind } from "switchyard-moe/nn";
import type { ModelConfig } from "./modelOptions.ts";

/** Whatever is absent stays as the options of the command line make it. */
export interface Variant {
  /** Deviation of the normal distribution that the router's first weights are drawn from. */
  readonly routerDeviation?: number;
  /** "tokens": the router computes in the precision of its tokens, instead of in float32. */
  readonly routerPrecision?: "tokens";
  /** Of a Switch router while it trains: the share of its input that is dropped, and the temperature at which it draws its expert. */
  readonly inputDropout?: number;
  readonly temperature?: number;
  /** Of routers with top-k and of Expert Choice, on average: the experts that a token visits. Default 2, at most all. */
  readonly choices?: number;
  /** For "top-k": into how many narrower experts each expert is cut, and whether all tokens also go to a shared expert. */
  readonly finer?: number;
  readonly shared?: boolean;
  /** Of "noisy-top-k": the weights of its two losses. */
  readonly importance?: number;
  readonly load?: number;
  /** Of "loss-free": the step of its bias. */
  readonly biasRate?: number;
  /** Of the feed-forward layers, dense or experts. */
  readonly kind?: FeedForwardKind;
  /** Where the sparse layers of a block stand; in an encoder-decoder attention to the other stack stays dense. */
  readonly sparsePlaces?: "feedForward" | "attention" | "both";
  /** The only stack of an encoder-decoder that has sparse layers. */
  readonly sparseStack?: "encoder" | "decoder";
}

/** The shape of a model in an experiment. */
export interface VariedModel extends ModelConfig {
  readonly variant?: Variant;
}
