/**
 * A stack of Transformer blocks: the body of a decoder alone, and both bodies of an encoder-decoder. Their differences are settings.
 * B batch, T tokens, S memory, D width, F hidden width, H heads, K width of a head.
 */
import type { Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, aTensor, callable, check, checkOptions, either, flag, listOf, nothing, oneOf, optional, positive, rate, whole } from "../autograd/arguments.ts"; // prettier-ignore
import { formatShape, sameShape } from "../autograd/contract.ts";
import { recomputeKeeping } from "../autograd/recompute.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Block, addByName } from "./block.ts";
import type { Attention, BlockOutput, Norm, Seen } from "./block.ts";
import { dropout } from "./dropout.ts";
import type { FeedForward, FeedForwardKind } from "./feedForward.ts";
import { DenseFeedForward, aFeedForwardKind } from "./feedForward.ts";
import { scaledTruncatedNormal } from "./initializers.ts";
import { documentBias, prefixBias, windowBias } from "./masks.ts";
import type { Init, Pass } from "./module.ts";
import { Module, aPass, under } from "./module.ts";
import { MultiHeadAttention, someKeyValues } from "./multiHeadAttention.ts";
import { LayerNorm, RMSNorm } from "./normalization.ts";
import type { AbsolutePositions, PositionBias } from "./positions.ts";
import { BucketBias, DistanceBias, LearnedPositions, Rotary, SinusoidalPositions } from "./positions.ts";

/** A bias by distance or by T5's buckets, turned queries and keys, learned rows, sines, or nothing: see positions.ts. */
export type PositionKind = "distance" | "buckets" | "rotary" | "learned" | "sinusoidal" | "none";

/** What all stacks are made of. */
export interface CommonSettings extends Init {
  /** D */
  readonly width: number;
  /** H */
  readonly heads: number;
  /** Heads of keys and values, a divisor of H: grouped-query attention. Default H. */
  readonly keyValueHeads?: number;
  /** K; default D / H. */
  readonly headWidth?: number;
  /** F; default 4 D. */
  readonly hidden?: number;
  /** Default "distance", the per-distance bias that starts at a slope; in an `EncoderDecoder` "buckets". */
  readonly positions?: PositionKind;
  /** Longest sequence that learned positions know, and the farthest distance with a number of its own. Default 128. */
  readonly context?: number;
  /** How many buckets of distances, where positions are "buckets". Default 32. */
  readonly buckets?: number;
  /** The distance from which on all share the last bucket. Default 128. */
  readonly maxDistance?: number;
  /** Base of the wavelengths of rotary positions. Default 10,000. */
  readonly theta?: number;
  /** Multiplies the attention scores. Default 1 / sqrt(K); in an `EncoderDecoder` 1, as in T5. */
  readonly scale?: number;
  /** The feed-forward layers that are dense. Default "relu", as in the Switch Transformer. */
  readonly kind?: FeedForwardKind;
  readonly norm?: "rms" | "layer";
  /** eps of the norms. Default 1e-6 for "rms", 1e-5 for "layer". */
  readonly normEps?: number;
  /** Of the linear layers; default false, as in T5. */
  readonly bias?: boolean;
  /** Of attention's projections, where that differs; "inputs": of queries, keys and values alone. Default `bias`. */
  readonly attentionBias?: boolean | "inputs";
  readonly dropout?: number;
  /** The scale s of the deviation sqrt(s / fanIn) of the weights in the blocks. Default 0.1, as Fedus et al. recommend. */
  readonly initScale?: number;
  /** What activations are kept in; parameters stay float32, logits and losses are float32. */
  readonly compute?: "float32" | "bfloat16";
  /** Whether a block keeps only its input while training, and computes its inside again in the backward walk: see `recompute`. Default false. */
  readonly recompute?: boolean;
  /** Whether padding is routed too: it then takes slots and counts in the losses, as in Hugging Face's Switch. Default false. */
  readonly routePadding?: boolean;
}

