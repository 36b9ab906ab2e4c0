/** Opens published models: the config is parsed, all tensors are checked, and only then are they read, one at a time. */
import type { Kinds } from "../autograd/arguments.ts";
import { aBackend, callable, checkOptions, describe, either, flag, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { Backend } from "../autograd/contract.ts";
import type { EncoderDecoder } from "../nn/encoderDecoder.ts";
import type { DecoderLanguageModel } from "../nn/languageModel.ts";
import { CONFIG, Fields, families } from "./config.ts";
import type { FamilyName } from "./config.ts";
import { parseDecoder } from "./decoderConfig.ts";
import type { DecoderConfig, DecoderFamily } from "./decoderConfig.ts";
import { buildDecoder, decoderTable, ignoredByDecoders } from "./decoders.ts";
import { parseEncoderDecoder } from "./encoderDecoderConfig.ts";
import type { EncoderDecoderConfig, EncoderDecoderFamily, SwitchConfig } from "./encoderDecoderConfig.ts";
import { buildEncoderDecoder, encoderDecoderTable, ignoredByEncoderDecoders } from "./encoderDecoders.ts";
import type { FirstWeights } from "./fill.ts";
import { filled } from "./fill.ts";
import type { Source } from "./source.ts";
import { readJson } from "./source.ts";
import type { SourceLike } from "./sourceOf.ts";
import { sourceOf } from "./sourceOf.ts";
import type { FloatDType, StoredTensor } from "./stored.ts";
import { present, weightsOf } from "./weights.ts";

/** Where implementations of switch_transformers differ: tokens beyond an expert's capacity, and padding. */
export interface SwitchSemantics {
  /**
   * The output for a token without a slot. Default "gatedInput", its probability times itself, as transformers 4 ran these checkpoints;
   * "zero" is the paper's.
   */
  readonly dropped?: "zero" | "gatedInput";
  /** Slots of an expert for each sequence. Default: `expert_capacity` of config.json, 64 in the published ones. "dropless" drops no token. */
  readonly expertCapacity?: number | "dropless";
  /** Whether padding takes slots and counts in the losses. Default: unless config.json says `router_ignore_padding_tokens`. */
  readonly routePadding?: boolean;
}

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /**
   * The dtype of the parameters. "stored" (default): bfloat16 or float64 where the file has it; float16, and a mixture of types, become
   * float32, which holds their values exactly.
   */
  readonly dtype?: "stored" | FloatDType;
  /** The device of the model. Default: the current backend. */
  readonly backend?: Backend;
  /** Only for switch_transformers; the other families drop no token. */
  readonly semantics?: SwitchSemantics;
  /** Called with the bytes of weights read so far, and their total. */
  readonly onProgress?: (read: number, total: number) => void;
}

const semanticKinds: Kinds<SwitchSemantics> = {
  dropped: optional(oneOf("zero", "gatedInput")),
  expertCapacity: optional(either(whole(1), oneOf("dropless"))),
  routePadding: optional(flag),
};

const kinds: Kinds<LoadOptions> = {
  dtype: optional(oneOf("stored", "float32", "float64", "bfloat16")),
  backend: optional(aBackend),
  semantics: optional({ wanted: "an object", accepts: (value) => typeof value === "object" && value !== null }),
  onProgress: optional(callable),
};

type Opened<F extends FamilyName, M, C> = F extends FamilyName ? { readonly family: F; readonly model: M; readonly config: C } : never;

/** An opened model and its config. `family` tells an encoder-decoder from a decoder. */
export type Pretrained =
  Opened<EncoderDecoderFamily, EncoderDecoder, EncoderDecoderConfig> | Opened<DecoderFamily, DecoderLanguageModel, DecoderConfig>;

/**
 * Opens a published model: a folder in Node, an address, or the Files of a page, with config.json and its weights in safetensors or
 * PyTorch's format, whole or in shards. Families: switch_transformers, t5, mixtral, olmoe, qwen2_moe, qwen3_moe.
 *
 * Names, shapes and dtypes of all tensors are checked before the first is read. They are then read one at a time, so that the peak of memory is the
 * model and its largest tensor. Throws a RangeError that says what is wrong, and frees what it made: for a missing config, an unknown family,
 * tensors that are missing, extra or of another shape (the error shows ten of them and their number), damage, and a pickle that names anything
 * but tensors.
 */
