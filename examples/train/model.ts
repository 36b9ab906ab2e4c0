/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchAttention } from "switchyard-moe/moe";
import type { CapacityFactor, Experts, FeedForwardExpertsOptions } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, EncoderDecoder, initializers } from "switchyard-moe/nn";
import type { Attention, FeedForward, Init, Module, StackName } from "switchyard-moe/nn";
import type { VariedModel } from "./variant.ts";
import type { RouterName } from "./routerNames.ts";
import { sparseLayers, sparseParts } from "./routers.ts";
import { BYTES, PADDING, VOCABULARY } from "./vocabulary.ts";

function initializerOf({ initScale }: VariedModel): initializers.Initializer {
  return initializers.scaledTruncatedNormal(initScale);
}

/** What both kinds of model share. */
function settingsOf({ width, heads, hidden, initScale, precision, dropout }: VariedModel, random: Key) {
  return { width, heads, hidden, initScale, dropout, random, compute: precision };
}

/** Makes the experts of a sparse layer; where processes share them out, those of this one. */
export type MakeExperts = (options: FeedForwardExpertsOptions) => Experts;

const allHere: MakeExperts = (options) => new FeedForwardExperts(options);

/** The router of a place of a layer, "dense" where it is not sparse: every `sparseEvery`-th layer is. */
function routerAt({ router, sparseEvery, variant }: VariedModel, layer: number, place: "feedForward" | "attention"): VariedModel["router"] {
  const { sparsePlaces = "feedForward" } = variant ?? {};
  return (layer + 1) % sparseEvery === 0 && (sparsePlaces === "both" || sparsePlaces === place) ? router : "dense";
}

/** The feed-forward layer of a block. */
function feedForwardOf(config: VariedModel, layer: number, init: Init, make: MakeExperts): FeedForward & Module {
  const router = routerAt(config, layer, "feedForward");
  return router === "dense" ? denseLayer(config, init) : sparseLayer(config, router, init, make);
}

function denseLayer(config: VariedModel, init: Init): DenseFeedForward {
  const { width, hidden, dropout } = config;
  return new DenseFeedForward(width, hidden, { ...init, ...kindOf(config), bias: false, dropout, initializer: initializerOf(config) });
}

const kindOf = ({ variant }: VariedModel) => (variant?.kind ? { kind: variant.kind } : {});

/** The attention of a layer; undefined: the default one. */
function attentionOf(config: VariedModel, layer: number, init: Init, scale?: number): (Attention & Module) | undefined {
  const router = routerAt(config, layer, "attention");
  if (router === "dense") return undefined;
  const { width, heads, experts, capacityFactor } = config;
  return new SwitchAttention(width, {
    ...init,
    heads,
    experts,
    router: (of) => sparseParts({ ...config, router }, of).router,
    trainingCapacityFactor: capacityFactor === Infinity ? "dropless" : capacityFactor,
    ...(scale !== undefined && { scale }),
  });
}

/** A causal byte-level language model. */
export function buildModel(config: VariedModel, random: Key, make = allHere): DecoderLanguageModel {
  return new DecoderLanguageModel({
    ...settingsOf(config, random),
    layers: config.layers,
    vocabulary: BYTES,
    context: config.length,
    attention: (layer, init) => attentionOf(config, layer, init),
    feedForward: (layer, init) => feedForwardOf(config, layer, init, make),
  });
}

/** Of the attention scores: T5's, as in the dense layers of an encoder-decoder. */
const T5_SCALE = 1;

/** The Switch Transformer's own form: an encoder and a decoder, sparse at the same places of both. */
export function buildEncoderDecoder(config: VariedModel, random: Key): EncoderDecoder {
  const isSparse = (stack: StackName): boolean => stack === (config.variant?.sparseStack ?? stack);
  return new EncoderDecoder({
    ...settingsOf(config, random),
    layers: config.layers,
    vocabulary: VOCABULARY,
    start: PADDING,
    // As in T5 1.1. With one tied table of deviation 1 as in T5 1.0, 300 steps of Adam on two languages end at 2.51 nats per token instead
    // of 2.15.
    tied: false,
    feedForward: (stack, layer, init) => (isSparse(stack) ? feedForwardOf(config, layer, init, allHere) : denseLayer(config, init)),
    attention: (stack, layer, init) => (isSparse(stack) ? attentionOf(config, layer, init, T5_SCALE) : undefined),
  });
}

function sparseLayer(config: VariedModel, router: RouterName, { random }: Init, make: MakeExperts): MoE {
  const { width, expertDropout, capacityFactor } = config;
  const parts = sparseParts({ ...config, router }, { random: random.at("router") });
  const initializer = initializerOf(config);
  const { experts, hidden } = parts;
  return new MoE({
    router: parts.router,
    experts: make({
      experts,
      width,
      hidden,
      ...kindOf(config),
      bias: false,
      random: random.at("experts"),
      initializer,
      dropout: expertDropout,
    }),
    ...(parts.shared && {
      shared: new DenseFeedForward(width, hidden, { ...kindOf(config), random: random.at("shared"), bias: false, initializer }),
    }),
    trainingCapacityFactor: parts.dropless || capacityFactor === Infinity ? "dropless" : capacityFactor,
  });
}

/** Evaluates with another capacity factor than the layers' own, which drop nothing. */
export async function withCapacity<T>(model: Module, factor: CapacityFactor, use: () => Promise<T>): Promise<T> {
  const layers = sparseLayers(model);
  const own = layers.map((layer) => layer.evaluationCapacityFactor);
  for (const layer of layers) layer.evaluationCapacityFactor = factor;
  try {
    return await use();
  } finally {
    layers.forEach((layer, i) => (layer.evaluationCapacityFactor = own[i]));
  }
}
