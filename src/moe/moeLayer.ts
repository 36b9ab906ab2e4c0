/**
 * The sparse layer: its router sends tokens to experts and weighs what comes back. The layer works with any router.
 * B sequences, T tokens of each, D width, F outputs of an expert, K choices.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { addByName } from "../nn/block.ts";
import type { FeedForward, TokenInfo } from "../nn/feedForward.ts";
import type { Pass } from "../nn/module.ts";
import { Module, under } from "../nn/module.ts";
import type { Kind } from "./arguments.ts";
import { aCapacityFactor, aPass, check, checkOptions, count, having, instance, oneOf, optional, tensorOf } from "./arguments.ts";
import type { CapacityFactor } from "./capacity.ts";
import { Experts } from "./experts.ts";
import { Router } from "./router.ts";
import type { Routing } from "./routing.ts";

/** Options of a sparse layer. */
export interface MoEOptions {
  readonly router: Router;
  /** As many as the router has. */
  readonly experts: Experts;
  /** A feed-forward layer that computes for every token, beside the routed experts. Dai et al. 2024, arXiv:2401.06066, section 3.2. */
  readonly shared?: FeedForward & Module;
  /** Weighs the output of `shared` by sigmoid(gate(x)), x [B, T, D] -> [B, T, 1]: a Linear of one output. Qwen2-MoE's shared_expert_gate. */
  readonly sharedGate?: Module & { forward(x: Tensor): Tensor };
  /** Slots while training, as a multiple of an even share. Default 1.25. */
  readonly trainingCapacityFactor?: CapacityFactor;
  /**
   * The same in evaluation. Default "dropless": with slots, the output of a sequence can depend on the other sequences of the batch, because they
   * compete for slots.
   */
  readonly evaluationCapacityFactor?: CapacityFactor;
  /**
   * Slots of each expert in a group of the router, in training and evaluation, whatever the number of tokens; instead of the factors.
   * Hugging Face's expert_capacity, 64 for each sequence in switch-base (with a router whose group is "sequence").
   */
  readonly expertCapacity?: number;
  /**
   * The output for a choice that found no slot. "zero" (default): 0, so that the residual alone carries the token (Fedus et al. 2021, section
   * 2.2). "gatedInput": its gate times the input, p x, as transformers 4 computed switch_transformers and as its checkpoints were run.
   */
  readonly dropped?: "zero" | "gatedInput";
}

const someTokenInfo: Kind = having("an object, {} if nothing is known of the tokens");

const aFeedForward: Kind = {
  wanted: "a feed-forward module, such as a DenseFeedForward",
  accepts: (value) => value instanceof Module && having("", "forward").accepts(value),
};

/**
 * A Mixture-of-Experts layer: its router chooses experts for each token of x [B, T, D], the experts compute, and the output [B, T, D] is the
 * sum of their results, each times its gate: y = sum_i g_i(x) E_i(x). It replaces the feed-forward layer of a block. It also returns the routing,
 * and the losses of the router, which are to be added to the loss of the task. Tokens without a slot get 0. Throws where router and experts do
 * not fit, and for an option that it does not know or that is out of range. Shazeer et al. 2017, arXiv:1701.06538, eq. 1; Fedus et al. 2021,
 * arXiv:2101.03961, section 2.
 */
export class MoE extends Module implements FeedForward<Routing> {
  readonly router: Router;
  readonly experts: Experts;
  readonly shared: (FeedForward & Module) | null;
  readonly sharedGate: (Module & { forward(x: Tensor): Tensor }) | null;
  trainingCapacityFactor: CapacityFactor;
  evaluationCapacityFactor: CapacityFactor;
  expertCapacity: number | null;
  readonly dropped: "zero" | "gatedInput";

  constructor(options: MoEOptions) {
    super();
    checkMoE(options);
    const { router, experts, shared, sharedGate } = options;
    this.router = router;
    this.experts = experts;
    this.shared = shared ?? null;
    this.sharedGate = sharedGate ?? null;
    this.trainingCapacityFactor = options.trainingCapacityFactor ?? 1.25;
    this.evaluationCapacityFactor = options.evaluationCapacityFactor ?? "dropless";
    this.expertCapacity = options.expertCapacity ?? null;
    this.dropped = options.dropped ?? "zero";
  }

