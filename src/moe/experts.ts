/**
 * Experts: E networks of one shape, computed together. E experts, N rows, D width, F hidden width.
 */
import { activate } from "../autograd/activations.ts";
import type { Activation } from "../autograd/contract.ts";
import { eye, zeros } from "../autograd/create.ts";
import { stack, where } from "../autograd/operations.ts";
import { slotActivation } from "../autograd/slots.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "../nn/dropout.ts";
import type { FeedForwardOptions } from "../nn/feedForward.ts";
import { aFeedForwardKind, activationOf, isGated } from "../nn/feedForward.ts";
import type { FeedForwardKind } from "../nn/feedForward.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost, Pass } from "../nn/module.ts";
import { Module, inDtypeOf, under } from "../nn/module.ts";
import type { Kind, Kinds } from "./arguments.ts";
import {
  aPass,
  aTensor,
  anInitializer,
  callable,
  check,
  checkOptions,
  count,
  flag,
  initKinds,
  instance,
  listOf,
  optional,
  rate,
} from "./arguments.ts";
import type { RowLayout } from "./routing.ts";

const aLayout: Kind = {
  wanted: "the layout of a routing",
  accepts(value) {
    const { experts, lead, filled, offsets, project, spread } = Object(value) as Record<string, unknown>;
    const tables = [filled, offsets].every((table) => table === null || aTensor.accepts(table));
    return count.accepts(experts) && Array.isArray(lead) && tables && callable.accepts(project) && callable.accepts(spread);
  },
};

/** Checks the arguments of a forward pass through experts that draw random numbers or pass them on. */
export function checkForward(name: string, rows: Tensor, layout: RowLayout, pass: Pass, experts: number): void {
  checkRows(name, rows, layout, experts);
  check(`${name}.forward`, "pass", pass, aPass);
}

/** Checks rows and their layout. */
export function checkRows(name: string, rows: Tensor, layout: RowLayout, experts: number): void {
  check(`${name}.forward`, "rows", rows, aTensor);
  check(`${name}.forward`, "layout", layout, aLayout);
  if (layout.experts !== experts) throw new RangeError(`${name}.forward: layout of ${layout.experts} experts: want ${experts}`);
}

/**
 * The experts of a sparse layer: E networks of one shape, computed together on the rows that a routing sends them. A subclass says how many
 * there are and how rows are computed. Its `cost` is what one token costs in one expert; the layer knows how many a token visits.
 */
export abstract class Experts extends Module {
  /** E */
  abstract readonly count: number;
  /** rows [...lead, D], each for the expert that the layout names -> [...lead, D]. */
  abstract forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor;
}

/** Options of feed-forward experts, beside those of a dense layer. */
export interface FeedForwardExpertsOptions extends FeedForwardOptions {
  /** E */
  readonly experts: number;
  /** D */
  readonly width: number;
  /** F, of one expert. */
  readonly hidden: number;
}

const feedForwardKinds: Kinds<FeedForwardExpertsOptions> = {
  ...initKinds,
  experts: count,
  width: count,
  hidden: count,
  kind: optional(aFeedForwardKind),
  bias: optional(flag),
  dropout: optional(rate),
  initializer: optional(anInitializer),
};

/**
 * E feed-forward networks with batched weights: activation(x W + b) V + c, or the gated kinds, each expert with its own matrices. The weights of
 * each expert are drawn apart, by the fan-in of one expert and a scale of 0.1. `dropout` acts on the hidden activations, with a mask of its own
 * for each expert (expert dropout; the paper fine-tunes with 0.4). Throws for an option that it does not know or that is out of range.
 * Fedus et al. 2021, arXiv:2101.03961, section 2.4.
 */
export class FeedForwardExperts extends Experts {
  readonly count: number;
  readonly kind: FeedForwardKind;
  readonly dropout: number;
  /** [E, D, F] */
  readonly hidden: Tensor;
  /** [E, F] */
  readonly hiddenBias: Tensor | null;
  /** [E, D, F]: what the activation is multiplied with, in the gated kinds. */
  readonly factor: Tensor | null;
  /** [E, F] */
  readonly factorBias: Tensor | null;
  /** [E, F, D] */
  readonly output: Tensor;
  /** [E, D] */
  readonly outputBias: Tensor | null;

