/** A decoder-only language model. B batch, T tokens, V vocabulary, D width, F hidden width, H heads. */
import { formatShape } from "../autograd/contract.ts";
import { requireOneOf } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Block, addByName } from "./block.ts";
import type { Attention, BlockOutput, Norm } from "./block.ts";
import { dropout } from "./dropout.ts";
import { Embedding } from "./embedding.ts";
import type { FeedForward, FeedForwardKind } from "./feedForward.ts";
import { DenseFeedForward } from "./feedForward.ts";
import { normal, scaledTruncatedNormal } from "./initializers.ts";
import { Linear } from "./linear.ts";
import type { Init, Pass } from "./module.ts";
import { Module, requireInit, under } from "./module.ts";
import type { KeyValues } from "./multiHeadAttention.ts";
import { MultiHeadAttention } from "./multiHeadAttention.ts";
import { LayerNorm, RMSNorm } from "./normalization.ts";
import type { AbsolutePositions, PositionBias } from "./positions.ts";
import { BucketBias, DistanceBias, LearnedPositions, Rotary, SinusoidalPositions } from "./positions.ts";

/** A bias by distance or by T5's buckets, turned queries and keys, learned rows, sines, or nothing: see positions.ts. */
export type PositionKind = "distance" | "buckets" | "rotary" | "learned" | "sinusoidal" | "none";
const positionKinds: readonly PositionKind[] = ["distance", "buckets", "rotary", "learned", "sinusoidal", "none"];

export interface LanguageModelOptions extends Init {
  /** V: ids are 0 to V - 1. 256 for bytes. */
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** F; default 4 D. */
  readonly hidden?: number;
  /** Longest sequence that learned positions know, and the farthest distance with a number of its own. Default 128. */
  readonly context?: number;
  /** Default "distance": the per-distance bias that starts at a slope. */
  readonly positions?: PositionKind;
  readonly kind?: FeedForwardKind;
  /** What stands in the feed-forward place of each layer; default a dense layer of `kind`. */
  readonly feedForward?: (layer: number, init: Init) => FeedForward & Module;
  /** What stands in the attention place; default multi-head attention. */
  readonly attention?: (layer: number, init: Init) => Attention & Module;
  readonly norm?: "rms" | "layer";
  /** Of the linear layers; default false, as in T5. */
  readonly bias?: boolean;
  /** Whether the logits are taken against the embedding table. Default false. */
  readonly tied?: boolean;
  readonly dropout?: number;
  /** The scale s of the deviation sqrt(s / fanIn) of the weights in the blocks. Default 0.1, as Fedus et al. recommend. */
  readonly initScale?: number;
  /** What activations are kept in; parameters stay float32, logits and losses are float32. */
  readonly compute?: "float32" | "bfloat16";
}

export interface LanguageModelInput {
  /** [B, past + T], 1 for tokens, 0 for padding, the tokens before included. */
  readonly mask?: Tensor | undefined;
  /** Keys and values of the tokens before, one pair for each layer: `seen` of an earlier pass. */
  readonly past?: readonly KeyValues[] | undefined;
}

export interface LanguageModelOutput {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Auxiliary losses of the layers, summed by name. */
  readonly losses: Record<string, Tensor>;
  /** What the sparse layers decided, in layer order. */
  readonly routings: object[];
  /** Keys and values of all tokens so far, for the next pass. */
  readonly seen: KeyValues[];
}

/** ids [B, T] -> logits [B, T, V]: each token is predicted from those before it. */
export class DecoderLanguageModel extends Module {
  readonly embedding: Embedding;
  readonly positions: (AbsolutePositions & Module) | null;
  /** Shared by all layers, as in T5. */
  readonly positionBias: PositionBias | null;
  readonly blocks: readonly Block[];
  readonly norm: Norm & Module;
  /** null where logits are taken against the embedding table. */
  readonly head: Linear | null;
  readonly options: LanguageModelOptions;

  constructor(options: LanguageModelOptions) {
    super();
    checkOptions(options);
    const { vocabulary, width, layers, tied = false, random } = options;
    this.options = options;
    this.embedding = new Embedding(vocabulary, width, {
      ...init(options, "embedding"),
      initializer: normal(embeddingDeviation(options)),
    });
    this.positions = absolutePositions(options);
    this.positionBias = relativePositions(options);
    this.blocks = Array.from({ length: layers }, (_, i) => blockOf(options, i, random.at("blocks", i)));
    this.norm = normOf(options);
    this.head = tied ? null : new Linear(width, vocabulary, { ...init(options, "head"), bias: false });
    this.label();
  }