/** The same of a stack that stands alone. */
export interface BlockSettings extends CommonSettings {
  readonly layers: number;
  /** A token attends to itself and the `window` - 1 before it. Default: to all before it. */
  readonly window?: number | null;
  /** RMS norm of queries and keys: see `MultiHeadAttention`. */
  readonly queryKeyNorm?: "head" | "width" | null;
  /** Clips queries, keys and values: see `MultiHeadAttention`. */
  readonly clip?: number | null;
  /** What stands in the feed-forward place of a layer; undefined, as by default: a dense layer of `kind`. */
  readonly feedForward?: (layer: number, init: Init) => (FeedForward & Module) | undefined;
  /** What stands in the attention place; undefined, as by default: multi-head attention. */
  readonly attention?: (layer: number, init: Init) => (Attention & Module) | undefined;
}

/** The layers of a stack and what they share. */
export interface StackOptions extends BlockSettings {
  /** Whether no token sees a later one. */
  readonly causal: boolean;
  /** Whether each block also attends to a memory. Default false. */
  readonly memory?: boolean;
  /** Whether what comes out is dropped too while training, as in T5. Default false. */
  readonly outputDropout?: boolean;
}

/** Layers are made one by one: a number beyond any model is an error, not a wait. */
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

const stackKinds: Kinds<StackOptions> = { ...blockKinds, causal: flag, memory: optional(flag), outputDropout: optional(flag) };

/** What may be said of the tokens of a sequence, beside their ids. P tokens of the past, T new ones. */
export interface SequenceInput {
  /** [B, P + T], 1 for tokens, 0 for padding, the tokens before included. */
  readonly mask?: Tensor | undefined;
  /** What earlier passes left, one entry for each layer: `seen` of their output. */
  readonly past?: readonly Seen[] | undefined;
  /** [B, P + T] int32: several documents packed in one sequence, which do not see each other; tokens of one number belong together. */
  readonly documents?: Tensor | undefined;
  /** [B] int32: so many first tokens see each other both ways, as in a prefix-LM. */
  readonly prefix?: Tensor | undefined;
  /** [B, T] int32: the positions of the new tokens, for learned and sinusoidal positions. Default P, P + 1, … */
  readonly positions?: Tensor | undefined;
}

/** What a stack of blocks reads beside its input: ids, masks, the memory, the past. */
export interface StackInput extends SequenceInput {
  /** [B, T] int32, for routers that read them. */
  readonly ids?: Tensor | undefined;
  /** [B, S, D] */
  readonly memory?: Tensor | undefined;
  /** [B, S], 0 for padding. */
  readonly memoryMask?: Tensor | undefined;
}

/** What `SequenceInput` may hold. */
export const sequenceKinds: Kinds<SequenceInput> = {
  mask: optional(aTensor),
  past: optional(listOf(someKeyValues)),
  documents: optional(aTensor),
  prefix: optional(aTensor),
  positions: optional(aTensor),
};

const inputKinds: Kinds<StackInput> = {
  ...sequenceKinds,
  ids: optional(aTensor),
  memory: optional(aTensor),
  memoryMask: optional(aTensor),
};

/** What a stack answers with: its normed output, auxiliary losses, routings and keys and values. */
export interface StackOutput {
  /** [B, T, D], normed. */
  readonly output: Tensor;
  /** Auxiliary losses of the layers, summed by name. */
  readonly losses: Record<string, Tensor>;
  /** What the sparse layers decided, in layer order. */
  readonly routings: object[];
  /** For the next pass, one entry for each layer; none where blocks are recomputed. */
  readonly seen: Seen[];
}

/**
 * x [B, T, D] -> [B, T, D]: positions, blocks, and a last norm. Throws for an option that it does not know. Vaswani et al. 2017,
 * arXiv:1706.03762, section 3.1.
 */
export class Stack extends Module {
  readonly positions: (AbsolutePositions & Module) | null;
  /** Shared by all layers, as in T5. */
  readonly positionBias: PositionBias | null;
  readonly blocks: readonly Block[];
  readonly norm: Norm & Module;
  readonly settings: StackOptions;

