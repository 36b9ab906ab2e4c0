/** The published family that a model has the architecture of, and its config: with it, a model that was trained here can be opened elsewhere. */
import type { Kinds } from "../autograd/arguments.ts";
import { check, checkOptions, describe, either, instance, optional, whole } from "../autograd/arguments.ts";
import { FeedForwardExperts } from "../moe/experts.ts";
import { MoE } from "../moe/moeLayer.ts";
import { SwitchRouter } from "../moe/switchRouter.ts";
import { TopKRouter } from "../moe/topKRouter.ts";
import type { Block } from "../nn/block.ts";
import { EncoderDecoder } from "../nn/encoderDecoder.ts";
import type { StackName } from "../nn/encoderDecoder.ts";
import { DenseFeedForward, isGated } from "../nn/feedForward.ts";
import type { FeedForwardKind } from "../nn/feedForward.ts";
import { DecoderLanguageModel } from "../nn/languageModel.ts";
import { MultiHeadAttention } from "../nn/multiHeadAttention.ts";
import type { CommonSettings } from "../nn/stackSettings.ts";
import type { DecoderConfig, DecoderFamily } from "./decoderConfig.ts";
import { formatDecoder } from "./decoderConfig.ts";
import { decoderTable } from "./decoders.ts";
import type { EncoderDecoderConfig, SwitchConfig } from "./encoderDecoderConfig.ts";
import { formatEncoderDecoder, isEncoderDecoder, sparseLayers } from "./encoderDecoderConfig.ts";
import { encoderDecoderTable } from "./encoderDecoders.ts";
import type { Row } from "./table.ts";
import { firstOf } from "./weights.ts";

/** What config.json says that the model itself does not know. */
export interface TokenIds {
  /** The id of padding, for encoder-decoders. Default 0. */
  readonly padId?: number;
  /** The id that ends a text. Default 1 for encoder-decoders, none for decoders. */
  readonly endId?: number;
  /** The longest sequence that a decoder was trained on. Default 4,096. */
  readonly context?: number;
}

export const tokenKinds: Kinds<TokenIds> = { padId: optional(whole(0)), endId: optional(whole(0)), context: optional(whole(1)) };

/** The config of a model of any family; its field `family` says which. */
export type ModelConfig = EncoderDecoderConfig | DecoderConfig;

/** Which tensors of a file make which parameters of a model of this config. */
export function tableOf(config: ModelConfig): Row[] {
  return isEncoderDecoder(config) ? encoderDecoderTable(config) : decoderTable(config);
}

/** The fields of the config.json of `config`. */
export function formatOf(config: ModelConfig): Record<string, unknown> {
  return isEncoderDecoder(config) ? formatEncoderDecoder(config) : formatDecoder(config);
}

/**
 * The config of a model, which names its family. Throws a RangeError that lists the reasons where no published family fits: settings that none has,
 * such as a bias by distance, or layers that are neither dense nor sparse with the family's router.
 */
export function familyOf(model: EncoderDecoder | DecoderLanguageModel, ids: TokenIds = {}): ModelConfig {
  check("familyOf", "model", model, either(instance(EncoderDecoder, "an EncoderDecoder"), instance(DecoderLanguageModel)));
  checkOptions("familyOf", ids, tokenKinds);
  const faults: string[] = [];
  const config = model instanceof EncoderDecoder ? encoderDecoderConfig(model, ids, faults) : decoderConfig(model, ids, faults);
  if (faults.length > 0) throw new RangeError(`this model has no published family: ${firstOf([...new Set(faults)], "; ")}`);
  return config;
}

/** Adds a fault for each setting that has another value than in the families. */
function requireSettings(given: Readonly<Record<string, unknown>>, wanted: Readonly<Record<string, unknown>>, faults: string[]): void {
  for (const [name, value] of Object.entries(wanted))
    if (given[name] !== value) faults.push(`${name} is ${describe(given[name])}, the families have ${describe(value)}`);
}

/** All families have RMS norms and no biases in linear layers. */
function requirePlain({ norm = "rms", bias = false }: CommonSettings, faults: string[]): void {
  requireSettings({ norm, bias }, { norm: "rms", bias: false }, faults);
}

