/**
 * The routers one can ask for, at equal compute per byte: where a byte visits K experts, each expert has a K-th of the hidden width.
 * (So their parameters differ; the summary prints them.) The routers' own files cite the papers.
 * E experts, K choices of a byte.
 */
import {
  BalancedRouter,
  DenseRouter,
  ExpertChoiceRouter,
  HashRouter,
  MoE,
  NoisyTopKRouter,
  SoftRouter,
  SwitchRouter,
  TopKRouter,
  randomHash,
} from "switchyard-moe/moe";
import type { Router } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import type { Init, Module } from "switchyard-moe/nn";
import type { VariedModel } from "./variant.ts";
import type { RouterName } from "./routerNames.ts";
import { BYTES, VOCABULARY } from "./vocabulary.ts";

/** What stands in a sparse layer. */
interface Recipe {
  make(config: VariedModel, init: Init): Router;
  /** Experts that a byte visits, those that are always on included: the hidden width is shared out among them. Default 1. */
  readonly visits?: (config: VariedModel) => number;
  /** Into how many narrower experts each expert is cut. Default 1. */
  readonly finer?: (config: Pick<VariedModel, "variant">) => number;
  /** Whether one of the experts visited is always on. */
  readonly shared?: (config: VariedModel) => boolean;
  /** Nothing is dropped in training, whatever the capacity factor. */
  readonly dropless?: boolean;
}

const FINER = 4;
const vocabularyOf = (architecture: VariedModel["architecture"]): number => (architecture === "decoder" ? BYTES : VOCABULARY);
const choicesOf = ({ experts, variant }: VariedModel): number => variant?.choices ?? Math.min(2, experts);
const finerOf = ({ variant }: Pick<VariedModel, "variant">): number => variant?.finer ?? 1;
const hasShared = ({ variant }: VariedModel): boolean => variant?.shared ?? false;

/** What every projection takes from a configuration. */
function projection({ width, experts, initScale, variant = {} }: VariedModel, init: Init) {
  const { routerDeviation: deviation, routerPrecision: precision } = variant;
  const initializer = deviation === undefined ? initializers.scaledTruncatedNormal(initScale) : initializers.normal(deviation);
  return { ...init, width, experts, initializer, ...(precision && { precision }) };
}

/** And where tokens choose experts. */
function common(config: VariedModel, init: Init) {
  const { alpha, zLoss, group, balanceScope, priority } = config;
  return { ...projection(config, init), balance: alpha, zLoss, group, balanceScope, priority };
}

function switchOf(config: VariedModel, init: Init, attempts = 1): Router {
  const { inputDropout = 0, temperature = 0 } = config.variant ?? {};
  return new SwitchRouter({ ...common(config, init), jitter: config.jitter, inputDropout, temperature, attempts });
}

