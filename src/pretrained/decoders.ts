/**
 * Mixtral, OLMoE, Qwen2-MoE and Qwen3-MoE: what their config.json says, which names their tensors have, and the `DecoderLanguageModel` that
 * computes them. V vocabulary, D width, F hidden width, H heads, G heads of keys and values, K width of a head, E experts.
 */
import type { Key } from "../autograd/random.ts";
import { FeedForwardExperts } from "../moe/experts.ts";
import { MoE } from "../moe/moeLayer.ts";
import { TopKRouter } from "../moe/topKRouter.ts";
import { DenseFeedForward } from "../nn/feedForward.ts";
import type { FeedForward } from "../nn/feedForward.ts";
import { DecoderLanguageModel } from "../nn/languageModel.ts";
import { Linear } from "../nn/linear.ts";
import type { Init, Module } from "../nn/module.ts";
import type { Fields } from "./config.ts";
import type { FloatDType } from "./stored.ts";
import type { Row } from "./table.ts";
import { fusedExperts, joinedVectors, perExpert, same, transposed } from "./table.ts";

/** Families of decoders, built as `DecoderLanguageModel`. */
export type DecoderFamily = "mixtral" | "olmoe" | "qwen2_moe" | "qwen3_moe";

/** What a decoder family's config.json says, in our terms. */
export interface DecoderConfig {
  readonly family: DecoderFamily;
  /** V */
  readonly vocabulary: number;
  /** D */
  readonly width: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** G */
  readonly keyValueHeads: number;
  /** K */
  readonly headWidth: number;
  /** F of the dense layers; 0 where there are none. */
  readonly hidden: number;
  /** F of an expert. */
  readonly expertHidden: number;
  /** F of the shared expert; 0: there is none. */
  readonly sharedHidden: number;
  /** E */
  readonly experts: number;
  /** Experts of a token. */
  readonly choices: number;
  /** Whether the gates of a token are divided by their sum. */
  readonly renormalised: boolean;
  /** Which layers are sparse. */
  readonly sparse: readonly number[];
  /** Of the projections of attention: of queries, keys and values alone, of all four, or of none. */
  readonly bias: boolean | "inputs";
  readonly queryKeyNorm: "head" | "width" | null;
  /** Queries, keys and values are clipped to this. */
  readonly clip: number | null;
  readonly window: number | null;
  readonly theta: number;
  readonly normEps: number;
  readonly dropout: number;
  readonly tied: boolean;
  /** Coefficient of the load-balancing loss. */
  readonly balance: number;
  readonly endId: number | null;
  /** The longest sequence that it was trained on. */
  readonly context: number;
}

/** The config of a family from its fields. Throws a RangeError that names the field for what is missing, damaged or not supported. */
export function parseDecoder(family: DecoderFamily, fields: Fields): DecoderConfig {
  fields.only("hidden_act", "silu");
  fields.only("rope_scaling", null);
  const [width, heads, layers] = [fields.size("hidden_size"), fields.size("num_attention_heads"), fields.layers("num_hidden_layers")];
  const keyValueHeads = fields.size("num_key_value_heads", family === "mixtral" ? 8 : heads);
  const headWidth = fields.maybeSize("head_dim") ?? width / heads;
  if (!Number.isInteger(headWidth)) fields.fail("num_attention_heads", `does not divide hidden_size ${width}, and there is no head_dim`);
  if (headWidth % 2 !== 0) fields.fail("num_attention_heads", `makes heads of width ${headWidth}, which rotary positions cannot pair`);
  if (heads % keyValueHeads !== 0) fields.fail("num_key_value_heads", `does not divide num_attention_heads ${heads}`);
  const experts = fields.size(family === "mixtral" ? "num_local_experts" : "num_experts");
  const choices = fields.size("num_experts_per_tok");
  if (choices > experts) fields.fail("num_experts_per_tok", `more than the ${experts} experts`);
  return {
    family,
    vocabulary: fields.size("vocab_size"),
    width,
    layers,
    heads,
    keyValueHeads,
    headWidth,
    experts,
    choices,
    theta: thetaOf(fields),
    normEps: fields.positive("rms_norm_eps", family === "mixtral" || family === "olmoe" ? 1e-5 : 1e-6),
    dropout: fields.rate("attention_dropout", 0),
    tied: fields.flag("tie_word_embeddings", false),
    balance: fields.coefficient("router_aux_loss_coef", 0.001),
    endId: endOf(fields),
    context: fields.size("max_position_embeddings", 4096),
    ...own[family](fields, layers),
  };
}

