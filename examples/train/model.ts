/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { CapacityFactor, Group, Scope } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, initializers } from "switchyard-moe/nn";
import type { FeedForward, Init, Module } from "switchyard-moe/nn";

/** Everything that decides the shape of a model; saved in its checkpoint, so that one file can generate. */
export interface ModelConfig {
  /** "dense": no experts, the same compute per token. */
  readonly router: "switch" | "dense";
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden width of one expert, and of the dense twin's only one. */
  readonly hidden: number;
  readonly experts: number;
  /** Which layers are sparse: every one, or every other one (the second, the fourth, ...), as in the paper. */
  readonly sparse: "every" | "other";
  /** Bytes of a training sequence. */
  readonly length: number;
  readonly capacityFactor: number;
  /** Coefficient of the load-balancing loss. */
  readonly alpha: number;
  readonly zLoss: number;
  readonly jitter: number;
  readonly group: Group;
  readonly balanceScope: Scope;
  readonly expertDropout: number;
  /** s of the first weights' deviation sqrt(s / fan-in). */
  readonly initScale: number;
}

export const BYTES = 256;

export function buildModel(config: ModelConfig, random: Key): DecoderLanguageModel {
  const { width, layers, heads, hidden, length, initScale } = config;
  const feedForward = (layer: number, init: Init): FeedForward & Module =>
    isSparse(config, layer) ? sparseLayer(config, init) : new DenseFeedForward(width, hidden, { ...init, bias: false, initializer: initializers.scaledTruncatedNormal(initScale) });
  return new DecoderLanguageModel({ vocabulary: BYTES, width, layers, heads, hidden, context: length, initScale, random, feedForward });
}

function isSparse({ router, sparse }: ModelConfig, layer: number): boolean {
  return router !== "dense" && (sparse === "every" || layer % 2 === 1);
}

function sparseLayer(config: ModelConfig, { random }: Init): MoE {
  const { width, hidden, experts, alpha, zLoss, jitter, group, balanceScope, expertDropout } = config;
  const initializer = initializers.scaledTruncatedNormal(config.initScale);
  const router = new SwitchRouter({ width, experts, random: random.at("router"), initializer, balance: alpha, zLoss, jitter, group, balanceScope });
  const bank = new FeedForwardExperts({ experts, width, hidden, random: random.at("experts"), initializer, dropout: expertDropout });
  return new MoE({ router, experts: bank, trainingCapacity: config.capacityFactor });
}

/** The sparse layers of a model. */
export function sparseLayers(model: DecoderLanguageModel): MoE[] {
  return model.blocks.flatMap(({ feedForward }) => (feedForward instanceof MoE ? [feedForward] : []));
}

/** Evaluates with another capacity factor than the layers' own, which drop nothing. */
export async function withCapacity<T>(model: DecoderLanguageModel, factor: CapacityFactor, use: () => Promise<T>): Promise<T> {
  const layers = sparseLayers(model);
  const own = layers.map((layer) => layer.evaluationCapacity);
  for (const layer of layers) layer.evaluationCapacity = factor;
  try {
    return await use();
  } finally {
    layers.forEach((layer, i) => (layer.evaluationCapacity = own[i]));
  }
}