export async function loadPretrained(given: SourceLike, options: LoadOptions = {}): Promise<Pretrained> {
  checkOptions("loadPretrained", options, kinds);
  if (options.semantics) checkOptions("loadPretrained: semantics", options.semantics, semanticKinds);
  const source = sourceOf("loadPretrained", given);
  try {
    return await opened(source, options);
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`loadPretrained: ${error.message}`, { cause: error }) : error;
  } finally {
    await source.close();
  }
}

async function opened(source: Source, options: LoadOptions): Promise<Pretrained> {
  const { family, fields } = await readConfig(source);
  if (options.semantics && family !== "switch_transformers")
    throw new RangeError(`semantics are of switch_transformers alone, this is ${family}: nothing in it has a capacity`);
  const tensors = await weightsOf(source);
  if (family === "switch_transformers" || family === "t5") {
    const parsed = parseEncoderDecoder(family, fields);
    const config = parsed.sparse ? { ...parsed, sparse: withSemantics(parsed.sparse, options.semantics ?? {}) } : parsed;
    requireCounts(tensors, encoderDecoderCounts(config));
    const build = (init: FirstWeights): EncoderDecoder => buildEncoderDecoder(config, init);
    return { family, config, model: await filled(build, encoderDecoderTable(config), tensors, ignoredByEncoderDecoders, options) };
  }
  const config = parseDecoder(family, fields);
  requireCounts(tensors, decoderCounts(config));
  const build = (init: FirstWeights): DecoderLanguageModel => buildDecoder(config, init);
  return { family, config, model: await filled(build, decoderTable(config), tensors, ignoredByDecoders, options) };
}

async function readConfig(source: Source): Promise<{ family: FamilyName; fields: Fields }> {
  const size = await source.sizeOf(CONFIG);
  if (size === undefined) throw new RangeError(`there is no ${CONFIG} in ${source.where}${await present(source)}`);
  const json = await readJson(source, CONFIG, size);
  const type = json["model_type"];
  const family = families.find((name) => name === type);
  if (!family) throw new RangeError(`${CONFIG}: model_type ${describe(type)}: want one of ${families.join(", ")}`);
  return { family, fields: new Fields(json) };
}

function withSemantics(config: SwitchConfig, { dropped, expertCapacity, routePadding }: SwitchSemantics): SwitchConfig {
  return {
    ...config,
    ...(dropped && { dropped }),
    ...(expertCapacity !== undefined && { expertCapacity: expertCapacity === "dropless" ? null : expertCapacity }),
    ...(routePadding !== undefined && { routePadding }),
  };
}

// Counts are compared first: a config with absurd numbers would make an endless table.

/** A field, its value, and the pattern that finds the numbers it should agree with in the names of the tensors. */
type Count = readonly [field: string, value: number, pattern: RegExp];

function encoderDecoderCounts({ layers, sparse }: EncoderDecoderConfig): Count[] {
  return [
    ["num_layers", layers.encoder, /^encoder\.block\.(\d+)\./],
    ["num_decoder_layers", layers.decoder, /^decoder\.block\.(\d+)\./],
    ...(sparse ? [["num_experts", sparse.experts, /\.experts\.expert_(\d+)\./] as const] : []),
  ];
}

function decoderCounts({ family, layers, experts }: DecoderConfig): Count[] {
  return [
    ["num_hidden_layers", layers, /^model\.layers\.(\d+)\./],
    [family === "mixtral" ? "num_local_experts" : "num_experts", experts, /\.experts\.(\d+)\./],
  ];
}

function requireCounts(tensors: ReadonlyMap<string, StoredTensor>, counts: readonly Count[]): void {
  const faults = counts.flatMap(([field, value, pattern]) => {
    let most = -1;
    for (const name of tensors.keys()) most = Math.max(most, Number(pattern.exec(name)?.[1] ?? -1));
    // None may be named: the experts of a layer in one tensor. Its shape is compared later.
    return most < 0 || most + 1 === value ? [] : [`${field} is ${value}, the weights have ${most + 1}`];
  });
  if (faults.length > 0) throw new RangeError(`${CONFIG} contradicts the weights: ${faults.join("; ")}`);
}