type Own = "hidden" | "expertHidden" | "sharedHidden" | "renormalised" | "sparse" | "bias" | "queryKeyNorm" | "clip" | "window";

const all = (layers: number): number[] => Array.from({ length: layers }, (_, i) => i);

/** What the families have each their own way. */
const own: Readonly<Record<DecoderFamily, (fields: Fields, layers: number) => Pick<DecoderConfig, Own>>> = {
  mixtral: (fields, layers) => {
    fields.only("router_jitter_noise", 0);
    const expertHidden = fields.size("intermediate_size");
    const common = { hidden: 0, sharedHidden: 0, bias: false, queryKeyNorm: null, clip: null } as const;
    return { ...common, expertHidden, renormalised: true, sparse: all(layers), window: fields.maybeSize("sliding_window") };
  },
  olmoe: (fields, layers) => {
    const common = { hidden: 0, sharedHidden: 0, queryKeyNorm: "width", window: null } as const;
    return {
      ...common,
      expertHidden: fields.size("intermediate_size"),
      renormalised: fields.flag("norm_topk_prob", false),
      sparse: all(layers),
      bias: fields.flag("attention_bias", false),
      clip: fields.maybePositive("clip_qkv"),
    };
  },
  qwen2_moe: (fields, layers) => {
    const sharedHidden = fields.size("shared_expert_intermediate_size");
    return { ...qwen(fields, layers), sharedHidden, bias: fields.flag("qkv_bias", true) && "inputs", queryKeyNorm: null };
  },
  qwen3_moe: (fields, layers) => {
    return { ...qwen(fields, layers), sharedHidden: 0, bias: fields.flag("attention_bias", false), queryKeyNorm: "head" };
  },
};

function qwen(fields: Fields, layers: number): Pick<DecoderConfig, Exclude<Own, "sharedHidden" | "bias" | "queryKeyNorm">> {
  fields.only("use_sliding_window", false);
  const step = fields.size("decoder_sparse_step", 1);
  const dense = fields.raw("mlp_only_layers") ?? [];
  if (!Array.isArray(dense) || !dense.every((i) => Number.isInteger(i) && i >= 0 && i < layers))
    fields.fail("mlp_only_layers", `want an array of layers from 0 to ${layers - 1}`);
  const sparse = all(layers).filter((i) => (i + 1) % step === 0 && !dense.includes(i));
  return {
    hidden: sparse.length === layers ? 0 : fields.size("intermediate_size"),
    expertHidden: fields.size("moe_intermediate_size"),
    renormalised: fields.flag("norm_topk_prob", false),
    sparse,
    clip: null,
    window: null,
  };
}

/** `rope_theta`, which transformers 5 writes into `rope_parameters`. */
function thetaOf(fields: Fields): number {
  const nested = fields.raw("rope_parameters");
  if (typeof nested !== "object" || nested === null) return fields.positive("rope_theta", 10000);
  const { rope_theta: theta = 10000, rope_type: type = "default" } = nested as Record<string, unknown>;
  if (type !== "default" || typeof theta !== "number" || !(theta > 0))
    fields.fail("rope_parameters", 'only { rope_theta, rope_type: "default" } is supported');
  return theta;
}

/** The first of several end tokens. */
function endOf(fields: Fields): number | null {
  const end: unknown = fields.raw("eos_token_id") ?? null;
  const first: unknown = Array.isArray(end) ? (end[0] ?? null) : end;
  return first === null || Number.isSafeInteger(first) ? (first as number | null) : fields.fail("eos_token_id", "want a whole number");
}

const architectures: Readonly<Record<DecoderFamily, string>> = {
  mixtral: "MixtralForCausalLM",
  olmoe: "OlmoeForCausalLM",
  qwen2_moe: "Qwen2MoeForCausalLM",
  qwen3_moe: "Qwen3MoeForCausalLM",
};

