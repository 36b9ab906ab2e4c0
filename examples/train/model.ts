/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE } from "switchyard-moe/moe";
import type { CapacityFactor, Experts, FeedForwardExpertsOptions } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, EncoderDecoder, initializers } from "switchyard-moe/nn";
import type { FeedForward, Init, Module } from "switchyard-moe/nn";
import type { ModelConfig } from "./modelOptions.ts";
import type { RouterName } from "./routerNames.ts";
import { sparseLayers, sparseParts } from "./routers.ts";
import { BYTES, PADDING, VOCABULARY } from "./vocabulary.ts";

function initializerOf({ initScale }: ModelConfig): initializers.Initializer {
  return initializers.scaledTruncatedNormal(initScale);
}

/** What both kinds of model share. */
function settingsOf({ width, heads, hidden, initScale, precision, dropout }: ModelConfig, random: Key) {
  return { width, heads, hidden, initScale, dropout, random, compute: precision };
}

/** Makes the experts of a sparse layer; where processes share them out, those of this one. */
export type MakeExperts = (options: FeedForwardExpertsOptions) => Experts;

const allHere: MakeExperts = (options) => new FeedForwardExperts(options);

/** What stands in the feed-forward place of a layer: every `sparseEvery`-th is sparse. */
function feedForwardOf(config: ModelConfig, layer: number, init: Init, make: MakeExperts): FeedForward & Module {
  const { router, width, hidden, dropout } = config;
  if (router === "dense" || (layer + 1) % config.sparseEvery !== 0)
    return new DenseFeedForward(width, hidden, { ...init, bias: false, dropout, initializer: initializerOf(config) });
  return sparseLayer(config, router, init, make);
}

/** A causal byte-level language model. */
export function buildModel(config: ModelConfig, random: Key, make = allHere): DecoderLanguageModel {
  return new DecoderLanguageModel({
    ...settingsOf(config, random),
    layers: config.layers,
    vocabulary: BYTES,
    context: config.length,
    feedForward: (layer, init) => feedForwardOf(config, layer, init, make),
  });
}

/** The Switch Transformer's own form: an encoder and a decoder, sparse at the same places of both. */
export function buildEncoderDecoder(config: ModelConfig, random: Key): EncoderDecoder {
  return new EncoderDecoder({
    ...settingsOf(config, random),
    layers: config.layers,
    vocabulary: VOCABULARY,
    start: PADDING,
    // As in T5 1.1. With one tied table of deviation 1 as in T5 1.0, 300 steps of Adam on two languages end at 2.51 nats per token instead of 2.15.
    tied: false,
    feedForward: (_stack, layer, init) => feedForwardOf(config, layer, init, allHere),
  });
}

function sparseLayer(config: ModelConfig, router: RouterName, { random }: Init, make: MakeExperts): MoE {
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
      bias: false,
      random: random.at("experts"),
      initializer,
      dropout: expertDropout,
    }),
    ...(parts.shared && { shared: new DenseFeedForward(width, hidden, { random: random.at("shared"), bias: false, initializer }) }),
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