  constructor(options: StackOptions) {
    super();
    checkOptions("Stack", options, stackKinds);
    this.settings = options;
    this.positions = absolutePositions(options);
    this.positionBias = relativePositions(options);
    this.blocks = Array.from({ length: options.layers }, (_, i) => blockOf(options, i, options.random.at("blocks", i)));
    this.norm = normOf(options);
  }

  /** x [B, T, D]: the embedded tokens. Without a past the sequences start here. */
  transform(x: Tensor, input: StackInput, pass: Pass): StackOutput {
    const { causal, dropout: share = 0, outputDropout = false, compute } = this.settings;
    check("Stack", "x", x, aTensor);
    checkOptions("Stack", input, inputKinds);
    check("Stack", "pass", pass, aPass);
    const { past, memory, memoryMask, mask, prefix } = input;
    const before = past?.[0]?.keys.shape[2] ?? 0;
    this.#check(x, input, before);
    const placed = this.positions ? this.positions.forward(x, input.positions ?? before) : x;
    let y = dropout(placed, share, under(pass, "embedding")).cast(compute === "bfloat16" ? "bfloat16" : x.dtype); // [B, T, D]
    const given = {
      causal: causal && !prefix,
      bias: this.#bias(y, input, before),
      mask,
      memory,
      memoryMask,
      tokens: this.#tokens(input, x.shape[1]),
    };
    const again = pass.training && (this.settings.recompute ?? false);
    const outputs: Passed[] = [];
    this.blocks.forEach((block, i) => {
      const x = y;
      const forward = (): BlockOutput => block.forward(x, { ...given, past: past?.[i] }, under(pass, "blocks", i));
      const output = again ? recomputed(forward) : forward();
      outputs.push(output);
      y = output.output;
    });
    const normed = this.norm.forward(y);
    return { output: outputDropout ? dropout(normed, share, under(pass, "output")) : normed, ...gathered(outputs) };
  }

  /** Position bias, window, documents and prefix, as far as there are any. */
  #bias({ shape: [, T], dtype: kept, backend }: Tensor, { documents, prefix }: StackInput, before: number): Tensor | undefined {
    const S = before + T;
    const { window } = this.settings;
    const dtype = kept === "float64" ? kept : "float32";
    const parts = [
      this.positionBias?.forward(T, S),
      window && window < S ? windowBias(window, T, S, { dtype, backend }) : undefined,
      documents && documentBias(documents, dtype, T),
      prefix && prefixBias(prefix, T, S, dtype),
    ];
    return parts.reduce((sum, part) => (sum && part ? sum.add(part) : (sum ?? part)), undefined);
  }

  /** What the sparse layers may know of the new tokens. */
  #tokens({ ids, mask }: StackInput, T: number): { ids?: Tensor; mask?: Tensor; causal?: boolean } {
    const { causal, routePadding = false } = this.settings;
    const own = mask && !routePadding ? mask.narrow(1, mask.shape[1] - T, mask.shape[1]) : undefined;
    return { ...(ids && { ids }), ...(own && { mask: own }), ...(causal && { causal }) };
  }

  #check({ shape }: Tensor, { mask, documents, prefix, past }: StackInput, before: number): void {
    const { layers, width, causal } = this.settings;
    if (shape.length !== 3 || shape[2] !== width) throw new RangeError(`Stack: x ${formatShape(shape)}: want [B, T, ${width}]`);
    const all = [shape[0], before + shape[1]];
    for (const [name, given] of Object.entries({ mask, documents }))
      if (given && !sameShape(given.shape, all))
        throw new RangeError(`Stack: ${name} ${formatShape(given.shape)}: want [B, past + T] = ${formatShape(all)}`);
    if (past && past.length !== layers) throw new RangeError(`Stack: past of ${past.length} layers, there are ${layers}`);
    if (prefix && !causal) throw new TypeError("Stack: a prefix is for causal stacks; here all tokens see each other");
  }
}