  /**
   * x [B, T, D] -> output [B, T, D], the losses by name, and the routing. The routed part of the output is exactly 0 for padding and, unless
   * `dropped` says otherwise, for tokens without a slot. Throws for shapes that do not fit and where the router refuses the request.
   */
  forward(x: Tensor, tokens: TokenInfo, pass: Pass): { output: Tensor; losses: Record<string, Tensor>; routing: Routing } {
    check("MoE.forward", "x", x, tensorOf("B, T, D"));
    check("MoE.forward", "tokens", tokens, someTokenInfo);
    check("MoE.forward", "pass", pass, aPass);
    const [batch, length, width] = x.shape;
    const routing = this.#route(x, tokens, pass);
    const flat = x.reshape([batch * length, width]);
    const rows = routing.dispatch(flat);
    const combined = routing.combine(this.experts.forward(rows, routing.layout, under(pass, "experts"))); // [B T, F]
    const complete = this.dropped === "zero" ? combined : combined.add(gatedInput(flat, combined, routing));
    const routed = complete.reshape([batch, length, combined.shape[1]]);
    const always = this.shared?.forward(x, tokens, under(pass, "shared"));
    return {
      output: always ? routed.add(this.#gated(always.output, x)) : routed,
      losses: addByName(always?.losses ?? {}, routing.losses),
      routing,
    };
  }

  #route(x: Tensor, { ids, mask, causal }: TokenInfo, pass: Pass): Routing {
    const capacityFactor = pass.training ? this.trainingCapacityFactor : this.evaluationCapacityFactor;
    const expertCapacity = this.expertCapacity ?? undefined;
    return this.router.route({ tokens: x, ids, mask, causal, capacityFactor, expertCapacity, pass: under(pass, "router") });
  }

  /** The output of the shared expert, times the sigmoid of its gate if it has one. */
  #gated(output: Tensor, x: Tensor): Tensor {
    return this.sharedGate ? output.mul(this.sharedGate.forward(x).sigmoid()) : output;
  }

  /** How often a token passes through a part: through the experts as often as the router sends it, through every other part once. */
  override runs(part: Module, length: number): number {
    return part === this.experts ? this.router.visits(length) : 1;
  }
}

/** For each token x times the gates of its choices that found no slot, [T, D]; 0 for padding, whatever it holds. */
function gatedInput(x: Tensor, combined: Tensor, { books }: Routing): Tensor {
  if (combined.shape[1] !== x.shape[1])
    throw new RangeError(`MoE: dropped "gatedInput": want experts as wide as their input, ${x.shape[1]}, not ${combined.shape[1]}`);
  const lost = books.expertOfChoice.greaterEqual(0).mul(books.slotOfChoice.less(0)); // [T, K]
  const gate = where(lost, books.gate, 0).sum(1, { keepDims: true }).cast(x.dtype); // [T, 1]
  return where(lost.max(1, { keepDims: true }), x.mul(gate), 0);
}

function checkMoE(options: MoEOptions): void {
  checkOptions<MoEOptions>("MoE", options, {
    router: instance(Router, "a router, such as a SwitchRouter"),
    experts: instance(Experts, "experts, such as FeedForwardExperts"),
    shared: optional(aFeedForward),
    sharedGate: optional({ ...aFeedForward, wanted: "a module from [B, T, D] to [B, T, 1], such as new Linear(width, 1, ...)" }),
    trainingCapacityFactor: optional(aCapacityFactor),
    evaluationCapacityFactor: optional(aCapacityFactor),
    expertCapacity: optional(count),
    dropped: optional(oneOf("zero", "gatedInput")),
  });
  const { router, experts, shared, sharedGate, expertCapacity, ...factors } = options;
  if (router.experts !== experts.count)
    throw new RangeError(`MoE: experts: want as many as the router has, ${router.experts}, not ${experts.count}`);
  if (sharedGate && !shared) throw new TypeError("MoE: sharedGate is given and shared is not: want a shared expert for it to weigh");
  const factor = factors.trainingCapacityFactor ?? factors.evaluationCapacityFactor;
  if (expertCapacity !== undefined && factor !== undefined)
    throw new TypeError(`MoE: expertCapacity ${expertCapacity} and a capacity factor ${factor}: want one of them`);
}
