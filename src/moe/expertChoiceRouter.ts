/**
 * Expert Choice: experts choose tokens, each as many as it has slots, so the load is even by construction and no loss is
 * needed; a token may have several experts or none. Zhou et al. 2022, arXiv:2202.09368, section 3.
 *
 * Whether an expert takes a token depends on all other tokens of the group, later ones too: not for causal models.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, C slots of an expert in a group, D width.
 */
import { noGrad } from "../autograd/context.ts";
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { AssignmentOptions } from "./assignment.ts";
import { cappedAssignment } from "./assignment.ts";
import { capacityOf } from "./capacity.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection } from "./projection.ts";
import type { Group, RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest, grouped, groupsOf, refuseCausal } from "./router.ts";
import type { Routing } from "./routing.ts";
import { slotRouting } from "./routing.ts";
import { booked } from "./tokenChoice.ts";

export interface ExpertChoiceOptions extends ProjectionOptions {
  /** c: how many experts a token has on average; C = c S / E, rounded as capacityOf does. Default 2. The request's factor is not read. */
  readonly average?: number;
  /**
   * b, a whole number: the most experts a token may have (section 3.3). Default: none. Of fixed rounds of Dykstra's algorithm, and of
   * fractions taken whole, a token may still come out with more; where the paper leaves that, it keeps the b that rate it highest
   * and the slots of the others stay empty: a few in a hundred, more where E C > b S leaves no other way.
   */
  readonly cap?: number;
  /** Of that algorithm. */
  readonly assignment?: AssignmentOptions;
  readonly group?: Group;
  /** Serve in a causal model all the same, to study what it does there. */
  readonly allowCausal?: boolean;
}

export class ExpertChoiceRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  readonly options: ExpertChoiceOptions;

  constructor(options: ExpertChoiceOptions) {
    super();
    const { experts, average = 2, cap = Infinity } = options;
    if (!(average > 0)) throw new RangeError(`average ${average}: must be above 0`);
    if (cap !== Infinity && !Number.isInteger(cap)) throw new RangeError(`cap ${cap}: must be a whole number of experts`);
    if (!(cap >= average)) throw new RangeError(`cap ${cap}: below the average of ${average} experts per token`);
    this.options = options;
    this.experts = experts;
    this.projection = new Projection(options);
    this.traits = {
      name: cap < Infinity ? "expert choice, capped" : "expert choice",
      choosing: "experts",
      choices: experts,
      capacity: false,
      time: "acausal",
      gatesSumToOne: false,
      learns: true,
      scores: "softmax",
      readsIds: false,
    };
  }

  route(request: RouteRequest): Routing {
    const { group = "batch", allowCausal, average = 2, width } = this.options;
    checkRequest(request, width);
    refuseCausal("expert choice", "an expert's choice of a token depends on later tokens", request, allowCausal);
    const { tokens, mask } = request;
    const logits = this.projection.forward(this.projection.input(tokens, mask)); // [B, T, E]
    const probs = logits.softmax(-1);
    const groups = groupsOf(tokens, group);
    const capacity = capacityOf(groups[1], this.experts, average);
    const choiceOfSlot = noGrad(() => this.#choose(grouped(probs, groups), mask && grouped(mask, groups), capacity));
    const slotOfChoice = choiceOfSlot.invert(probs.size).reshape([probs.size / this.experts, this.experts]); // [B T, E]
    const everyone = arange(0, this.experts, 1, { dtype: "int32", backend: tokens.backend });
    const expertOfChoice = where(slotOfChoice.greaterEqual(0), everyone, -1).reshape(probs.shape);
    const base = booked({ experts: this.experts, expertOfChoice, gate: probs, logits, probs, losses: {} }, expertOfChoice, mask);
    return slotRouting({ ...base, books: { ...base.books, slotOfChoice } }, this.experts, groups[0] * capacity);
  }

  override visits(): number {
    return Math.min(this.options.average ?? 2, this.experts);
  }

  /** For each slot [E G C] the choice t E + e it serves, -1 where it stays empty. probs [G, S, E], mask [G, S] */
  #choose(probs: Tensor, mask: Tensor | undefined, capacity: number): Tensor {
    const [groups, size, experts] = probs.shape;
    const open = mask?.cast(probs.dtype).unsqueeze(1); // [G, 1, S]
    const scores = probs.transpose(1, 2); // [G, E, S]
    const { cap = Infinity, assignment } = this.options;
    const capped = cap < experts;
    const worth = capped ? cappedAssignment(scores, capacity, cap, open, assignment) : scores;
    const wished = open ? where(open, worth, -1) : worth;
    const token = wished.topK(capacity).indices; // [G, E, C]
    const allowed = capped ? withinCap(wished, scores, capacity, cap) : undefined;
    const seated = open ? (allowed?.mul(open) ?? open.broadcastTo(scores.shape)) : allowed; // [G, E, S]
    const int = { dtype: "int32", backend: probs.backend } as const;
    const first = arange(0, groups, 1, int).mul(size).reshape([groups, 1, 1]);
    const choice = token
      .add(first)
      .mul(experts)
      .add(arange(0, experts, 1, int).reshape([1, experts, 1]));
    const kept = seated ? where(seated.takeAlong(token, 2), choice, -1) : choice;
    return kept.transpose(0, 1).reshape([experts * groups * capacity]);
  }
}

/** 1 where an expert takes a token that keeps it: of more takers than `cap`, a token keeps those with the largest scores. [G, E, S] */
function withinCap(worth: Tensor, scores: Tensor, capacity: number, cap: number): Tensor {
  const taken = worth.rank(-1, { descending: true }).less(capacity);
  const place = where(taken, scores, -1).rank(1, { descending: true });
  return taken.mul(place.less(cap)).cast(scores.dtype);
}
