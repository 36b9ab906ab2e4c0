/**
 * The sparse layer: a router sends tokens to experts and weighs what comes back. It knows no router by name.
 * B sequences, T tokens of each, D width, K choices.
 */
import type { Tensor } from "../autograd/tensor.ts";
import { addByName } from "../nn/block.ts";
import type { FeedForward, TokenInfo } from "../nn/feedForward.ts";
import type { Pass } from "../nn/module.ts";
import { Module, under } from "../nn/module.ts";
import type { CapacityFactor } from "./capacity.ts";
import { requireCapacityFactor } from "./capacity.ts";
import type { Experts } from "./experts.ts";
import type { Router } from "./router.ts";
import type { Routing } from "./routing.ts";

export interface MoEOptions {
  readonly router: Router;
  readonly experts: Experts;
  /** Always on, beside the routed experts. Dai et al. 2024, arXiv:2401.06066, section 3.2. */
  readonly shared?: FeedForward & Module;
  /** 1.25 while training. */
  readonly trainingCapacityFactor?: CapacityFactor;
  /** "dropless" in evaluation: else what a sequence is answered depends on its companions in the batch. */
  readonly evaluationCapacityFactor?: CapacityFactor;
}

export class MoE extends Module implements FeedForward<Routing> {
  readonly router: Router;
  readonly experts: Experts;
  readonly shared: (FeedForward & Module) | null;
  trainingCapacityFactor: CapacityFactor;
  evaluationCapacityFactor: CapacityFactor;

  constructor({ router, experts, shared, trainingCapacityFactor = 1.25, evaluationCapacityFactor = "dropless" }: MoEOptions) {
    super();
    if (router.experts !== experts.count)
      throw new RangeError(`MoE: the router knows ${router.experts} experts, there are ${experts.count}`);
    for (const factor of [trainingCapacityFactor, evaluationCapacityFactor]) requireCapacityFactor(factor);
    this.router = router;
    this.experts = experts;
    this.shared = shared ?? null;
    this.trainingCapacityFactor = trainingCapacityFactor;
    this.evaluationCapacityFactor = evaluationCapacityFactor;
  }

  /** x [B, T, D] -> output [B, T, D]. The routed part of it is exactly 0 for dropped tokens and for padding. */
  forward(x: Tensor, tokens: TokenInfo, pass: Pass): { output: Tensor; losses: Record<string, Tensor>; routing: Routing } {
    const capacityFactor = pass.training ? this.trainingCapacityFactor : this.evaluationCapacityFactor;
    const routing = this.router.route({ ...tokens, tokens: x, capacityFactor, pass: under(pass, "router") });
    const rows = routing.dispatch(x.reshape([x.shape[0] * x.shape[1], x.shape[2]]));
    const combined = routing.combine(this.experts.forward(rows, routing.layout, under(pass, "experts"))); // [B T, F]
    const routed = combined.reshape([x.shape[0], x.shape[1], combined.shape[1]]);
    const always = this.shared?.forward(x, tokens, under(pass, "shared"));
    return { output: always ? routed.add(always.output) : routed, losses: addByName(always?.losses ?? {}, routing.losses), routing };
  }

  /** A token pays for the router and for the experts it visits. */
  override runs(part: Module, length: number): number {
    return part === this.experts ? this.router.visits(length) : 1;
  }
}
