/** Sparse layers that can be looked at, and the parts that broken ones are made of. T tokens, K choices, E experts, N slots of all experts. */
import type { Tensor } from "../../../../src/index.ts";
import type { MoEOptions, NoisyTopKOptions, Router, Routing, SwitchOptions, TopKOptions } from "../../../../src/moe/index.ts";
import { MoE, NoisyTopKRouter, SwitchRouter, TopKRouter, slotRouting, softRouting } from "../../../../src/moe/index.ts";
import type { Pass, TokenInfo } from "../../../../src/nn/index.ts";

type Made = ReturnType<MoE["forward"]>;

/** What a layer was given and gave in one pass. */
export interface Seen extends Made {
  /** [B, T, D] */
  readonly x: Tensor;
  readonly tokens: TokenInfo;
  readonly pass: Pass;
}

/** A sparse layer that shows its last pass. */
export class SeenMoE extends MoE {
  #seen: Seen | undefined;

  get seen(): Seen {
    if (!this.#seen) throw new Error("SeenMoE: there was no pass yet");
    return this.#seen;
  }

  override forward(x: Tensor, tokens: TokenInfo, pass: Pass): Made {
    const made = super.forward(x, tokens, pass);
    this.#seen = { x, tokens, pass, ...made };
    return made;
  }
}

/** The options that would make a layer again. */
export function partsOf(layer: MoE): MoEOptions {
  const { router, experts, shared, trainingCapacityFactor, evaluationCapacityFactor, dropped } = layer;
  return { router, experts, ...(shared && { shared }), trainingCapacityFactor, evaluationCapacityFactor, dropped };
}

/** Makes other parts of the right ones. */
export type Change = (right: MoEOptions) => MoEOptions;

/** A router in place of the right one, with its options, so with its first weights too. */
export const ofSwitch =
  (make: (options: SwitchOptions) => Router): Change =>
  (right) => {
    if (!(right.router instanceof SwitchRouter)) throw new TypeError("ofSwitch: want a SwitchRouter");
    return { ...right, router: make(right.router.options) };
  };
export const ofTopK =
  (make: (options: TopKOptions) => Router): Change =>
  (right) => {
    if (!(right.router instanceof TopKRouter)) throw new TypeError("ofTopK: want a TopKRouter");
    return { ...right, router: make(right.router.options) };
  };
export const ofNoisy =
  (make: (options: NoisyTopKOptions) => Router): Change =>
  (right) => {
    if (!(right.router instanceof NoisyTopKRouter)) throw new TypeError("ofNoisy: want a NoisyTopKRouter");
    return { ...right, router: make(right.router.options) };
  };

/** The same choices in other slots, [T, K]; -1 for none. With `groups`, those of an expert are the first ones of their group. */
export function reseated({ books, losses, layout }: Routing, slotOfChoice: Tensor, groups?: number): Routing {
  const [experts, rows] = layout.lead;
  return slotRouting({ books: { ...books, slotOfChoice }, losses }, experts, rows, groups);
}

/** The same where several choices may have one slot: it then holds the sum of their tokens, as a product with one-hot rows [T, N] gives it. */
export function summed({ books, losses, layout }: Routing, slotOfChoice: Tensor): Routing {
  const [experts, rows] = layout.lead;
  const table = slotOfChoice.oneHot(experts * rows); // [T, K, N]
  const dispatch = table.sum(1).transpose(0, 1).unsqueeze(0); // [1, N, T]
  const combine = table.mul(books.gate.unsqueeze(2)).sum(1).unsqueeze(0); // [1, T, N]
  const mixed = softRouting({ books, losses }, experts, { dispatch, combine });
  return { ...mixed, books: { ...books, slotOfChoice } };
}
