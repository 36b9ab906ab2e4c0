/**
 * The config.json of Mixtral, OLMoE, Qwen2-MoE and Qwen3-MoE, read and written. V vocabulary, D width, F hidden width, H heads, G heads of keys and
 * values, K width of a head, E experts.
 */
import type { Fields } from "./config.ts";

/** Families of decoders, built as `DecoderLanguageModel`. */
export type DecoderFamily = "mixtral" | "olmoe" | "qwen2_moe" | "qwen3_moe";

/** The config.json of a decoder family, in the terms of this library. */
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
  /** F of dense layers; 0 where there are none. */
  readonly hidden: number;
  /** F of an expert. */
  readonly expertHidden: number;
  /** F of the shared expert; 0: there is none. */
  readonly sharedHidden: number;
  /** E */
  readonly experts: number;
  /** K: the experts of a token. */
  readonly choices: number;
  /** Whether the gates of a token are divided by their sum. */
  readonly renormalised: boolean;
  /** Which layers are sparse. */
  readonly sparse: readonly number[];
  /** Whether the projections of attention have biases; "inputs": only those of queries, keys and values. */
  readonly bias: boolean | "inputs";
  readonly queryKeyNorm: "head" | "width" | null;
  /** Queries, keys and values are clipped to [-clip, clip]; null: not. */
  readonly clip: number | null;
  readonly window: number | null;
  readonly theta: number;
  readonly normEps: number;
  readonly dropout: number;
  readonly tied: boolean;
  /**
   * Coefficient of the load-balancing loss of each layer, whose f is divided by K. transformers does not divide by K, and computes one loss over the
   * tokens of all layers: with the same coefficient its loss is about K times that of one layer here.
   */
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

export const allLayers = (layers: number): number[] => Array.from({ length: layers }, (_, i) => i);

/** The fields that differ between the families. */
const own: Readonly<Record<DecoderFamily, (fields: Fields, layers: number) => Pick<DecoderConfig, Own>>> = {
  mixtral: (fields, layers) => {
    fields.only("router_jitter_noise", 0);
    const expertHidden = fields.size("intermediate_size");
    const common = { hidden: 0, sharedHidden: 0, bias: false, queryKeyNorm: null, clip: null } as const;
    return { ...common, expertHidden, renormalised: true, sparse: allLayers(layers), window: fields.maybeSize("sliding_window") };
  },
  olmoe: (fields, layers) => {
    const common = { hidden: 0, sharedHidden: 0, queryKeyNorm: "width", window: null } as const;
    return {
      ...common,
      expertHidden: fields.size("intermediate_size"),
      renormalised: fields.flag("norm_topk_prob", false),
      sparse: allLayers(layers),
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
  const sparse = allLayers(layers).filter((i) => (i + 1) % step === 0 && !dense.includes(i));
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

/** The fields of the config.json of `config`, which `parseDecoder` reads. */
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

/** The fields that differ between the families. Mixtral has no field for `renormalised`: it always renormalises. */
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
    mlp_only_layers: allLayers(layers).filter((i) => !sparse.includes(i)),
    use_sliding_window: false,
    ...(family === "qwen2_moe"
      ? { shared_expert_intermediate_size: config.sharedHidden, qkv_bias: bias === "inputs" }
      : { attention_bias: bias === true }),
  };
}
