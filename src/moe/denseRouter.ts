/**
 * The classic mixture of experts: every expert computes every token, and a softmax weighs the results. Jacobs et al. 1991; softmax gating in
 * Shazeer et al. 2017, arXiv:1701.06538, eq. 2. Nothing is sparse here and nothing is dropped.
 * G groups, S tokens of a group, E experts, D width.
 */
import { arange } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { checkOptions } from "./arguments.ts";
import type { RouterLossOptions } from "./losses.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices, SeatingOptions } from "./seating.ts";

/**
 * Options of a dense router. The options of seating change nothing, as every expert has a slot for every token; they are taken so that
 * routers can be exchanged.
 */
export interface DenseOptions extends ProjectionOptions, SeatingOptions, RouterLossOptions {}

/**
 * Sends each token to all experts, with gates softmax(x W): the mixture without sparsity. It has no balance loss unless one is asked for, and it
 * ignores the capacity: every expert has a slot for every token. Throws for an option that it does not know or that is out of range.
 * Shazeer et al. 2017, arXiv:1701.06538, eq. 1-2.
 */
export class DenseRouter extends Router {
  readonly projection: Projection;
  readonly options: DenseOptions;

  constructor(options: DenseOptions) {
    const { allowCausal: _, ...shared } = routerKinds;
    checkOptions<DenseOptions>("DenseRouter", options, { ...projectionKinds, ...shared, width: projectionKinds.width });
    super(options, {
      name: "dense softmax",
      choosing: "tokens",
      choices: options.experts,
      capacity: false,
      time: "causal",
      gatesSumToOne: true,
      learns: true,
      scores: "softmax",
      readsIds: false,
    });
    this.options = options;
    this.projection = new Projection(projectionOptions(options));
  }

  protected choose(x: Tensor): Choices {
    const logits = this.projection.forward(x); // [G, S, E]
    const probs = logits.softmax(-1);
    const all = arange(0, this.experts, 1, { dtype: "int32", backend: logits.backend }); // [E]
    return { expertOfChoice: all.broadcastTo(logits.shape).contiguous(), gate: probs, logits, probs };
  }

  /** A slot for every token. */
  protected override capacity(size: number): number {
    return size;
  }
}
