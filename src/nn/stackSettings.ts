/** The settings and the input of a stack of Transformer blocks. B batch, T tokens, S memory, D width, F hidden width, H heads, K width of a head. */
import type { Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, aTensor, callable, either, flag, listOf, nothing, oneOf, optional, positive, rate, whole } from "../autograd/arguments.ts"; // prettier-ignore
import type { Tensor } from "../autograd/tensor.ts";
import type { Attention, Seen } from "./block.ts";
import type { FeedForward, FeedForwardKind } from "./feedForward.ts";
import { aFeedForwardKind } from "./feedForward.ts";
import type { Init, Module } from "./module.ts";
import { someKeyValues } from "./multiHeadAttention.ts";

/**
 * How tokens know their positions: "distance" is `DistanceBias`, "buckets" `BucketBias`, "rotary" `Rotary`, "learned" `LearnedPositions`,
 * "sinusoidal" `SinusoidalPositions`.
 */
export type PositionKind = "distance" | "buckets" | "rotary" | "learned" | "sinusoidal" | "none";

/** Settings that decoder-only models and encoder-decoders share. */
export interface CommonSettings extends Init {
  /** D */
  readonly width: number;
  /** H */
  readonly heads: number;
  /** The number of heads of keys and values, a divisor of H: grouped-query attention. Default H. */
  readonly keyValueHeads?: number;
  /** K; default D / H. */
  readonly headWidth?: number;
  /** F; default 4 D. */
  readonly hidden?: number;
  /** Default "distance"; in an `EncoderDecoder` "buckets". */
  readonly positions?: PositionKind;
  /** The longest sequence of "learned" positions, and for "distance" the number of distances with a row of their own. Default 128. */
  readonly context?: number;
  /** The number of buckets, for "buckets". Default 32. */
  readonly buckets?: number;
  /** The distance from which on all share the last bucket, for "buckets". Default 128. */
  readonly maxDistance?: number;
  /** Base of the wavelengths, for "rotary". Default 10,000. */
  readonly theta?: number;
  /** Multiplies the attention scores. Default 1 / sqrt(K); in an `EncoderDecoder` 1, as in T5. */
  readonly scale?: number;
  /** The activation of dense feed-forward layers. Default "relu", as in the Switch Transformer. */
  readonly kind?: FeedForwardKind;
  /** `RMSNorm` or `LayerNorm`. Default "rms". */
  readonly norm?: "rms" | "layer";
  /** eps of the norms. Default 1e-6 for "rms", 1e-5 for "layer". */
  readonly normEps?: number;
  /** Whether linear layers have biases. Default false, as in T5. */
  readonly bias?: boolean;
  /** Whether the projections of attention have biases; "inputs": only those of queries, keys and values. Default: as `bias`. */
  readonly attentionBias?: boolean | "inputs";
  /** The dropout rate, while training, of embeddings, attention probabilities, hidden activations and the outputs of sub-layers. Default 0. */
  readonly dropout?: number;
  /** The scale s of the deviation sqrt(s / fanIn) of the initial weights in the blocks. Default 0.1, as Fedus et al. recommend. */
  readonly initScale?: number;
  /** The dtype of activations; parameters keep theirs, and logits and losses are at least float32. Default: the dtype of the parameters. */
  readonly compute?: "float32" | "bfloat16";
  /** Whether, while training, a block keeps only its input and is computed again in the backward pass: see `recompute`. Default false. */
  readonly recompute?: boolean;
  /** Whether padding is routed as well: it then takes slots and counts in the losses, as in Hugging Face's Switch. Default false. */
  readonly routePadding?: boolean;
}

/** Settings of a single stack: of a decoder-only model. */
export interface BlockSettings extends CommonSettings {
  /** The number of blocks. */
  readonly layers: number;
  /** A token attends to itself and the `window` - 1 tokens before it. Default: to all before it. */
  readonly window?: number | null;
  /** RMS norm of queries and keys: see `MultiHeadAttention`. */
  readonly queryKeyNorm?: "head" | "width" | null;
  /** Clips queries, keys and values: see `MultiHeadAttention`. */
  readonly clip?: number | null;
  /** Makes the feed-forward layer of a block, such as a `MoE`; where it returns undefined, and by default, a dense layer of `kind`. */
  readonly feedForward?: (layer: number, init: Init) => (FeedForward & Module) | undefined;
  /** Makes the attention of a block; where it returns undefined, and by default, multi-head attention. */
  readonly attention?: (layer: number, init: Init) => (Attention & Module) | undefined;
}

