/**
 * The encoder-decoder of T5 and of the Switch Transformer. Raffel et al. 2020, arXiv:1910.10683, section 2.1; Fedus et al. 2021,
 * arXiv:2101.03961. B batch, T tokens of the input, U of the output, V vocabulary, D width, K width of a head.
 */
import type { Kinds } from "../autograd/arguments.ts";
import { aTensor, callable, check, checkOptions, either, flag, having, optional, positive, whole } from "../autograd/arguments.ts";
import type { Backend } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { full } from "../autograd/create.ts";
import { concat, where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Attention } from "./block.ts";
import { Embedding } from "./embedding.ts";
import type { LanguageModel } from "./evaluate.ts";
import type { FeedForward } from "./feedForward.ts";
import { normal } from "./initializers.ts";
import type { LanguageModelInput, LanguageModelOutput } from "./languageModel.ts";
import { inputKinds as decoderKinds, lastOf } from "./languageModel.ts";
import { Linear } from "./linear.ts";
import type { Init, Pass } from "./module.ts";
import { Module, under } from "./module.ts";
import { Stack, initOf } from "./stack.ts";
import { MOST_LAYERS, commonKinds } from "./stackSettings.ts";
import type { CommonSettings } from "./stackSettings.ts";

/** One of the two stacks of layers. */
export type StackName = "encoder" | "decoder";

/** The sizes and settings of an encoder-decoder. */
export interface EncoderDecoderOptions extends CommonSettings {
  /** V: ids are 0 to V - 1. */
  readonly vocabulary: number;
  /** The number of layers of each stack; one number for both. */
  readonly layers: number | { readonly encoder: number; readonly decoder: number };
  /** Makes the feed-forward layer of a block, such as a `MoE`; where it returns undefined, and by default, a dense layer of `kind`. */
  readonly feedForward?: (stack: StackName, layer: number, init: Init) => (FeedForward & Module) | undefined;
  /** Makes the self-attention of a block; where it returns undefined, and by default, multi-head attention. */
  readonly attention?: (stack: StackName, layer: number, init: Init) => (Attention & Module) | undefined;
  /** Whether both stacks have the same embedding table. Default true. */
  readonly shared?: boolean;
  /**
   * Whether logits are the products of the output, divided by sqrt(D), with the rows of the decoder's embedding table, as in T5 1.0 and
   * Switch; else a matrix of its own makes them. Default true.
   */
  readonly tied?: boolean;
  /** Deviation of the initial embeddings. Default 1 where tied, as in T5, else 0.05. */
  readonly embeddingDeviation?: number;
  /** The id that the decoder reads first. Default 0, which is padding too, as in T5. */
  readonly start?: number;
}

const kinds: Kinds<EncoderDecoderOptions> = {
  ...commonKinds,
  vocabulary: whole(1),
  layers: either(whole(0, MOST_LAYERS), having("{ encoder, decoder }", "encoder", "decoder")),
  feedForward: optional(callable),
  attention: optional(callable),
  shared: optional(flag),
  tied: optional(flag),
  embeddingDeviation: optional(positive),
  start: optional(whole(0)),
};

/** The ids that the encoder and the decoder read, with their masks. */
export interface EncoderDecoderInput {
  /** [B, T] int32: what the encoder reads. */
  readonly ids: Tensor;
  /** [B, T], 0 for padding. */
  readonly mask?: Tensor | undefined;
  /** [B, U] int32: what the decoder reads; in training `shiftRight` of the targets. */
  readonly decoderIds: Tensor;
  /** [B, U], 0 for padding. */
  readonly decoderMask?: Tensor | undefined;
}

const inputKinds: Kinds<EncoderDecoderInput> = {
  ids: aTensor,
  mask: optional(aTensor),
  decoderIds: aTensor,
  decoderMask: optional(aTensor),
};

/** What the encoder returns. */
export interface Encoded {
  /** [B, T, D] */
  readonly memory: Tensor;
  /** [B, T], 0 for padding. */
  readonly mask?: Tensor | undefined;
  readonly losses: Record<string, Tensor>;
  readonly routings: object[];
}

