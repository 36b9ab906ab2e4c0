/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { SwitchAttention } from "switchyard-moe/moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import { EncoderDecoder } from "switchyard-moe/nn";
import type { Attention, DecoderLanguageModel, Init, Module, StackName } from "switchyard-moe/nn";
import { allHere, causalModel, denseLayer, feedForwardOf, routerAt, settingsOf } from "./layers.ts";
import { sparseLayers, sparseParts } from "./routers.ts";
import type { VariedModel } from "./variant.ts";
import { PADDING, VOCABULARY } from "./vocabulary.ts";

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
  return causalModel(config, random, make, (layer, init) => attentionOf(config, layer, init));
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
