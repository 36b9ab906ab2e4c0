/**
 * What stands behind a router: E networks of one shape, computed together. E experts, N rows, D width, F hidden width.
 */
import { activate } from "../autograd/activations.ts";
import { eye, zeros } from "../autograd/create.ts";
import { stack, where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "../nn/dropout.ts";
import type { FeedForwardOptions } from "../nn/feedForward.ts";
import { activationOf, isGated } from "../nn/feedForward.ts";
import type { FeedForwardKind } from "../nn/feedForward.ts";
import { scaledTruncatedNormal } from "../nn/initializers.ts";
import type { Cost, Pass } from "../nn/module.ts";
import { Module, beside, under } from "../nn/module.ts";
import { requireSizes } from "./projection.ts";
import type { RowLayout } from "./routing.ts";

/** Its cost is what one token costs in one expert; the layer knows how many a token visits. */
export abstract class Experts extends Module {
  /** E */
  abstract readonly count: number;
  /** rows [...lead, D], each for its own expert -> [...lead, D]. */
  abstract forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor;
}

export interface FeedForwardExpertsOptions extends FeedForwardOptions {
  /** E */
  readonly experts: number;
  /** D */
  readonly width: number;
  /** F, of one expert. */
  readonly hidden: number;
}

/**
 * Feed-forward networks with batched weights. Each expert is drawn differently, by the fan-in of one expert and a scale of
 * 0.1; `dropout` acts between the two matrices, differently in each expert (expert dropout, 0.4 in fine-tuning).
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
    const { experts, width, hidden, kind = "relu", bias = true, dropout: rate = 0 } = options;
    const { initializer = scaledTruncatedNormal(0.1), random, dtype = "float32" } = options;
    requireSizes({ experts, width, hidden });
    if (!(rate >= 0 && rate < 1)) throw new RangeError(`expert dropout ${rate}: must be in [0, 1)`);
    const weight = (name: string, from: number, to: number): Tensor =>
      initializer([experts, from, to], random.at(name, "weight"), { dtype, requiresGrad: true });
    const zero = (size: number): Tensor | null => (bias ? zeros([experts, size], { dtype, requiresGrad: true }) : null);
    this.count = experts;
    this.kind = kind;
    this.dropout = rate;
    this.hidden = weight("hidden", width, hidden);
    this.hiddenBias = zero(hidden);
    this.factor = isGated(kind) ? weight("factor", width, hidden) : null;
    this.factorBias = isGated(kind) ? zero(hidden) : null;
    this.output = weight("output", hidden, width);
    this.outputBias = zero(width);
  }

  forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor {
    const project = (x: Tensor, weight: Tensor): Tensor => layout.project(x, beside(x, weight));
    const spread = (bias: Tensor): Tensor => layout.spread(beside(rows, bias));
    const active = activate(project(rows, this.hidden), activationOf[this.kind], this.hiddenBias ? spread(this.hiddenBias) : undefined); // [...lead, F]
    const gated = this.factor ? active.mul(withBias(project(rows, this.factor), this.factorBias, spread)) : active;
    return withBias(project(dropout(gated, this.dropout, pass), this.output), this.outputBias, spread);
  }

  override cost(length: number): Cost {
    const products = this.hidden.size + this.output.size + (this.factor?.size ?? 0);
    return { active: super.cost(length).active / this.count, flops: (2 * products) / this.count };
  }
}

function withBias(x: Tensor, bias: Tensor | null, spread: (bias: Tensor) => Tensor): Tensor {
  return bias ? x.add(spread(bias)) : x;
}

/** Any module that maps rows [N, D] to rows. */
export interface RowModule extends Module {
  forward(x: Tensor, pass: Pass): Tensor;
}

/**
 * Arbitrary modules as experts, one after the other. Of sorted rows each module sees all and keeps its own, since which they
 * are is known on the device only: E times the work.
 */
export class ModuleExperts extends Experts {
  readonly modules: readonly RowModule[];

  constructor(modules: readonly RowModule[]) {
    super();
    requireSizes({ experts: modules.length });
    this.modules = modules;
  }

  get count(): number {
    return this.modules.length;
  }

  forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor {
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