/** What the options of a model say of its attention. */
interface AttentionSettings extends Pick<MultiHeadAttention, "heads" | "keyValueHeads" | "headWidth" | "scale" | "clip"> {
  readonly rotary: boolean;
  readonly queryKeyNorm: boolean;
}

/** Adds a fault for each block whose attention, which the option `attention` may have made, is not what the other options say. */
function requireAttention(blocks: readonly Block[], wanted: AttentionSettings, faults: string[]): void {
  for (const [layer, { attention }] of blocks.entries()) {
    if (!(attention instanceof MultiHeadAttention)) {
      faults.push(`the attention of layer ${layer} is no MultiHeadAttention`);
      continue;
    }
    const { heads, keyValueHeads, headWidth, scale, clip, rotary, queryNorm } = attention;
    const own = { heads, keyValueHeads, headWidth, scale, clip, rotary: rotary !== null, queryKeyNorm: queryNorm !== null };
    if (Object.entries(own).some(([name, value]) => value !== wanted[name as keyof AttentionSettings]))
      faults.push(`the attention of layer ${layer} has other settings than the model's options`);
  }
}

/** The feed-forward layers of some blocks, dense and sparse ones. */
interface Places {
  readonly dense: DenseFeedForward[];
  readonly sparse: { readonly layer: number; readonly moe: MoE; readonly experts: FeedForwardExperts }[];
}

function placesOf(blocks: readonly Block[], faults: string[]): Places {
  const places: Places = { dense: [], sparse: [] };
  for (const [layer, { feedForward }] of blocks.entries()) {
    if (feedForward instanceof DenseFeedForward) places.dense.push(feedForward);
    else if (feedForward instanceof MoE && feedForward.experts instanceof FeedForwardExperts)
      places.sparse.push({ layer, moe: feedForward, experts: feedForward.experts });
    else faults.push(`layer ${layer} is neither a DenseFeedForward nor a MoE of FeedForwardExperts`);
  }
  return places;
}

/** The value that all share; adds a fault where they differ. */
function common<T>(name: string, values: readonly T[], faults: string[]): T | undefined {
  const [first, ...others] = [...new Set(values)];
  if (others.length > 0) faults.push(`${name} differs between layers: ${[first, ...others].map(describe).join(", ")}`);
  return first;
}

function sizesOf(
  { dense, sparse }: Places,
  faults: string[],
): { hidden: number | undefined; expertHidden: number | undefined; kind: FeedForwardKind } {
  const hidden = common("hidden", dense.map((layer) => layer.hidden.weight.shape[1]), faults); // prettier-ignore
  const expertHidden = common("the hidden width of the experts", sparse.map(({ experts }) => experts.hidden.shape[2]), faults); // prettier-ignore
  const kind = common("kind", [...dense.map((layer) => layer.kind), ...sparse.map(({ experts }) => experts.kind)], faults) ?? "relu";
  if (sparse.some(({ experts }) => experts.hiddenBias) || dense.some((layer) => layer.hidden.bias))
    faults.push("feed-forward layers have biases");
  return { hidden, expertHidden, kind };
}

// T5 and Switch

function encoderDecoderConfig(model: EncoderDecoder, { padId = 0, endId = 1 }: TokenIds, faults: string[]): EncoderDecoderConfig {
  const { options, encoder, decoder } = model;
  const { vocabulary, width, heads, headWidth = width / heads, keyValueHeads = heads, attentionBias = false } = options;
  const { positions = "buckets", scale = 1, shared = true, buckets = 32, maxDistance = 128 } = options;
  requirePlain(options, faults);
  const attention = { heads, keyValueHeads, headWidth, scale, clip: null, rotary: false, queryKeyNorm: false };
  for (const { blocks } of [encoder, decoder]) requireAttention(blocks, attention, faults);
  requireSettings({ positions, scale, shared, attentionBias, keyValueHeads }, { positions: "buckets", scale: 1, shared: true, attentionBias: false, keyValueHeads: heads }, faults); // prettier-ignore
  const places = { encoder: placesOf(encoder.blocks, faults), decoder: placesOf(decoder.blocks, faults) };
  const both = { dense: [...places.encoder.dense, ...places.decoder.dense], sparse: [...places.encoder.sparse, ...places.decoder.sparse] };
  const { hidden, expertHidden, kind } = sizesOf(both, faults);
  common(
    "the hidden width of dense layers and experts",
    [hidden, expertHidden].filter((n) => n !== undefined),
    faults,
  );
  const layers = { encoder: encoder.blocks.length, decoder: decoder.blocks.length };
  return {
    family: both.sparse.length > 0 ? "switch_transformers" : "t5",
    vocabulary,
    width,
    headWidth,
    hidden: hidden ?? expertHidden ?? 1,
    heads,
    layers,
    buckets,
    maxDistance,
    dropout: options.dropout ?? 0,
    normEps: options.normEps ?? 1e-6,
    kind,
    tied: options.tied ?? true,
    padId,
    endId,
    startId: model.start,
    sparse: both.sparse.length > 0 ? switchConfig(places, layers, kind, options.routePadding ?? false, faults) : null,
  };
}