/** The same as for a decoder-only model. With a past, keys and values of the memory are not computed again. */
export type DecoderInput = LanguageModelInput;

/** What an encoder-decoder returns: logits of the next tokens, auxiliary losses and routings. */
export interface EncoderDecoderOutput {
  /** [B, U, V] */
  readonly logits: Tensor;
  /** Auxiliary losses of the layers, summed by stack and name: "encoder.balance", "decoder.balance". */
  readonly losses: Record<string, Tensor>;
  /** The routings of the sparse layers of each stack, in layer order. */
  readonly routings: Readonly<Record<StackName, object[]>>;
  /** [B, T, D]: the output of the encoder. */
  readonly memory: Tensor;
}

/**
 * An encoder that reads in both directions, and a decoder that writes token by token and attends to the output of the encoder. By default it is
 * T5 1.0: position biases by buckets of distances, shared by the blocks of a stack, RMS norm, no biases, unscaled attention scores. T5 1.1 (`kind`
 * "gegluTanh", `tied` false) and Switch (`feedForward`) are other settings. Throws for options that do not fit and for ids outside of the
 * vocabulary. Raffel et al. 2020, arXiv:1910.10683, section 2.1; Fedus et al. 2021, arXiv:2101.03961.
 */
export class EncoderDecoder extends Module {
  /** [V, D]: the table of both stacks; where they do not share it, that of the encoder. */
  readonly embedding: Embedding;
  readonly decoderEmbedding: Embedding | null;
  readonly encoder: Stack;
  readonly decoder: Stack;
  /** The matrix that makes the logits; null where `tied`. */
  readonly head: Linear | null;
  readonly options: EncoderDecoderOptions;

  constructor(options: EncoderDecoderOptions) {
    super();
    checkOptions("EncoderDecoder", options, kinds);
    const { vocabulary, width, tied = true, start = 0, embeddingDeviation = tied ? 1 : 0.05 } = options;
    check("EncoderDecoder", "start", start, whole(0, vocabulary - 1));
    const table = (name: string): Embedding =>
      new Embedding(vocabulary, width, { ...initOf(options, name), initializer: normal(embeddingDeviation) });
    this.options = options;
    this.embedding = table("embedding");
    this.decoderEmbedding = (options.shared ?? true) ? null : table("decoderEmbedding");
    this.encoder = stackOf("encoder", options);
    this.decoder = stackOf("decoder", options);
    this.head = tied ? null : new Linear(width, vocabulary, { ...initOf(options, "head"), bias: false });
    this.label();
  }

  /** Where its parameters live. */
  get backend(): Backend {
    return this.embedding.weight.backend;
  }

  /** The first id that the decoder reads. */
  get start(): number {
    return this.options.start ?? 0;
  }

  /** Encodes `ids` [B, T] and returns logits [B, U, V] of the token after each of `decoderIds` [B, U]. */
  forward(input: EncoderDecoderInput, pass: Pass): EncoderDecoderOutput {
    checkOptions("EncoderDecoder", input, inputKinds);
    const { ids, mask, decoderIds, decoderMask } = input;
    const encoded = this.encode(ids, { mask }, pass);
    const decoded = this.decode(decoderIds, encoded, { mask: decoderMask }, pass);
    return {
      logits: decoded.logits,
      losses: { ...named("encoder", encoded.losses), ...named("decoder", decoded.losses) },
      routings: { encoder: encoded.routings, decoder: decoded.routings },
      memory: encoded.memory,
    };
  }

  /** ids [B, T] int32 -> memory [B, T, D]. */
  encode(ids: Tensor, input: { readonly mask?: Tensor | undefined }, pass: Pass): Encoded {
    requireIds("encode", ids);
    checkOptions("EncoderDecoder.encode", input, { mask: optional(aTensor) });
    const { mask } = input;
    const { output, losses, routings } = this.encoder.transform(this.embedding.forward(ids), { ids, mask }, under(pass, "encoder"));
    return { memory: output, ...(mask && { mask }), losses, routings };
  }