const recipes = {
  switch: { make: switchOf },
  "no-token-left-behind": { make: (config, init) => switchOf(config, init, Math.min(4, config.experts)) },
  dropless: { make: switchOf, dropless: true },
  "dense-softmax": { make: (config, init) => new DenseRouter(common(config, init)), visits: ({ experts }) => experts },
  // Its weights start at zero, as the paper has it, so --init-scale does not reach them.
  "noisy-top-k": {
    make: (config, init) => {
      const { width, experts, group, balanceScope, priority, variant: { importance = 0.1, load = 0.1 } = {} } = config;
      return new NoisyTopKRouter({ ...init, width, experts, group, balanceScope, priority, importance, load, choices: choicesOf(config) });
    },
    visits: choicesOf,
  },
  "top-k": {
    make: (config, init) =>
      new TopKRouter({ ...common(config, init), experts: finerOf(config) * config.experts, choices: choicesOf(config) }),
    visits: (config) => choicesOf(config) + Number(hasShared(config)),
    finer: finerOf,
    shared: hasShared,
  },
  gshard: {
    make: (config, init) =>
      new TopKRouter({
        ...common(config, init),
        choices: choicesOf(config),
        normalise: "after",
        randomBeyondFirst: 0.5,
        balanceCounts: "first",
      }),
    visits: choicesOf,
  },
  mixtral: {
    make: (config, init) => new TopKRouter({ ...common(config, init), choices: choicesOf(config), normalise: "after" }),
    visits: choicesOf,
    dropless: true,
  },
  deepseek: {
    make: (config, init) =>
      new TopKRouter({
        ...common(config, init),
        balance: 0,
        experts: FINER * config.experts,
        choices: FINER - 1,
        scores: "sigmoid",
        normalise: "after",
        biasRate: 0.001,
        expertGroups: { count: config.experts, keep: Math.ceil(config.experts / 2) },
      }),
    visits: () => FINER,
    finer: () => FINER,
    shared: () => true,
    dropless: true,
  },
  "loss-free": {
    make: (config, init) =>
      new TopKRouter({ ...common(config, init), balance: 0, choices: 1, biasRate: config.variant?.biasRate ?? 0.001 }),
  },
  "expert-choice": {
    make: (config, init) =>
      new ExpertChoiceRouter({ ...projection(config, init), group: config.group, average: choicesOf(config), allowCausal: true }),
    visits: choicesOf,
  },
  "expert-choice-capped": {
    make: (config, init) =>
      new ExpertChoiceRouter({
        ...projection(config, init),
        group: config.group,
        average: choicesOf(config),
        cap: choicesOf(config),
        allowCausal: true,
      }),
    visits: choicesOf,
  },
  soft: {
    make: ({ width, experts, length }, init) =>
      new SoftRouter({ ...init, width, experts, slots: Math.max(1, Math.round(length / experts)), allowCausal: true }),
  },
  hash: {
    make: ({ architecture, experts, group, priority }, init) =>
      new HashRouter({ experts, group, priority, table: randomHash(vocabularyOf(architecture), experts, init.random.at("table")) }),
  },
  balanced: {
    make: (config, init) =>
      new BalancedRouter({ ...projection(config, init), group: config.group, priority: config.priority, allowCausal: true }),
  },
} satisfies Readonly<Record<RouterName, Recipe>>;

/** The router of a configuration and the sizes of the experts behind it. */
export function sparseParts(config: VariedModel & { readonly router: RouterName }, init: Init) {
  const { make, visits, shared, dropless = false }: Recipe = recipes[config.router];
  return {
    router: make(config, init),
    experts: expertCount(config),
    hidden: Math.max(1, Math.round(config.hidden / (visits?.(config) ?? 1))),
    shared: shared?.(config) ?? false,
    dropless,
  };
}

/** Experts of each sparse layer of a configuration; 0: it has none. */
export function expertCount(config: Pick<VariedModel, "router" | "experts" | "variant">): number {
  if (config.router === "dense") return 0;
  const { finer }: Recipe = recipes[config.router];
  return (finer?.(config) ?? 1) * config.experts;
}

/** The sparse layers of a model, in the order of its routings: of an encoder-decoder the encoder's first. */
export function sparseLayers(model: Module): MoE[] {
  return model.namedModules().flatMap(([, module]) => (module instanceof MoE ? [module] : []));
}

/** What they are called: "layer 0", "decoder, layer 0", by their number among the sparse layers of the stack. */
export function sparseLayerNames(model: Module): string[] {
  const stacks = model.namedModules().flatMap(([path, module]) => (module instanceof MoE ? [/^(encoder|decoder)\./.exec(path)?.[1]] : []));
  return stacks.map((stack, i) => `${stack ? `${stack}, ` : ""}layer ${stacks.slice(0, i).filter((other) => other === stack).length}`);
}

/** Whether a model can write text: not where bytes are served together, for the next byte is always alone. */
export function canGenerate(model: Module): boolean {
  return sparseLayers(model).every(({ router }) => router.traits.choosing === "tokens");
}

/** What to know before believing the losses of a causal model with these routers; null: nothing. */
export function caution(model: Module): string | null {
  for (const { router, trainingCapacityFactor } of sparseLayers(model)) {
    const { name, time, choosing } = router.traits;
    if (choosing !== "tokens")
      return (
        `"${name}" looks at later bytes to decide what becomes of earlier ones, in training and in evaluation: in a causal model ` +
        "neither its training loss nor its held-out loss is to be believed, and it cannot write text"
      );
    if (time === "acausal")
      return (
        `"${name}" looks at later bytes while it trains: in a causal model its training loss is not to be believed; in evaluation each ` +
        "byte chooses for itself, so the held-out loss is"
      );
    if (time === "dropless" && trainingCapacityFactor !== "dropless")
      return (
        `"${name}" with a capacity: a later byte may take an earlier one's slot: the training loss knows a little of the future; ` +
        "evaluation drops nothing, so the held-out loss does not"
      );
  }
  return null;
}
