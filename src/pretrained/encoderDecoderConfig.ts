/**
 * The config.json of T5 and the Switch Transformer, read and written. V vocabulary, D width, F hidden width, H heads, K width of a head, E
 * experts.
 */
import type { StackName } from "../nn/encoderDecoder.ts";
import type { FeedForwardKind } from "../nn/feedForward.ts";
import type { Fields } from "./config.ts";

/** Families with an encoder and a decoder, built as `EncoderDecoder`. */
export type EncoderDecoderFamily = "switch_transformers" | "t5";

/** What the config.json of Switch says beyond that of T5. */
export interface SwitchConfig {
  /** E */
  readonly experts: number;
  /** Slots of an expert for each sequence; null: no limit. */
  readonly expertCapacity: number | null;
  /** The output for a token without a slot: 0, or its probability times itself. */
  readonly dropped: "zero" | "gatedInput";
  /** Whether padding takes slots and counts in the losses. */
  readonly routePadding: boolean;
  readonly routerBias: boolean;
  readonly jitter: number;
  /** Coefficients of the losses. */
  readonly balance: number;
  readonly zLoss: number;
  /** Which layers of each stack are sparse. */
  readonly sparse: Readonly<Record<StackName, readonly number[]>>;
}

/** The config.json of T5 or Switch, in the terms of this library. */
export interface EncoderDecoderConfig {
  readonly family: EncoderDecoderFamily;
  /** V */
  readonly vocabulary: number;
  /** D */
  readonly width: number;
  /** K */
  readonly headWidth: number;
  /** F */
  readonly hidden: number;
  readonly heads: number;
  readonly layers: Readonly<Record<StackName, number>>;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly dropout: number;
  readonly normEps: number;
  readonly kind: FeedForwardKind;
  readonly tied: boolean;
  readonly padId: number;
  readonly endId: number;
  /** What the decoder reads first. */
  readonly startId: number;
  /** null in T5. */
  readonly sparse: SwitchConfig | null;
}

export function isEncoderDecoder(config: { readonly family: string }): config is EncoderDecoderConfig {
  return config.family === "switch_transformers" || config.family === "t5";
}

/** The config of a family from its fields. Throws a RangeError that names the field for what is missing, damaged or not supported. */
export function parseEncoderDecoder(family: EncoderDecoderFamily, fields: Fields): EncoderDecoderConfig {
  fields.only("is_encoder_decoder", true);
  const [vocabulary, encoder] = [fields.size("vocab_size"), fields.layers("num_layers")];
  const layers = { encoder, decoder: fields.layers("num_decoder_layers", encoder) };
  const id = (name: string, or: number): number => {
    const value = fields.count(name, or);
    return value < vocabulary ? value : fields.fail(name, `want an id below vocab_size ${vocabulary}`);
  };
  const buckets = fields.size("relative_attention_num_buckets", 32);
  const maxDistance = fields.size("relative_attention_max_distance", 128);
  // Half of the buckets hold one distance each; the others share what lies between that and the farthest.
  if (maxDistance <= Math.floor(buckets / 2))
    fields.fail("relative_attention_max_distance", `want more than half of the ${buckets} relative_attention_num_buckets`);
  return {
    family,
    vocabulary,
    layers,
    width: fields.size("d_model"),
    headWidth: fields.size("d_kv"),
    hidden: fields.size("d_ff"),
    heads: fields.size("num_heads"),
    buckets,
    maxDistance,
    dropout: fields.rate("dropout_rate", 0.1),
    normEps: fields.positive("layer_norm_epsilon", 1e-6),
    kind: kindOf(family, fields),
    tied: fields.flag("tie_word_embeddings", true),
    padId: id("pad_token_id", 0),
    endId: id("eos_token_id", 1),
    startId: id("decoder_start_token_id", 0),
    sparse: family === "t5" ? null : parseSwitch(fields, layers),
  };
}

/** Hugging Face's names of the feed-forward layers that are built here. */
const kinds: Readonly<Record<string, FeedForwardKind>> = {
  relu: "relu",
  gelu: "gelu",
  gelu_new: "geluTanh",
  silu: "silu",
  "gated-relu": "reglu",
  // T5 1.1 says "gated-gelu" and means the form with tanh.
  "gated-gelu": "gegluTanh",
  "gated-silu": "swiglu",
};

