/** One layer of a Transformer. B batch, T tokens, S memory, D width. */
import type { Kinds } from "../autograd/arguments.ts";
import { aTensor, callable, check, checkOptions, having, oneOf, optional, rate } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "./dropout.ts";
import type { FeedForward, TokenInfo } from "./feedForward.ts";
import type { Pass } from "./module.ts";
import { Module, aPass, under } from "./module.ts";
import type { AttentionInput, KeyValues } from "./multiHeadAttention.ts";
import { attentionInputKinds } from "./multiHeadAttention.ts";

/** A layer norm, an RMS norm, or anything else that maps [..., D] to [..., D]. */
export interface Norm {
  forward(x: Tensor): Tensor;
}

/** What a block uses as attention and cross-attention: multi-head attention, or a sparse one. */
export interface Attention {
  /** x [B, T, D] -> output [B, T, D], the keys and values of all tokens so far (or of the memory), and losses and routings of sparse parts. */
  extend(
    x: Tensor,
    input: AttentionInput,
    pass: Pass,
  ): { output: Tensor; seen: KeyValues; losses?: Record<string, Tensor>; routings?: readonly object[] };
}

/** The layers that a block is made of. */
export interface BlockParts {
  readonly attention: Attention & Module;
  /** Dense or sparse. */
  readonly feedForward: FeedForward & Module;
  /** Attention to a memory, between the two others, in the decoder of an encoder-decoder. */
  readonly crossAttention?: Attention & Module;
  /** Makes a norm for each sub-layer. */
  readonly norm: () => Norm & Module;
  /** "pre": x + f(norm(x)), as T5 and Switch; "post": norm(x + f(x)), as Vaswani et al. Default "pre". */
  readonly order?: "pre" | "post";
  /** The dropout rate of each sub-layer's output, while training. Default 0. */
  readonly dropout?: number;
}

const anAttention = having("an attention layer: a module with extend(x, input, pass)", "extend", "namedParameters");

const kinds: Kinds<BlockParts> = {
  attention: anAttention,
  feedForward: having("a feed-forward layer: a module with forward(x, tokens, pass)", "forward", "namedParameters"),
  crossAttention: optional(anAttention),
  norm: callable,
  order: optional(oneOf("pre", "post")),
  dropout: optional(rate),
};

/** What a block keeps for the next pass: keys and values of all tokens so far, and those of the memory, which are computed once. */
export interface Seen extends KeyValues {
  readonly memory?: KeyValues & { readonly mask?: Tensor };
}

/** What a block takes beside its input: masks, a bias, the memory and the past. */
export interface BlockInput extends Omit<AttentionInput, "memory" | "values" | "known" | "past"> {
  readonly tokens?: TokenInfo;
  /** [B, S, D] for the cross-attention. Not read where the past holds its keys and values. */
  readonly memory?: Tensor | undefined;
  /** [B, S], 0 for padding of the memory. */
  readonly memoryMask?: Tensor | undefined;
  /** Keys and values of the tokens before x: `seen` of an earlier pass. */
  readonly past?: Seen | undefined;
}

/** What a block returns: its output, auxiliary losses, routings, and keys and values. */
export interface BlockOutput {
  /** [B, T, D] */
  readonly output: Tensor;
  readonly losses: Record<string, Tensor>;
  /** The routings of its sparse parts, in the order attention, cross-attention, feed-forward. */
  readonly routings: readonly object[];
  readonly seen: Seen;
}

const inputKinds: Kinds<BlockInput> = {
  causal: attentionInputKinds.causal,
  bias: attentionInputKinds.bias,
  mask: attentionInputKinds.mask,
  past: attentionInputKinds.past,
  tokens: optional(having("what is known of the tokens: { ids, mask, causal }")),
  memory: optional(aTensor),
  memoryMask: optional(aTensor),
};

type Attended = ReturnType<Attention["extend"]>;