/** The fields of config.json that say `config`; `parseDecoder` reads it again. */
export function formatDecoder(config: DecoderConfig): Record<string, unknown> {
  const { family, width, heads, headWidth, endId } = config;
  return {
    architectures: [architectures[family]],
    model_type: family,
    vocab_size: config.vocabulary,
    hidden_size: width,
    num_hidden_layers: config.layers,
    num_attention_heads: heads,
    num_key_value_heads: config.keyValueHeads,
    ...(headWidth * heads === width ? {} : { head_dim: headWidth }),
    hidden_act: "silu",
    rms_norm_eps: config.normEps,
    rope_theta: config.theta,
    max_position_embeddings: config.context,
    attention_dropout: config.dropout,
    tie_word_embeddings: config.tied,
    num_experts_per_tok: config.choices,
    router_aux_loss_coef: config.balance,
    ...(endId === null ? {} : { eos_token_id: endId }),
    use_cache: true,
    ...formatOwn(config),
  };
}

/** Where a family has no flag for it, gates are as the family has them. */
function formatOwn(config: DecoderConfig): Record<string, unknown> {
  const { family, experts, expertHidden, renormalised, bias, sparse, layers } = config;
  if (family === "mixtral") return { num_local_experts: experts, intermediate_size: expertHidden, sliding_window: config.window };
  const shared = { num_experts: experts, norm_topk_prob: renormalised };
  if (family === "olmoe") return { ...shared, intermediate_size: expertHidden, attention_bias: bias === true, clip_qkv: config.clip };
  return {
    ...shared,
    // Qwen's dense layers have a width even where there are none.
    intermediate_size: config.hidden || expertHidden,
    moe_intermediate_size: expertHidden,
    decoder_sparse_step: 1,
    mlp_only_layers: all(layers).filter((i) => !sparse.includes(i)),
    use_sliding_window: false,
    ...(family === "qwen2_moe"
      ? { shared_expert_intermediate_size: config.sharedHidden, qkv_bias: bias === "inputs" }
      : { attention_bias: bias === true }),
  };
}

// The model

/** A model of the config, weights as `random` draws them. */
export function buildDecoder(
  config: DecoderConfig,
  { random, dtype }: { readonly random: Key; readonly dtype: FloatDType },
): DecoderLanguageModel {
  const { vocabulary, width, layers, heads, keyValueHeads, headWidth, hidden, window, theta, normEps, queryKeyNorm, clip, dropout, tied } =
    config;
  return new DecoderLanguageModel({
    vocabulary,
    width,
    layers,
    heads,
    keyValueHeads,
    headWidth,
    window,
    theta,
    normEps,
    queryKeyNorm,
    clip,
    dropout,
    tied,
    ...(hidden > 0 && { hidden }),
    positions: "rotary",
    norm: "rms",
    kind: "swiglu",
    attentionBias: config.bias,
    feedForward: (layer, init) => (config.sparse.includes(layer) ? sparseLayer(config, init) : undefined),
    random,
    dtype,
  });
}

function sparseLayer(
  { width, experts, choices, expertHidden, sharedHidden, renormalised, balance }: DecoderConfig,
  { random, dtype = "float32" }: Init,
): FeedForward & Module {
  const init = (part: string): Init => ({ random: random.at(part), dtype });
  const dense = { kind: "swiglu", bias: false } as const;
  return new MoE({
    router: new TopKRouter({ experts, width, choices, balance, normalise: renormalised ? "after" : "before", ...init("router") }),
    experts: new FeedForwardExperts({ experts, width, hidden: expertHidden, ...dense, ...init("experts") }),
    ...(sharedHidden > 0 && {
      shared: new DenseFeedForward(width, sharedHidden, { ...dense, ...init("shared") }),
      sharedGate: new Linear(width, 1, { bias: false, ...init("sharedGate") }),
    }),
    trainingCapacityFactor: "dropless",
  });
}

// Names

/** Buffers of earlier versions of transformers, which hold nothing that was learnt. */
export const ignoredByDecoders = /\.rotary_emb\.inv_freq$/;

/** The tensors of a checkpoint of this family. */
export function decoderTable(config: DecoderConfig): Row[] {
  const { vocabulary, width, layers, tied } = config;
  const embedding = ["model.embed_tokens.weight", ...(tied ? ["lm_head.weight"] : [])];
  return [
    same("embedding.weight", [vocabulary, width], ...embedding),
    ...all(layers).flatMap((i) => layerRows(config, i)),
    same("norm.weight", [width], "model.norm.weight"),
    ...(tied ? [] : [transposed("head.weight", width, ["lm_head.weight", vocabulary])]),
  ];
}

