/** The blocks of the main job's models: feed-forward layers, sparse or dense, and the causal model of them. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE } from "switchyard-moe/moe";
import type { Experts, FeedForwardExpertsOptions } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, initializers } from "switchyard-moe/nn";
import type { Attention, FeedForward, Init, Module } from "switchyard-moe/nn";
import type { RouterName } from "./routerNames.ts";
import { sparseParts } from "./routers.ts";
import type { VariedModel } from "./variant.ts";
import { BYTES } from "./vocabulary.ts";

function initializerOf({ initScale }: VariedModel): initializers.Initializer {
  return initializers.scaledTruncatedNormal(initScale);
}

/** What both kinds of model share. */
export function settingsOf({ width, heads, hidden, initScale, precision, dropout }: VariedModel, random: Key) {
  return { width, heads, hidden, initScale, dropout, random, compute: precision };
}

/** Makes the experts of a sparse layer; where processes share them out, those of this one. */
export type MakeExperts = (options: FeedForwardExpertsOptions) => Experts;

export const allHere: MakeExperts = (options) => new FeedForwardExperts(options);

/** The router of a place of a layer, "dense" where it is not sparse: every `sparseEvery`-th layer is. */
export function routerAt(
  { router, sparseEvery, variant }: VariedModel,
  layer: number,
  place: "feedForward" | "attention",
): VariedModel["router"] {
  const { sparsePlaces = "feedForward" } = variant ?? {};
  return (layer + 1) % sparseEvery === 0 && (sparsePlaces === "both" || sparsePlaces === place) ? router : "dense";
}

/** The feed-forward layer of a block. */
export function feedForwardOf(config: VariedModel, layer: number, init: Init, make: MakeExperts): FeedForward & Module {
  const router = routerAt(config, layer, "feedForward");
  return router === "dense" ? denseLayer(config, init) : sparseLayer(config, router, init, make);
}

export function denseLayer(config: VariedModel, init: Init): DenseFeedForward {
  const { width, hidden, dropout } = config;
  return new DenseFeedForward(width, hidden, { ...init, ...kindOf(config), bias: false, dropout, initializer: initializerOf(config) });
}

const kindOf = ({ variant }: VariedModel) => (variant?.kind ? { kind: variant.kind } : {});

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

/** A causal byte-level language model; `attention` makes that of a layer where it is not the default one. */
export function causalModel(
  config: VariedModel,
  random: Key,
  make: MakeExperts = allHere,
  attention?: (layer: number, init: Init) => (Attention & Module) | undefined,
): DecoderLanguageModel {
  return new DecoderLanguageModel({
    ...settingsOf(config, random),
    layers: config.layers,
    vocabulary: BYTES,
    context: config.length,
    ...(attention && { attention }),
    feedForward: (layer, init) => feedForwardOf(config, layer, init, make),
  });
}