/**
 * One layer of a Transformer, x [B, T, D] -> [B, T, D]: attention, cross-attention where it has one, then the feed-forward layer; the output of each
 * is added to its input. Throws where a memory is given to a block without cross-attention, or none to a block with it. Vaswani et al. 2017,
 * arXiv:1706.03762, section 3.1; with the norms in front, Xiong et al. 2020, arXiv:2002.04745.
 */
export class Block extends Module {
  readonly attentionNorm: Norm & Module;
  readonly attention: Attention & Module;
  readonly crossAttentionNorm: (Norm & Module) | null;
  readonly crossAttention: (Attention & Module) | null;
  readonly feedForwardNorm: Norm & Module;
  readonly feedForward: FeedForward & Module;
  readonly order: "pre" | "post";
  readonly dropout: number;

  constructor(parts: BlockParts) {
    super();
    checkOptions("Block", parts, kinds);
    const { attention, feedForward, crossAttention, norm, order = "pre", dropout: share = 0 } = parts;
    this.attentionNorm = norm();
    this.attention = attention;
    this.crossAttentionNorm = crossAttention ? norm() : null;
    this.crossAttention = crossAttention ?? null;
    this.feedForwardNorm = norm();
    this.feedForward = feedForward;
    this.order = order;
    this.dropout = share;
  }

  /** x [B, T, D] through attention, cross-attention where there is one, and the feed-forward layer -> [B, T, D]. */
  forward(x: Tensor, input: BlockInput, pass: Pass): BlockOutput {
    check("Block", "x", x, aTensor);
    check("Block", "pass", pass, aPass);
    checkOptions("Block", input, inputKinds);
    const { tokens: info, memory: _memory, memoryMask, past, ...self } = input;
    const tokens = { ...info, ...(self.causal ? { causal: true } : {}) };
    const own = { ...self, past: past && { keys: past.keys, values: past.values } };
    const attended = this.#sublayer("attention", x, this.attentionNorm, pass, (y, p) => this.attention.extend(y, own, p));
    const crossed = this.#cross(attended.x, input, pass);
    const fed = this.#sublayer("feedForward", crossed?.x ?? attended.x, this.feedForwardNorm, pass, (y, p) =>
      this.feedForward.forward(y, tokens, p),
    );
    const readers = [attended.inner, ...(crossed ? [crossed.inner] : [])];
    const { routing } = fed.inner;
    return {
      output: fed.x,
      losses: addByName(...readers.map(({ losses = {} }) => losses), fed.inner.losses),
      routings: [...readers.flatMap(({ routings = [] }) => routings), ...(routing ? [routing] : [])],
      seen: seenOf(attended.inner.seen, crossed?.inner.seen, past?.memory?.mask ?? memoryMask),
    };
  }

  #cross(x: Tensor, { memory, memoryMask, past }: BlockInput, pass: Pass): { x: Tensor; inner: Attended } | undefined {
    const { crossAttention, crossAttentionNorm } = this;
    const known = past?.memory;
    if (!crossAttention || !crossAttentionNorm) {
      if (memory) throw new TypeError("Block: given a memory, but made without crossAttention");
      return undefined;
    }
    if (!memory && !known) throw new TypeError("Block: made with crossAttention, which needs a memory [B, S, D]; none was given");
    const input = known ? { known, mask: known.mask } : { memory, mask: memoryMask };
    return this.#sublayer("crossAttention", x, crossAttentionNorm, pass, (y, p) => crossAttention.extend(y, input, p));
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

function seenOf({ keys, values }: KeyValues, memory: KeyValues | undefined, mask: Tensor | undefined): Seen {
  if (!memory) return { keys, values };
  return { keys, values, memory: { keys: memory.keys, values: memory.values, ...(mask ? { mask } : {}) } };
}

/** Losses of one name are added up. */
export function addByName(...all: readonly Record<string, Tensor>[]): Record<string, Tensor> {
  const sums: Record<string, Tensor> = {};
  for (const losses of all) for (const [name, loss] of Object.entries(losses)) sums[name] = sums[name]?.add(loss) ?? loss;
  return sums;
}
