/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE } from "switchyard-moe/moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, initializers } from "switchyard-moe/nn";
import type { FeedForward, Init, Module } from "switchyard-moe/nn";
import type { ModelConfig } from "./modelOptions.ts";
import type { RouterName } from "./routerNames.ts";
import { sparseLayers, sparseParts } from "./routers.ts";

export const BYTES = 256;

function initializerOf({ initScale }: ModelConfig): initializers.Initializer {
  return initializers.scaledTruncatedNormal(initScale);
}

export function buildModel(config: ModelConfig, random: Key): DecoderLanguageModel {
  const { width, layers, heads, hidden, length, initScale, precision } = config;
  const dense = (init: Init): DenseFeedForward =>
    new DenseFeedForward(width, hidden, { ...init, bias: false, initializer: initializerOf(config) });
  const feedForward = (layer: number, init: Init): FeedForward & Module => {
    const { router } = config;
    return router === "dense" || (layer + 1) % config.sparseEvery !== 0 ? dense(init) : sparseLayer(config, router, init);
  };
  return new DecoderLanguageModel({
    vocabulary: BYTES,
    width,
    layers,
    heads,
    hidden,
    context: length,
    initScale,
    random,
    feedForward,
    compute: precision,
  });
}

function sparseLayer(config: ModelConfig, router: RouterName, { random }: Init): MoE {
  const { width, expertDropout, capacityFactor } = config;
  const parts = sparseParts({ ...config, router }, { random: random.at("router") });
  const initializer = initializerOf(config);
  const { experts, hidden } = parts;
  return new MoE({
    router: parts.router,
    experts: new FeedForwardExperts({
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
export async function withCapacity<T>(model: DecoderLanguageModel, factor: CapacityFactor, use: () => Promise<T>): Promise<T> {
  const layers = sparseLayers(model);
  const own = layers.map((layer) => layer.evaluationCapacityFactor);
  for (const layer of layers) layer.evaluationCapacityFactor = factor;
  try {
    return await use();
  } finally {
    layers.forEach((layer, i) => (layer.evaluationCapacityFactor = own[i]));
  }
}
