/** One layer of a Transformer. B batch, T tokens, S memory, D width. */
import { requireOneOf } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "./dropout.ts";
import type { FeedForward, TokenInfo } from "./feedForward.ts";
import type { Pass } from "./module.ts";
import { Module, under } from "./module.ts";
import type { AttentionInput, KeyValues, MultiHeadAttention } from "./multiHeadAttention.ts";

/** A layer norm, an RMS norm, or anything else that maps [..., D] to [..., D]. */
export interface Norm {
  forward(x: Tensor): Tensor;
}

/** What may stand in the attention place of a block: multi-head attention, or one that is itself sparse. */
export interface Attention {
  /** x [B, T, D] -> [B, T, D], with the keys and values of all tokens so far, and what sparse parts have to say. */
  extend(
    x: Tensor,
    input: AttentionInput,
    pass: Pass,
  ): { output: Tensor; seen: KeyValues; losses?: Record<string, Tensor>; routings?: readonly object[] };
}

export interface BlockParts {
  readonly attention: Attention & Module;
  /** Dense or sparse: the block does not know. */
  readonly feedForward: FeedForward & Module;
  /** Between the two, in a decoder that reads a memory. */
  readonly crossAttention?: MultiHeadAttention;
  /** Makes a norm for each sub-layer. */
  readonly norm: () => Norm & Module;
  /** "pre": x + f(norm(x)), as T5 and Switch; "post": norm(x + f(x)), as Vaswani et al. Default "pre". */
  readonly order?: "pre" | "post";
  /** Of what each sub-layer adds, while training. */
  readonly dropout?: number;
}

export interface BlockInput extends Omit<AttentionInput, "memory" | "values"> {
  readonly tokens?: TokenInfo;
  /** [B, S, D] for the cross-attention. */
  readonly memory?: Tensor;
  /** [B, S], 0 for padding of the memory. */
  readonly memoryMask?: Tensor;
}

export interface BlockOutput {
  /** [B, T, D] */
  readonly output: Tensor;
  readonly losses: Record<string, Tensor>;
  /** What its sparse parts decided, attention first. */
  readonly routings: readonly object[];
  /** Keys and values of all tokens so far. */
  readonly seen: KeyValues;
}

/** x [B, T, D] -> [B, T, D]: attention, a memory where there is one, then the feed-forward layer, each added to what it read. */
export class Block extends Module {
  readonly attentionNorm: Norm & Module;
  readonly attention: Attention & Module;
  readonly crossAttentionNorm: (Norm & Module) | null;
  readonly crossAttention: MultiHeadAttention | null;
  readonly feedForwardNorm: Norm & Module;
  readonly feedForward: FeedForward & Module;
  readonly order: "pre" | "post";
  readonly dropout: number;

  constructor({ attention, feedForward, crossAttention, norm, order = "pre", dropout: rate = 0 }: BlockParts) {
    super();
    requireOneOf("Block", "order", order, ["pre", "post"]);
    this.attentionNorm = norm();
    this.attention = attention;
    this.crossAttentionNorm = crossAttention ? norm() : null;
    this.crossAttention = crossAttention ?? null;
    this.feedForwardNorm = norm();
    this.feedForward = feedForward;
    this.order = order;
    this.dropout = rate;
  }

  forward(x: Tensor, input: BlockInput, pass: Pass): BlockOutput {
    const { tokens: info, memory, memoryMask, ...self } = input;
    const tokens = { ...info, ...(self.causal ? { causal: true } : {}) };
    const attended = this.#sublayer("attention", x, this.attentionNorm, pass, (y, p) => this.attention.extend(y, self, p));
    const crossed = memory || this.crossAttention ? this.#cross(attended.x, memory, memoryMask, pass) : attended.x;
    const fed = this.#sublayer("feedForward", crossed, this.feedForwardNorm, pass, (y, p) => this.feedForward.forward(y, tokens, p));
    const { losses = {}, routings = [], seen } = attended.inner;
    const { routing } = fed.inner;
    return { output: fed.x, losses: addByName(losses, fed.inner.losses), routings: routing ? [...routings, routing] : routings, seen };
  }

  #cross(x: Tensor, memory: Tensor | undefined, mask: Tensor | undefined, pass: Pass): Tensor {
    const { crossAttention, crossAttentionNorm } = this;
    if (!crossAttention || !crossAttentionNorm) throw new TypeError("Block: given a memory, but made without crossAttention");
    if (!memory) throw new TypeError("Block: made with crossAttention, which needs a memory [B, S, D]; none was given");
    return this.#sublayer("crossAttention", x, crossAttentionNorm, pass, (y, p) => crossAttention.extend(y, { memory, mask }, p)).x;
  }

  /** The residual around one sub-layer. */
  #sublayer<R extends { output: Tensor }>(
    name: string,
    x: Tensor,
    norm: Norm,
    pass: Pass,
    f: (y: Tensor, pass: Pass) => R,
  ): { x: Tensor; inner: R } {
    const inner = f(this.order === "pre" ? norm.forward(x) : x, under(pass, name));
    const sum = x.add(dropout(inner.output, this.dropout, under(pass, name, "residual")));
    return { x: this.order === "pre" ? sum : norm.forward(sum), inner };
  }
}

/** Losses of one name are added up. */
export function addByName(...all: readonly Record<string, Tensor>[]): Record<string, Tensor> {
  const sums: Record<string, Tensor> = {};
  for (const losses of all) for (const [name, loss] of Object.entries(losses)) sums[name] = sums[name]?.add(loss) ?? loss;
  return sums;
}