  constructor(options: FeedForwardExpertsOptions) {
    super();
    checkOptions<FeedForwardExpertsOptions>("FeedForwardExperts", options, feedForwardKinds);
    const { experts, width, hidden, kind = "relu", bias = true, dropout: share = 0 } = options;
    const { initializer = scaledTruncatedNormal(0.1), random, dtype = "float32" } = options;
    const weight = (name: string, from: number, to: number): Tensor =>
      initializer([experts, from, to], random.at(name, "weight"), { dtype, requiresGrad: true });
    const zero = (size: number): Tensor | null => (bias ? zeros([experts, size], { dtype, requiresGrad: true }) : null);
    this.count = experts;
    this.kind = kind;
    this.dropout = share;
    this.hidden = weight("hidden", width, hidden);
    this.hiddenBias = zero(hidden);
    this.factor = isGated(kind) ? weight("factor", width, hidden) : null;
    this.factorBias = isGated(kind) ? zero(hidden) : null;
    this.output = weight("output", hidden, width);
    this.outputBias = zero(width);
  }

  /** rows [...lead, D], each for the expert that the layout names -> [...lead, D]. */
  forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor {
    checkForward("FeedForwardExperts", rows, layout, pass, this.count);
    const project = (x: Tensor, weight: Tensor): Tensor => layout.project(x, inDtypeOf(x, weight));
    const spread = (bias: Tensor): Tensor => layout.spread(inDtypeOf(rows, bias));
    const bias = this.hiddenBias && spread(this.hiddenBias);
    const active = activated(rows, inDtypeOf(rows, this.hidden), activationOf[this.kind], bias, layout); // [...lead, F]
    const gated = this.factor ? active.mul(withBias(project(rows, this.factor), this.factorBias, spread)) : active;
    return withBias(project(dropout(gated, this.dropout, pass), this.output), this.outputBias, spread);
  }

  override cost(length: number): Cost {
    const products = this.hidden.size + this.output.size + (this.factor?.size ?? 0);
    return { active: super.cost(length).active / this.count, flops: (2 * products) / this.count };
  }
}

/** activation(rows weight + bias); where the layout counts filled rows, only those are computed. */
function activated(rows: Tensor, weight: Tensor, activation: Activation, bias: Tensor | null, layout: RowLayout): Tensor {
  const { filled } = layout;
  if (filled) return slotActivation(rows, weight, filled, activation, bias ?? undefined);
  return activate(layout.project(rows, weight), activation, bias ?? undefined);
}

function withBias(x: Tensor, bias: Tensor | null, spread: (bias: Tensor) => Tensor): Tensor {
  return bias ? x.add(spread(bias)) : x;
}

/** Any module that maps rows [N, D] to rows. */
export interface RowModule extends Module {
  forward(x: Tensor, pass: Pass): Tensor;
}

/**
 * Modules of any kind as experts, computed one after the other: each maps rows [N, D] to rows [N, F]. Where rows are sorted (dropless), each
 * module computes all rows and keeps its own, because only the device knows which they are: E times the work. Throws without modules.
 */
export class ModuleExperts extends Experts {
  readonly modules: readonly RowModule[];

  constructor(modules: readonly RowModule[]) {
    super();
    const aModule = instance(Module, "a module from rows [N, D] to rows");
    check("ModuleExperts", "modules", modules, { ...listOf(aModule), wanted: "an array of modules, each from rows [N, D] to rows" });
    check("ModuleExperts", "number of modules", modules.length, count);
    this.modules = modules;
  }

  /** The number of experts, E. */
  get count(): number {
    return this.modules.length;
  }

  /** rows [...lead, D], each for the expert that the layout names -> [...lead, F]. */
  forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor {
    checkForward("ModuleExperts", rows, layout, pass, this.count);
    const run = (expert: RowModule, e: number, x: Tensor): Tensor => expert.forward(x, under(pass, "modules", e));
    if (!layout.offsets) return stack(this.modules.map((expert, e) => run(expert, e, rows.narrow(0, e, e + 1).squeeze(0))));
    const owner = layout.spread(eye(this.count, this.count, { dtype: rows.dtype, backend: rows.backend })); // [N, E]
    const own = this.modules.map((expert, e) => where(owner.narrow(1, e, e + 1), run(expert, e, rows), 0));
    return own.reduce((sum, x) => sum.add(x));
  }

  override runs(): number {
    return 1 / this.count;
  }
}