function kindOf(family: EncoderDecoderFamily, fields: Fields): FeedForwardKind {
  if (family === "switch_transformers") {
    fields.only("is_gated_act", false);
    return kinds[fields.oneOf("dense_act_fn", ["relu", "gelu", "gelu_new", "silu"], "relu")];
  }
  return kinds[fields.oneOf("feed_forward_proj", Object.keys(kinds), "relu")];
}

function parseSwitch(fields: Fields, layers: Readonly<Record<StackName, number>>): SwitchConfig {
  fields.only("router_dtype", "float32");
  const capacity = fields.size("expert_capacity", 64);
  return {
    experts: fields.size("num_experts"),
    expertCapacity: capacity < NO_LIMIT ? capacity : null,
    dropped: fields.oneOf("dropped_tokens", ["zero", "gatedInput"], "gatedInput"),
    routePadding: !fields.flag("router_ignore_padding_tokens", false),
    routerBias: fields.flag("router_bias", false),
    jitter: fields.rate("router_jitter_noise", 0.01),
    balance: fields.coefficient("router_aux_loss_coef", 0.001),
    zLoss: fields.coefficient("router_z_loss_coef", 0.001),
    sparse: {
      encoder: sparseLayers(layers.encoder, fields.count("num_sparse_encoder_layers", 3)),
      decoder: sparseLayers(layers.decoder, fields.count("num_sparse_decoder_layers", 3)),
    },
  };
}

/**
 * Which layers are sparse, of `layers` of which `sparse` shall be: with step = layers / sparse, rounded down, layer i where i % step is 1; all where
 * step is 1, none where `sparse` is 0. The rule of transformers.
 */
export function sparseLayers(layers: number, sparse: number): number[] {
  const step = stepOf(layers, sparse);
  return Array.from({ length: layers }, (_, i) => i).filter((i) => step === 1 || (step > 1 && i % step === 1));
}

function stepOf(layers: number, sparse: number): number {
  return sparse > 0 ? Math.floor(layers / sparse) : 0;
}

/** A capacity that no sequence reaches: it stands for no limit, which config.json cannot say otherwise. */
const NO_LIMIT = 2 ** 16;

/** The fields of the config.json of `config`, which `parseEncoderDecoder` reads. */
export function formatEncoderDecoder(config: EncoderDecoderConfig): Record<string, unknown> {
  const { family, width, headWidth, hidden, heads, layers, kind, sparse } = config;
  const name = Object.keys(kinds).find((key) => kinds[key] === kind) ?? kind;
  return {
    architectures: [family === "t5" ? "T5ForConditionalGeneration" : "SwitchTransformersForConditionalGeneration"],
    model_type: family,
    is_encoder_decoder: true,
    vocab_size: config.vocabulary,
    d_model: width,
    d_kv: headWidth,
    d_ff: hidden,
    num_heads: heads,
    num_layers: layers.encoder,
    num_decoder_layers: layers.decoder,
    relative_attention_num_buckets: config.buckets,
    relative_attention_max_distance: config.maxDistance,
    dropout_rate: config.dropout,
    layer_norm_epsilon: config.normEps,
    tie_word_embeddings: config.tied,
    pad_token_id: config.padId,
    eos_token_id: config.endId,
    decoder_start_token_id: config.startId,
    initializer_factor: 1,
    use_cache: true,
    ...(sparse ? { ...formatSwitch(sparse, layers), dense_act_fn: name, is_gated_act: false } : { feed_forward_proj: name }),
  };
}

function formatSwitch(config: SwitchConfig, layers: Readonly<Record<StackName, number>>): Record<string, unknown> {
  const { sparse } = config;
  return {
    num_experts: config.experts,
    expert_capacity: config.expertCapacity ?? NO_LIMIT,
    // Read by this library alone; transformers 4 always computes "gatedInput".
    dropped_tokens: config.dropped,
    router_ignore_padding_tokens: !config.routePadding,
    router_bias: config.routerBias,
    router_dtype: "float32",
    router_jitter_noise: config.jitter,
    router_aux_loss_coef: config.balance,
    router_z_loss_coef: config.zLoss,
    num_sparse_encoder_layers: sparse.encoder.length,
    num_sparse_decoder_layers: sparse.decoder.length,
    encoder_sparse_step: stepOf(layers.encoder, sparse.encoder.length),
    decoder_sparse_step: stepOf(layers.decoder, sparse.decoder.length),
    add_router_probs: false,
  };
}