  /** ids [B, U] int32, which follow those of the past -> logits [B, U, V], with the losses and routings of the decoder alone. */
  decode(ids: Tensor, encoded: Pick<Encoded, "memory" | "mask">, input: DecoderInput, pass: Pass): LanguageModelOutput {
    requireIds("decode", ids);
    check("EncoderDecoder.decode", "encoded", encoded, having("what encode returns: { memory, mask }", "memory"));
    checkOptions("EncoderDecoder.decode", input, decoderKinds);
    const { logits: wanted = "all", ...sequence } = input;
    const given = { ...sequence, ids, memory: encoded.memory, memoryMask: encoded.mask };
    const embedded = (this.decoderEmbedding ?? this.embedding).forward(ids);
    const { output, ...rest } = this.decoder.transform(embedded, given, under(pass, "decoder"));
    return { logits: this.#logits(wanted === "all" ? output : lastOf(output)), ...rest };
  }

  /** The decoder as a language model that attends to `encoded`: for `generate`, `evaluate` and other functions that take a language model. */
  given(encoded: Pick<Encoded, "memory" | "mask">): LanguageModel {
    check("EncoderDecoder.given", "encoded", encoded, having("what encode returns: { memory, mask }", "memory"));
    return { backend: this.backend, forward: (ids, input, pass) => this.decode(ids, encoded, input, pass) };
  }

  #logits(x: Tensor): Tensor {
    if (this.head) return this.head.forward(x).atLeast("float32");
    // As in Mesh-TensorFlow's T5: with a table of deviation 1, logits would otherwise have deviation sqrt(D).
    return (this.decoderEmbedding ?? this.embedding).logits(x.mul(1 / Math.sqrt(this.options.width))).atLeast("float32");
  }
}

function requireIds(method: string, ids: Tensor): void {
  check(`EncoderDecoder.${method}`, "ids", ids, aTensor);
  if (ids.shape.length !== 2) throw new RangeError(`EncoderDecoder.${method}: ids ${formatShape(ids.shape)}: want [B, T]`);
}

function stackOf(name: StackName, options: EncoderDecoderOptions): Stack {
  const { layers, feedForward, attention, vocabulary: _v, shared: _s, tied: _t, embeddingDeviation: _d, start: _i, ...settings } = options;
  const { positions = "buckets", scale = 1 } = settings;
  return new Stack({
    ...settings,
    ...initOf(options, name),
    positions,
    scale,
    layers: typeof layers === "number" ? layers : layers[name],
    ...(feedForward && { feedForward: (layer: number, init: Init) => feedForward(name, layer, init) }),
    ...(attention && { attention: (layer: number, init: Init) => attention(name, layer, init) }),
    causal: name === "decoder",
    memory: name === "decoder",
    outputDropout: true,
  });
}

function named(stack: StackName, losses: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(losses).map(([name, loss]) => [`${stack}.${name}`, loss]));
}

/** Options of `shiftRight`. */
export interface ShiftOptions {
  /** The id that the decoder reads first. Default 0. */
  readonly start?: number;
  /** The id in place of targets that are not scored. Default 0. */
  readonly padding?: number;
}

/**
 * What the decoder reads while it learns to write `targets` [B, U] int32: the start id, then the targets but the last. Ids below 0 (-100:
 * not scored) become `padding`. Throws for targets of other shapes. Vaswani et al. 2017, arXiv:1706.03762, figure 1.
 */
export function shiftRight(targets: Tensor, options: ShiftOptions = {}): Tensor {
  checkOptions("shiftRight", options, { start: optional(whole(0)), padding: optional(whole(0)) });
  const { start = 0, padding = 0 } = options;
  check("shiftRight", "targets", targets, aTensor);
  if (targets.shape.length !== 2) throw new RangeError(`shiftRight: targets ${formatShape(targets.shape)}: want [B, U]`);
  const [B, U] = targets.shape;
  const first = full([B, 1], start, { dtype: "int32", backend: targets.backend });
  const known = where(targets.less(0), padding, targets);
  return concat([first, known], 1).narrow(1, 0, U);
}
