/** A decoder-only language model. B batch, T tokens, V vocabulary, D width. */
import type { Kinds } from "../autograd/arguments.ts";
import { aTensor, check, checkOptions, flag, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { Backend } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Seen } from "./block.ts";
import { Embedding } from "./embedding.ts";
import { normal } from "./initializers.ts";
import { Linear } from "./linear.ts";
import type { Pass } from "./module.ts";
import { Stack, initOf } from "./stack.ts";
import { blockKinds, sequenceKinds } from "./stackSettings.ts";
import type { BlockSettings, SequenceInput, StackOptions } from "./stackSettings.ts";

/** The sizes and settings of a decoder language model. */
export interface LanguageModelOptions extends BlockSettings {
  /** V: ids are 0 to V - 1. 256 for bytes. */
  readonly vocabulary: number;
  /** Whether logits are the products of the output with the rows of the embedding table; else a matrix of its own makes them. Default false. */
  readonly tied?: boolean;
}

const kinds: Kinds<LanguageModelOptions> = { ...blockKinds, vocabulary: whole(1), tied: optional(flag) };

/** What a language model takes beside its ids [B, T]: padding, documents, the past. */
export interface LanguageModelInput extends SequenceInput {
  /** "last" returns only the logits after the last token, [B, 1, V], as generation needs them. Default "all". */
  readonly logits?: "all" | "last" | undefined;
}

export const inputKinds: Kinds<LanguageModelInput> = { ...sequenceKinds, logits: optional(oneOf("all", "last")) };

/** What a language model returns: logits of the next tokens, auxiliary losses, routings, and the past for the next call. */
export interface LanguageModelOutput {
  /** [B, T, V] */
  readonly logits: Tensor;
  /** Auxiliary losses of the layers, summed by name. */
  readonly losses: Record<string, Tensor>;
  /** The routings of the sparse layers, in layer order. */
  readonly routings: object[];
  /** Keys and values of all tokens so far, one entry for each layer: the `past` of the next call. */
  readonly seen: Seen[];
}

/**
 * A decoder-only language model, ids [B, T] -> logits [B, T, V]: each token is predicted from those before it. Models like GPT, Mixtral, OLMoE and
 * Qwen-MoE are settings of it. Throws for ids outside of the vocabulary and for options that do not fit. Liu et al. 2018, arXiv:1801.10198;
 * Jiang et al. 2024, arXiv:2401.04088 (Mixtral).
 */
export class DecoderLanguageModel extends Stack {
  readonly embedding: Embedding;
  /** The matrix that makes the logits; null where `tied`. */
  readonly head: Linear | null;
  readonly options: LanguageModelOptions;

  constructor(options: LanguageModelOptions) {
    super(stackOf(options));
    const { vocabulary, width, tied = false } = options;
    this.options = options;
    this.embedding = new Embedding(vocabulary, width, {
      ...initOf(options, "embedding"),
      initializer: normal(embeddingDeviation(options)),
    });
    this.head = tied ? null : new Linear(width, vocabulary, { ...initOf(options, "head"), bias: false });
    this.label();
  }

  /** Where its parameters live. */
  get backend(): Backend {
    return this.embedding.weight.backend;
  }

  /** ids [B, T] int32 -> logits [B, T, V]. Without a past, `ids` are the beginnings of their sequences. */
  forward(ids: Tensor, input: LanguageModelInput, pass: Pass): LanguageModelOutput {
    check("DecoderLanguageModel", "ids", ids, aTensor);
    if (ids.shape.length !== 2) throw new RangeError(`DecoderLanguageModel: ids ${formatShape(ids.shape)}: want [B, T]`);
    checkOptions("DecoderLanguageModel", input, inputKinds);
    const { logits: wanted = "all", ...sequence } = input;
    const { output, ...rest } = this.transform(this.embedding.forward(ids), { ...sequence, ids }, pass);
    const scored = wanted === "all" ? output : lastOf(output);
    const logits = this.head ? this.head.forward(scored) : this.embedding.logits(scored);
    return { logits: logits.atLeast("float32"), ...rest };
  }
}

/** The last token of each sequence of x [B, T, D], [B, 1, D]; x itself where T is 1. */
export function lastOf(x: Tensor): Tensor {
  const T = x.shape[1];
  return T === 1 ? x : x.narrow(1, T - 1, T);
}

function stackOf(options: LanguageModelOptions): StackOptions {
  checkOptions("DecoderLanguageModel", options, kinds);
  const { vocabulary: _vocabulary, tied: _tied, ...settings } = options;
  return { ...settings, causal: true };
}

/**
 * Embeddings are small, like the initial weights with scale 0.1, so that the layers have an effect beside them: a Switch model of width 64 reached
 * 1.67 bits per byte after 400 steps with deviation 0.05, and 2.00 with 1. Sinusoids, of size 1, need embeddings of size 1. A table that
 * also makes the logits has the deviation of a projection of D inputs.
 */
function embeddingDeviation({ tied, width, positions }: LanguageModelOptions): number {
  if (tied) return 1 / Math.sqrt(width);
  return positions === "sinusoidal" ? 1 : 0.05;
}
