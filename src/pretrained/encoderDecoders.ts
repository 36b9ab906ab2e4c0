/**
 * T5 and the Switch Transformer: what their config.json says, which names their tensors have, and the `EncoderDecoder` that computes them.
 * V vocabulary, D width, F hidden width, H heads, K width of a head, E experts.
 */
import type { Key } from "../autograd/random.ts";
import { FeedForwardExperts } from "../moe/experts.ts";
import { MoE } from "../moe/moeLayer.ts";
import { SwitchRouter } from "../moe/switchRouter.ts";
import type { StackName } from "../nn/encoderDecoder.ts";
import { EncoderDecoder } from "../nn/encoderDecoder.ts";
import type { FeedForwardKind } from "../nn/feedForward.ts";
import { isGated } from "../nn/feedForward.ts";
import type { Init } from "../nn/module.ts";
import type { Fields } from "./config.ts";
import type { FloatDType } from "./stored.ts";
import type { Row } from "./table.ts";
import { perExpert, same, transposed } from "./table.ts";

/** Families with an encoder and a decoder, built as `EncoderDecoder`. */
export type EncoderDecoderFamily = "switch_transformers" | "t5";

/** What a sparse Switch model is made of beside a T5. */
export interface SwitchConfig {
  /** E */
  readonly experts: number;
  /** Slots of an expert for each sequence, where it was published; null: no limit. */
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

/** What the config.json of T5 or Switch says, in our terms. */
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

/** Which of so many layers are sparse: every step-th from 1 on, step = layers / sparse ones. All of them where step is 1, none where none is. */
export function sparseLayers(layers: number, sparse: number): number[] {
  const step = stepOf(layers, sparse);
  return Array.from({ length: layers }, (_, i) => i).filter((i) => step === 1 || (step > 1 && i % step === 1));
}

function stepOf(layers: number, sparse: number): number {
  return sparse > 0 ? Math.floor(layers / sparse) : 0;
}

/** A capacity that no sequence reaches stands for none, in files that cannot say so. */
const NO_LIMIT = 2 ** 16;

/** The fields of config.json that say `config`; `parseEncoderDecoder` reads it again. */
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

// The model

/** A model of the config, weights as `random` draws them. */
export function buildEncoderDecoder(
  config: EncoderDecoderConfig,
  { random, dtype }: { readonly random: Key; readonly dtype: FloatDType },
): EncoderDecoder {
  const { vocabulary, width, headWidth, hidden, heads, layers, buckets, maxDistance, dropout, normEps, kind, tied, startId, sparse } =
    config;
  return new EncoderDecoder({
    vocabulary,
    width,
    headWidth,
    hidden,
    heads,
    layers,
    buckets,
    maxDistance,
    dropout,
    normEps,
    kind,
    tied,
    ...(sparse && { routePadding: sparse.routePadding }),
    feedForward: (stack, layer, init) => (sparse?.sparse[stack].includes(layer) ? sparseLayer(config, sparse, init) : undefined),
    start: startId,
    random,
    dtype,
  });
}

function sparseLayer(
  { width, hidden, kind, dropout }: EncoderDecoderConfig,
  sparse: SwitchConfig,
  { random, dtype = "float32" }: Init,
): MoE {
  const { experts, jitter, balance, zLoss, routerBias, expertCapacity, dropped } = sparse;
  const init = (part: string): Init => ({ random: random.at(part), dtype });
  return new MoE({
    router: new SwitchRouter({ experts, width, jitter, balance, zLoss, bias: routerBias, group: "sequence", ...init("router") }),
    experts: new FeedForwardExperts({ experts, width, hidden, kind, dropout, bias: false, ...init("experts") }),
    dropped,
    ...(expertCapacity === null ? { trainingCapacityFactor: "dropless" } : { expertCapacity }),
  });
}

// Names

/** A bias that T5's first files have and no model uses. */
export const ignoredByEncoderDecoders = /^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/;

/** The tensors of a checkpoint of this family. */
export function encoderDecoderTable(config: EncoderDecoderConfig): Row[] {
  const { vocabulary, width, tied } = config;
  const tables = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", ...(tied ? ["lm_head.weight"] : [])];
  return [
    same("embedding.weight", [vocabulary, width], ...tables),
    ...stackRows(config, "encoder"),
    ...stackRows(config, "decoder"),
    ...(tied ? [] : [transposed("head.weight", width, ["lm_head.weight", vocabulary])]),
  ];
}

function stackRows(config: EncoderDecoderConfig, stack: StackName): Row[] {
  const { width, buckets, heads, layers } = config;
  const bias = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  return [
    same(`${stack}.positionBias.weight`, [buckets, heads], bias),
    ...Array.from({ length: layers[stack] }, (_, i) => blockRows(config, stack, i)).flat(),
    same(`${stack}.norm.weight`, [width], `${stack}.final_layer_norm.weight`),
  ];
}

function blockRows(config: EncoderDecoderConfig, stack: StackName, layer: number): Row[] {
  const { width } = config;
  const [ours, theirs] = [`${stack}.blocks.${layer}`, `${stack}.block.${layer}.layer`];
  const cross = [
    same(`${ours}.crossAttentionNorm.weight`, [width], `${theirs}.1.layer_norm.weight`),
    ...attentionRows(config, `${ours}.crossAttention`, `${theirs}.1.EncDecAttention`),
  ];
  const last = `${theirs}.${stack === "decoder" ? 2 : 1}`;
  return [
    same(`${ours}.attentionNorm.weight`, [width], `${theirs}.0.layer_norm.weight`),
    ...attentionRows(config, `${ours}.attention`, `${theirs}.0.SelfAttention`),
    ...(stack === "decoder" ? cross : []),
    same(`${ours}.feedForwardNorm.weight`, [width], `${last}.layer_norm.weight`),
    ...(config.sparse?.sparse[stack].includes(layer)
      ? sparseRows(config, config.sparse, `${ours}.feedForward`, `${last}.mlp`)
      : denseRows(config, `${ours}.feedForward`, `${last}.${config.family === "t5" ? "DenseReluDense" : "mlp"}`)),
  ];
}

function attentionRows({ width, heads, headWidth }: EncoderDecoderConfig, ours: string, theirs: string): Row[] {
  const inner = heads * headWidth;
  return [
    transposed(
      `${ours}.projection.weight`,
      width,
      [`${theirs}.q.weight`, inner],
      [`${theirs}.k.weight`, inner],
      [`${theirs}.v.weight`, inner],
    ),
    transposed(`${ours}.output.weight`, inner, [`${theirs}.o.weight`, width]),
  ];
}

function denseRows({ width, hidden, kind }: EncoderDecoderConfig, ours: string, theirs: string): Row[] {
  const gated = isGated(kind);
  return [
    transposed(`${ours}.hidden.weight`, width, [`${theirs}.${gated ? "wi_0" : "wi"}.weight`, hidden]),
    ...(gated ? [transposed(`${ours}.factor.weight`, width, [`${theirs}.wi_1.weight`, hidden])] : []),
    transposed(`${ours}.output.weight`, hidden, [`${theirs}.wo.weight`, width]),
  ];
}

function sparseRows({ width, hidden }: EncoderDecoderConfig, { experts, routerBias }: SwitchConfig, ours: string, theirs: string): Row[] {
  const router = `${theirs}.router.classifier`;
  return [
    transposed(`${ours}.router.projection.weight`, width, [`${router}.weight`, experts]),
    ...(routerBias ? [same(`${ours}.router.projection.bias`, [experts], `${router}.bias`)] : []),
    perExpert(`${ours}.experts.hidden`, [experts, width, hidden], (e) => `${theirs}.experts.expert_${e}.wi.weight`),
    perExpert(`${ours}.experts.output`, [experts, hidden, width], (e) => `${theirs}.experts.expert_${e}.wo.weight`),
  ];
}