function switchConfig(
  places: Readonly<Record<StackName, Places>>,
  layers: Readonly<Record<StackName, number>>,
  kind: FeedForwardKind,
  routePadding: boolean,
  faults: string[],
): SwitchConfig {
  const all = [...places.encoder.sparse, ...places.decoder.sparse];
  const routers = all.flatMap(({ moe: { router } }) => (router instanceof SwitchRouter ? [router] : []));
  if (routers.length < all.length) faults.push("a router is no SwitchRouter");
  if (all.some(({ moe }) => moe.shared)) faults.push("there are shared experts");
  if (all.some(({ moe }) => moe.expertCapacity === null && moe.evaluationCapacityFactor !== "dropless"))
    faults.push("experts have a capacity factor in evaluation, switch_transformers a number of slots or none");
  if (all.some(({ moe }) => moe.expertCapacity !== null) && routers.some(({ options: { group = "batch" } }) => group !== "sequence"))
    faults.push("a router with an expertCapacity has not the group of a sequence, switch_transformers counts slots by sequence");
  if (isGated(kind)) faults.push(`kind is ${describe(kind)}, switch_transformers has no gated ones`);
  const sparse = { encoder: places.encoder.sparse.map(({ layer }) => layer), decoder: places.decoder.sparse.map(({ layer }) => layer) };
  for (const stack of ["encoder", "decoder"] as const) {
    const said = sparseLayers(layers[stack], sparse[stack].length);
    if (String(said) !== String(sparse[stack]))
      faults.push(`layers ${sparse[stack].join(", ")} of the ${stack} are sparse; switch_transformers can only say ${said.join(", ")}`);
  }
  return {
    experts: common("the number of experts", all.map(({ experts }) => experts.count), faults) ?? 1,
    expertCapacity: common("expertCapacity", all.map(({ moe }) => moe.expertCapacity), faults) ?? null,
    dropped: common("dropped", all.map(({ moe }) => moe.dropped), faults) ?? "zero",
    routePadding,
    routerBias: common("the bias of the router", routers.map(({ projection }) => projection.bias !== null), faults) ?? false,
    jitter: common("jitter", routers.map(({ options }) => options.jitter ?? 0), faults) ?? 0,
    balance: common("balance", routers.map(({ options }) => options.balance ?? 0), faults) ?? 0,
    zLoss: common("zLoss", routers.map(({ options }) => options.zLoss ?? 0), faults) ?? 0,
    sparse,
  }; // prettier-ignore
}

// Decoders

function decoderConfig(model: DecoderLanguageModel, { endId, context = 4096 }: TokenIds, faults: string[]): DecoderConfig {
  const { options, blocks } = model;
  const {
    vocabulary,
    width,
    heads,
    keyValueHeads = heads,
    headWidth = width / heads,
    attentionBias = false,
    queryKeyNorm = null,
  } = options;
  const { positions = "distance", scale = 1 / Math.sqrt(headWidth), clip = null, window = null } = options;
  requirePlain(options, faults);
  requireSettings({ positions, scale }, { positions: "rotary", scale: 1 / Math.sqrt(headWidth) }, faults);
  const attention = { heads, keyValueHeads, headWidth, scale, clip, rotary: positions === "rotary", queryKeyNorm: queryKeyNorm !== null };
  requireAttention(blocks, attention, faults);
  const places = placesOf(blocks, faults);
  const { hidden, expertHidden, kind } = sizesOf(places, faults);
  requireSettings({ kind }, { kind: "swiglu" }, faults);
  const sparse = sparseConfig(places, faults);
  const config = {
    vocabulary,
    width,
    layers: blocks.length,
    heads,
    keyValueHeads,
    headWidth,
    hidden: hidden ?? 0,
    expertHidden: expertHidden ?? 0,
    ...sparse,
    bias: attentionBias,
    queryKeyNorm,
    clip,
    window,
    theta: options.theta ?? 10000,
    normEps: options.normEps ?? 1e-6,
    dropout: options.dropout ?? 0,
    tied: options.tied ?? false,
    endId: endId ?? null,
    context,
  };
  return { family: decoderFamily(config, faults), ...config };
}