  /** ids [B, T] int32. Without a past the sequences start here. */
  forward(ids: Tensor, { mask, past }: LanguageModelInput, pass: Pass): LanguageModelOutput {
    if (ids.shape.length !== 2) throw new RangeError(`DecoderLanguageModel: ids ${formatShape(ids.shape)}: want [B, T]`);
    const T = ids.shape[1];
    const before = past?.[0]?.keys.shape[2] ?? 0;
    const bias = this.positionBias?.forward(T, before + T);
    const tokens = { ids, ...(mask ? { mask: mask.narrow(1, before, before + T) } : {}) };
    const outputs: BlockOutput[] = [];
    let x = this.#embed(ids, before, pass); // [B, T, D]
    this.blocks.forEach((block, i) => {
      const output = block.forward(x, { causal: true, bias, mask, past: past?.[i], tokens }, under(pass, "blocks", i));
      outputs.push(output);
      x = output.output;
    });
    return { logits: this.#logits(x), ...gathered(outputs) };
  }

  #embed(ids: Tensor, before: number, pass: Pass): Tensor {
    const x = this.embedding.forward(ids);
    const placed = this.positions ? this.positions.forward(x, before) : x;
    return dropout(placed, this.options.dropout ?? 0, under(pass, "embedding")).cast(
      this.options.compute === "bfloat16" ? "bfloat16" : x.dtype,
    );
  }

  #logits(x: Tensor): Tensor {
    const normed = this.norm.forward(x);
    return (this.head ? this.head.forward(normed) : this.embedding.logits(normed)).atLeast("float32");
  }
}

function checkOptions(options: LanguageModelOptions): void {
  const { positions = "distance", norm = "rms", compute = "float32" } = options;
  requireInit("DecoderLanguageModel", options);
  requireOneOf("DecoderLanguageModel", "positions", positions, positionKinds);
  requireOneOf("DecoderLanguageModel", "norm", norm, ["rms", "layer"]);
  requireOneOf("DecoderLanguageModel", "compute", compute, ["float32", "bfloat16"]);
}

function gathered(outputs: readonly BlockOutput[]): Omit<LanguageModelOutput, "logits"> {
  return {
    losses: addByName(...outputs.map(({ losses }) => losses)),
    routings: outputs.flatMap(({ routings }) => routings),
    seen: outputs.map(({ seen }) => seen),
  };
}

function init({ random, dtype = "float32" }: LanguageModelOptions, part: string): Init {
  return { random: random.at(part), dtype };
}

/**
 * Small embeddings let small first weights speak: with scale 0.1, a Switch model of width 64 stood at 1.67 bits per byte after 400
 * steps from 0.05, at 2.00 from 1. Sinusoids have a size of their own to stand beside, and a table that also makes logits its width.
 */
function embeddingDeviation({ tied, width, positions }: LanguageModelOptions): number {
  if (tied) return 1 / Math.sqrt(width);
  return positions === "sinusoidal" ? 1 : 0.05;
}

function normOf({ norm = "rms", width, dtype = "float32" }: LanguageModelOptions): Norm & Module {
  return norm === "rms" ? new RMSNorm(width, { dtype }) : new LayerNorm(width, { dtype });
}

function blockOf(options: LanguageModelOptions, layer: number, random: Init["random"]): Block {
  const { width, heads, bias = false, kind = "relu", dropout: rate = 0, positions, dtype = "float32" } = options;
  const common = { bias, dtype, dropout: rate, initializer: scaledTruncatedNormal(options.initScale ?? 0.1) };
  const dense = (_: number, at: Init): DenseFeedForward =>
    new DenseFeedForward(width, options.hidden ?? 4 * width, { ...common, ...at, kind });
  const rotary = positions === "rotary" ? new Rotary() : null;
  const usual = (_: number, at: Init): MultiHeadAttention => new MultiHeadAttention(width, { ...common, heads, rotary, ...at });
  return new Block({
    attention: (options.attention ?? usual)(layer, { random: random.at("attention"), dtype }),
    feedForward: (options.feedForward ?? dense)(layer, { random: random.at("feedForward"), dtype }),
    norm: () => normOf(options),
    dropout: rate,
  });
}

function absolutePositions(options: LanguageModelOptions): (AbsolutePositions & Module) | null {
  const { positions, context = 128, width } = options;
  if (positions === "learned") return new LearnedPositions(context, width, init(options, "positions"));
  return positions === "sinusoidal" ? new SinusoidalPositions() : null;
}

function relativePositions(options: LanguageModelOptions): PositionBias | null {
  const { positions = "distance", context = 128, heads } = options;
  if (positions === "distance") return new DistanceBias(heads, { ...init(options, "positionBias"), maxDistance: context });
  return positions === "buckets" ? new BucketBias(heads, init(options, "positionBias")) : null;
}
