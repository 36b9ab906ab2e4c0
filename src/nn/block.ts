/** One layer of a Transformer. B batch, T tokens, S memory, D width. */
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

export interface BlockParts {
  readonly attention: MultiHeadAttention;
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
  readonly routing: object | null;
  /** Keys and values of all tokens so far. */
  readonly seen: KeyValues;
}

export class Block extends Module {
  readonly attentionNorm: Norm & Module;
  readonly attention: MultiHeadAttention;
  readonly crossAttentionNorm: (Norm & Module) | null;
  readonly crossAttention: MultiHeadAttention | null;
  readonly feedForwardNorm: Norm & Module;
  readonly feedForward: FeedForward & Module;
  readonly order: "pre" | "post";
  readonly dropout: number;

  constructor({ attention, feedForward, crossAttention, norm, order = "pre", dropout: rate = 0 }: BlockParts) {
    super();
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
    const crossed = memory ? this.#cross(attended.x, memory, memoryMask, pass) : attended.x;
    const fed = this.#sublayer("feedForward", crossed, this.feedForwardNorm, pass, (y, p) => this.feedForward.forward(y, tokens, p));
    return { output: fed.x, losses: fed.inner.losses, routing: fed.inner.routing, seen: attended.inner.seen };
  }

  #cross(x: Tensor, memory: Tensor, mask: Tensor | undefined, pass: Pass): Tensor {
    const { crossAttention, crossAttentionNorm } = this;
    if (!crossAttention || !crossAttentionNorm) throw new TypeError("Block: given a memory, but made without crossAttention");
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