/** What a block made; without keys and values where they are to be computed again. */
type Passed = Omit<BlockOutput, "seen"> & { readonly seen?: Seen };

function recomputed(forward: () => BlockOutput): Passed {
  const { value, constants } = recomputeKeeping(() => {
    const { output, losses, routings } = forward();
    return { value: { output, losses }, constants: routings };
  });
  return { ...value, routings: constants };
}

function gathered(outputs: readonly Passed[]): Omit<StackOutput, "output"> {
  return {
    losses: addByName(...outputs.map(({ losses }) => losses)),
    routings: outputs.flatMap(({ routings }) => routings),
    seen: outputs.flatMap(({ seen }) => seen ?? []),
  };
}

/** What the constructor of a part needs, with a key of its own. */
export function initOf({ random, dtype = "float32" }: Init, part: string): Init & { readonly dtype: NonNullable<Init["dtype"]> } {
  return { random: random.at(part), dtype };
}

function normOf({ norm = "rms", normEps, width, dtype = "float32" }: StackOptions): Norm & Module {
  const options = { dtype, ...(normEps === undefined ? {} : { eps: normEps }) };
  return norm === "rms" ? new RMSNorm(width, options) : new LayerNorm(width, options);
}

function blockOf(options: StackOptions, layer: number, random: Init["random"]): Block {
  const init = { random, dtype: options.dtype ?? "float32" };
  const { dropout: share = 0, memory = false } = options;
  return new Block({
    attention: options.attention?.(layer, initOf(init, "attention")) ?? attentionOf(options, initOf(init, "attention")),
    ...(memory ? { crossAttention: attentionOf(options, initOf(init, "crossAttention"), true) } : {}),
    feedForward: options.feedForward?.(layer, initOf(init, "feedForward")) ?? denseOf(options, initOf(init, "feedForward")),
    norm: () => normOf(options),
    dropout: share,
  });
}

function denseOf(
  { width, hidden = 4 * width, kind = "relu", bias = false, dropout: share = 0, initScale = 0.1 }: StackOptions,
  init: Init,
) {
  return new DenseFeedForward(width, hidden, { ...init, kind, bias, dropout: share, initializer: scaledTruncatedNormal(initScale) });
}

/** Queries and keys that meet across two sequences are not turned: their distance means nothing. */
function attentionOf(options: StackOptions, init: Init, across = false): MultiHeadAttention {
  const { width, heads, bias = false, attentionBias = bias, dropout: share = 0, initScale = 0.1, positions, theta } = options;
  const { keyValueHeads, headWidth, scale, normEps, queryKeyNorm = null, clip = null } = options;
  return new MultiHeadAttention(width, {
    ...init,
    heads,
    bias: attentionBias,
    dropout: share,
    initializer: scaledTruncatedNormal(initScale),
    rotary: positions === "rotary" && !across ? new Rotary(theta === undefined ? {} : { theta }) : null,
    queryKeyNorm,
    clip,
    ...(keyValueHeads === undefined ? {} : { keyValueHeads }),
    ...(headWidth === undefined ? {} : { headWidth }),
    ...(scale === undefined ? {} : { scale }),
    ...(normEps === undefined ? {} : { normEps }),
  });
}

function absolutePositions(options: StackOptions): (AbsolutePositions & Module) | null {
  const { positions, context = 128, width } = options;
  if (positions === "learned") return new LearnedPositions(context, width, initOf(options, "positions"));
  return positions === "sinusoidal" ? new SinusoidalPositions() : null;
}

function relativePositions(options: StackOptions): PositionBias | null {
  const { positions = "distance", context = 128, heads, buckets = 32, maxDistance = 128, causal, dtype = "float32" } = options;
  const bidirectional = !causal;
  if (positions === "distance") return new DistanceBias(heads, { dtype, maxDistance: context, bidirectional });
  if (positions !== "buckets") return null;
  return new BucketBias(heads, { ...initOf(options, "positionBias"), buckets, maxDistance, bidirectional });
}