function layerRows(config: DecoderConfig, layer: number): Row[] {
  const { width } = config;
  const [ours, theirs] = [`blocks.${layer}`, `model.layers.${layer}`];
  return [
    same(`${ours}.attentionNorm.weight`, [width], `${theirs}.input_layernorm.weight`),
    ...attentionRows(config, `${ours}.attention`, `${theirs}.self_attn`),
    same(`${ours}.feedForwardNorm.weight`, [width], `${theirs}.post_attention_layernorm.weight`),
    ...(config.sparse.includes(layer)
      ? sparseRows(config, ours, theirs)
      : gatedRows(`${ours}.feedForward`, `${theirs}.mlp`, width, config.hidden)),
  ];
}

function attentionRows({ width, heads, keyValueHeads, headWidth, bias, queryKeyNorm }: DecoderConfig, ours: string, theirs: string): Row[] {
  const [queries, groups] = [heads * headWidth, keyValueHeads * headWidth];
  const inputs = (what: string) => [[`${theirs}.q_proj.${what}`, queries], [`${theirs}.k_proj.${what}`, groups], [`${theirs}.v_proj.${what}`, groups]] as const; // prettier-ignore
  const norms = queryKeyNorm === "head" ? [headWidth, headWidth] : [queries, groups];
  return [
    transposed(`${ours}.projection.weight`, width, ...inputs("weight")),
    ...(bias ? [joinedVectors(`${ours}.projection.bias`, ...inputs("bias"))] : []),
    ...(queryKeyNorm ? [same(`${ours}.queryNorm.weight`, [norms[0]], `${theirs}.q_norm.weight`), same(`${ours}.keyNorm.weight`, [norms[1]], `${theirs}.k_norm.weight`)] : []), // prettier-ignore
    transposed(`${ours}.output.weight`, queries, [`${theirs}.o_proj.weight`, width]),
    ...(bias === true ? [same(`${ours}.output.bias`, [width], `${theirs}.o_proj.bias`)] : []),
  ];
}

function gatedRows(ours: string, theirs: string, width: number, hidden: number): Row[] {
  return [
    transposed(`${ours}.hidden.weight`, width, [`${theirs}.gate_proj.weight`, hidden]),
    transposed(`${ours}.factor.weight`, width, [`${theirs}.up_proj.weight`, hidden]),
    transposed(`${ours}.output.weight`, hidden, [`${theirs}.down_proj.weight`, width]),
  ];
}

/** What the families call the parts of a sparse layer: gate, up and down of an expert. */
const sparseNames = {
  mixtral: { mlp: "block_sparse_moe", parts: ["w1", "w3", "w2"] },
  others: { mlp: "mlp", parts: ["gate_proj", "up_proj", "down_proj"] },
} as const;

function sparseRows(config: DecoderConfig, layer: string, theirLayer: string): Row[] {
  const { family, width, experts, expertHidden: F, sharedHidden } = config;
  const { mlp, parts } = family === "mixtral" ? sparseNames.mixtral : sparseNames.others;
  const [ours, theirs] = [`${layer}.feedForward`, `${theirLayer}.${mlp}`];
  // transformers 5 has Mixtral's sparse layer under the others' name, in memory and sometimes on disk.
  const either = (name: string): string[] => [...new Set([`${theirs}.${name}`, `${theirLayer}.mlp.${name}`])];
  const each = (parameter: string, part: string, from: number, to: number): Row =>
    perExpert(`${ours}.experts.${parameter}`, [experts, from, to], (e) => `${theirs}.experts.${e}.${part}.weight`);
  const gateUp = either("experts.gate_up_proj");
  const half = (from: number, to: number) => [fusedExperts(gateUp, [experts, 2 * F, width], [from, to])];
  return [
    transposed(`${ours}.router.projection.weight`, width, [either("gate.weight"), experts]),
    { ...each("hidden", parts[0], width, F), fused: half(0, F) }, // the gate's half comes first
    { ...each("factor", parts[1], width, F), fused: half(F, 2 * F) },
    { ...each("output", parts[2], F, width), fused: [fusedExperts(either("experts.down_proj"), [experts, width, F])] },
    ...(sharedHidden > 0 ? sharedRows(ours, theirs, width, sharedHidden) : []),
  ];
}

function sharedRows(ours: string, theirs: string, width: number, hidden: number): Row[] {
  return [
    ...gatedRows(`${ours}.shared`, `${theirs}.shared_expert`, width, hidden),
    transposed(`${ours}.sharedGate.weight`, width, [`${theirs}.shared_expert_gate.weight`, 1]),
  ];
}