type Sparse = Pick<DecoderConfig, "experts" | "choices" | "renormalised" | "sharedHidden" | "balance" | "sparse">;

function sparseConfig({ sparse }: Places, faults: string[]): Sparse {
  const routers = sparse.flatMap(({ moe: { router } }) => (router instanceof TopKRouter ? [router] : []));
  if (sparse.length === 0) faults.push("no layer is sparse");
  if (routers.length < sparse.length) faults.push("a router is no TopKRouter");
  for (const { options, bias, projection } of routers) {
    const { scores = "softmax", gateScale = 1, expertGroups } = options;
    requireSettings({ scores, gateScale, expertGroups }, { scores: "softmax", gateScale: 1, expertGroups: undefined }, faults);
    if (bias || projection.bias) faults.push("a router has a bias");
  }
  if (sparse.some(({ moe }) => moe.evaluationCapacityFactor !== "dropless" || moe.expertCapacity !== null))
    faults.push("experts have a capacity in evaluation, the families drop no token");
  const normalise = common("normalise", routers.map(({ options }) => options.normalise ?? "before"), faults) ?? "before"; // prettier-ignore
  if (normalise !== "before" && normalise !== "after") faults.push(`normalise is ${describe(normalise)}`);
  const shared = sparse.map(({ moe }) => {
    if (!moe.shared) return 0;
    if (moe.shared instanceof DenseFeedForward && moe.shared.kind === "swiglu" && !moe.shared.hidden.bias && moe.sharedGate) return moe.shared.hidden.weight.shape[1]; // prettier-ignore
    faults.push("a shared expert is no gated DenseFeedForward of kind swiglu behind a sharedGate");
    return 0;
  });
  return {
    experts: common("the number of experts", sparse.map(({ experts }) => experts.count), faults) ?? 1,
    choices: common("choices", routers.map(({ options }) => options.choices), faults) ?? 1,
    renormalised: normalise === "after",
    sharedHidden: common("the hidden width of shared experts", shared, faults) ?? 0,
    balance: common("balance", routers.map(({ options }) => options.balance ?? 0), faults) ?? 0,
    sparse: sparse.map(({ layer }) => layer),
  }; // prettier-ignore
}

/** The family that has these settings; adds a fault for each setting that it lacks. */
function decoderFamily(config: Omit<DecoderConfig, "family">, faults: string[]): DecoderFamily {
  const { queryKeyNorm, sharedHidden, window, clip, bias, headWidth, heads, width, sparse, layers, renormalised } = config;
  const family = sharedHidden > 0 ? "qwen2_moe" : queryKeyNorm === "head" ? "qwen3_moe" : queryKeyNorm === "width" ? "olmoe" : "mixtral";
  const lacks = (name: string, has: boolean): void => void (has && faults.push(`${family} has no ${name}`));
  lacks("window", window !== null && family !== "mixtral");
  lacks("clip", clip !== null && family !== "olmoe");
  lacks("biases of attention as these are", family === "mixtral" ? bias !== false : bias === (family === "qwen2_moe" ? true : "inputs"));
  lacks("queryKeyNorm beside a shared expert", family === "qwen2_moe" && queryKeyNorm !== null);
  lacks("heads of a width of their own", (family === "olmoe" || family === "qwen2_moe") && headWidth * heads !== width);
  lacks("dense layers", (family === "mixtral" || family === "olmoe") && sparse.length < layers);
  lacks("gates that are not renormalised", family === "mixtral" && !renormalised);
  return family;
}