/** Options of a `Stack`. */
export interface StackOptions extends BlockSettings {
  /** Whether no token attends to a later one. */
  readonly causal: boolean;
  /** Whether each block also attends to a memory. Default false. */
  readonly memory?: boolean;
  /** Whether dropout is applied to the output too, as in T5. Default false. */
  readonly outputDropout?: boolean;
}

/** More layers are refused: they are made one by one, and an absurd number would take for ever. */
export const MOST_LAYERS = 10_000;

export const commonKinds: Kinds<CommonSettings> = {
  random: aKey,
  dtype: optional(aFloatDtype),
  width: whole(1),
  heads: whole(1),
  keyValueHeads: optional(whole(1)),
  headWidth: optional(whole(1)),
  hidden: optional(whole(1)),
  positions: optional(oneOf("distance", "buckets", "rotary", "learned", "sinusoidal", "none")),
  context: optional(whole(1)),
  buckets: optional(whole(1)),
  maxDistance: optional(whole(1)),
  theta: optional(positive),
  scale: optional(positive),
  kind: optional(aFeedForwardKind),
  norm: optional(oneOf("rms", "layer")),
  normEps: optional(positive),
  bias: optional(flag),
  attentionBias: optional(oneOf(true, false, "inputs")),
  dropout: optional(rate),
  initScale: optional(positive),
  compute: optional(oneOf("float32", "bfloat16")),
  recompute: optional(flag),
  routePadding: optional(flag),
};

export const blockKinds: Kinds<BlockSettings> = {
  ...commonKinds,
  layers: whole(0, MOST_LAYERS),
  window: optional(either(whole(1), nothing)),
  queryKeyNorm: optional(oneOf("head", "width", null)),
  clip: optional(either(positive, nothing)),
  feedForward: optional(callable),
  attention: optional(callable),
};

export const stackKinds: Kinds<StackOptions> = { ...blockKinds, causal: flag, memory: optional(flag), outputDropout: optional(flag) };

/** What a model is told of the tokens of a sequence, beside their ids. P tokens of the past, T new ones. */
export interface SequenceInput {
  /** [B, P + T], 1 for tokens, 0 for padding, those of the past included. */
  readonly mask?: Tensor | undefined;
  /** Keys and values of the tokens before, one entry for each layer: `seen` of an earlier pass. */
  readonly past?: readonly Seen[] | undefined;
  /** [B, P + T] int32: the number of each token's document, where several are packed in one sequence. Documents do not attend to each other. */
  readonly documents?: Tensor | undefined;
  /** [B] int32: how many tokens at the beginning attend to each other in both directions, as in a prefix-LM. */
  readonly prefix?: Tensor | undefined;
  /** [B, T] int32: the positions of the new tokens, for learned and sinusoidal positions. Default P, P + 1, … */
  readonly positions?: Tensor | undefined;
}

/** What a stack takes beside its input x: ids, masks, the memory, the past. */
export interface StackInput extends SequenceInput {
  /** [B, T] int32, for routers that read them. */
  readonly ids?: Tensor | undefined;
  /** [B, S, D] */
  readonly memory?: Tensor | undefined;
  /** [B, S], 0 for padding. */
  readonly memoryMask?: Tensor | undefined;
}

/** The kinds of `SequenceInput`. */
export const sequenceKinds: Kinds<SequenceInput> = {
  mask: optional(aTensor),
  past: optional(listOf(someKeyValues)),
  documents: optional(aTensor),
  prefix: optional(aTensor),
  positions: optional(aTensor),
};

export const stackInputKinds: Kinds<StackInput> = {
  ...sequenceKinds,
  ids: optional(aTensor),
  memory: optional(aTensor),
  memoryMask: optional(aTensor),
};
