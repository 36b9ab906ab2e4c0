/** The models of the main job: a small byte-level language model whose feed-forward places hold sparse layers, and its dense twin. */
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { CapacityFactor, Priority, Router, Scope } from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, initializers } from "switchyard-moe/nn";
import type { FeedForward, Init, Module } from "switchyard-moe/nn";

/** Everything that decides the shape of a model; saved in its checkpoint, so that one file can generate. */
export interface ModelConfig {
  /** "dense": no experts, the same compute per token. */
  readonly router: RouterName | "dense";
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden width of one expert, and of the dense twin's only one. */
  readonly hidden: number;
  readonly experts: number;
  /** 1: every feed-forward place is sparse; 2: the second, the fourth, ..., as in the paper. */
  readonly sparseEvery: number;
  /** Bytes of a training sequence. */
  readonly length: number;
  /** Infinity: nothing is dropped in training either. */
  readonly capacityFactor: number;
  /** Coefficient of the load-balancing loss. */
  readonly alpha: number;
  readonly zLoss: number;
  readonly jitter: number;
  readonly group: "batch" | "sequence";
  readonly balanceScope: Scope;
  readonly priority: Priority;
  readonly expertDropout: number;
  /** s of the first weights' deviation sqrt(s / fan-in). */
  readonly initScale: number;
  readonly precision: "float32" | "bfloat16";
}

export const BYTES = 256;

/** The routers one can ask for, each with what it makes of a configuration. */
const routers = {
  switch: (config: ModelConfig, init: Init): Router => new SwitchRouter({ ...common(config, init), jitter: config.jitter }),
};

export type RouterName = keyof typeof routers;
export const routerNames = Object.keys(routers) as RouterName[];

function common(config: ModelConfig, init: Init) {
  const { width, experts, alpha, zLoss, group, balanceScope, priority } = config;
  return { ...init, width, experts, balance: alpha, zLoss, group, balanceScope, priority, initializer: initializerOf(config) };
}

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
  const { width, hidden, experts, expertDropout, capacityFactor } = config;
  return new MoE({
    router: routers[router](config, { random: random.at("router") }),
    experts: new FeedForwardExperts({
      experts,
      width,
      hidden,
      random: random.at("experts"),
      initializer: initializerOf(config),
      dropout: expertDropout,
    }),
    trainingCapacity: capacityFactor === Infinity ? "dropless" : capacityFactor,
  });
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
