/**
 * Expert Choice: each expert chooses as many tokens as it has slots, so the load is even by construction and no loss is needed. A token may
 * have several experts or none. Zhou et al. 2022, arXiv:2202.09368, section 3.
 *
 * Whether an expert takes a token depends on all other tokens of the group, later ones too, so the router is not for causal models.
 * G groups, S tokens of a group, E experts, C slots of an expert in a group, D width.
 */
import { noGrad } from "../autograd/context.ts";
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Kind } from "./arguments.ts";
import { checkOptions, count, optional, positive } from "./arguments.ts";
import type { AssignmentOptions } from "./assignment.ts";
import { anAssignment, cappedAssignment } from "./assignment.ts";
import { capacityOf } from "./capacity.ts";
import type { Group } from "./grouping.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import type { GroupedTokens, RouteRequest } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices } from "./seating.ts";

/** Options of Expert Choice. */
export interface ExpertChoiceOptions extends ProjectionOptions {
  /**
   * c: how many experts a token has on average; C = c S / E, rounded as capacityOf does. Default 2. It stands in place of the capacity factor
   * of the layer; an `expertCapacity` of the layer, where given, is C.
   */
  readonly average?: number;
  /**
   * b, a whole number: the most experts a token may have (section 3.3). Default: no limit. Experts take the C largest entries of an assignment
   * that a fixed number of rounds approximates, so more than b experts may take a token. The token then keeps the b of them with the largest
   * scores, which the paper leaves open, and the slots of the others stay empty: a few per cent of all, and more where E C > b S.
   */
  readonly cap?: number;
  /** Temperature and rounds of the assignment that `cap` needs. */
  readonly assignment?: AssignmentOptions;
  /** The tokens among which an expert chooses. Default "batch". */
  readonly group?: Group;
  /** Whether a causal model may use it nevertheless, to study what it does there. Default false. */
  readonly allowCausal?: boolean;
}

const aCap: Kind = { ...count, wanted: "a whole number of experts, or Infinity", accepts: (x) => x === Infinity || count.accepts(x) };

/**
 * Lets each expert choose the C tokens to which it has the largest probability; the probabilities p = softmax(x W), over experts, are also the
 * gates. The load is even by construction and there is no loss. A token has 0 to E experts, `average` of them in the mean, at most `cap`. An
 * acausal router: refused in a causal model. Throws for an option that it does not know or that is out of range. Zhou et al. 2022,
 * arXiv:2202.09368, section 3.
 */
export class ExpertChoiceRouter extends Router {
  readonly projection: Projection;
  readonly options: ExpertChoiceOptions;

  constructor(options: ExpertChoiceOptions) {
    const { group, allowCausal } = routerKinds;
    checkOptions<ExpertChoiceOptions>("ExpertChoiceRouter", options, {
      ...projectionKinds,
      group,
      allowCausal,
      average: optional(positive),
      cap: optional(aCap),
      assignment: optional(anAssignment),
    });
    const { experts, average = 2, cap = Infinity } = options;
    if (cap < average) throw new RangeError(`ExpertChoiceRouter: cap ${cap}: want at least the average of ${average} experts per token`);
    super(options, {
      name: cap < Infinity ? "expert choice, capped" : "expert choice",
      choosing: "experts",
      choices: experts,
      capacity: false,
      time: "acausal",
      gatesSumToOne: false,
      learns: true,
      scores: "softmax",
      readsIds: false,
    });
    this.options = options;
    this.projection = new Projection(projectionOptions(options));
  }

  protected choose(x: Tensor, { mask, capacity }: GroupedTokens): Choices {
    const logits = this.projection.forward(x); // [G, S, E]
    const probs = logits.softmax(-1);
    const position = noGrad(() => this.#positions(probs, mask, capacity ?? 0));
    const all = arange(0, this.experts, 1, { dtype: "int32", backend: x.backend }); // [E]
    return { expertOfChoice: where(position.greaterEqual(0), all, -1), position, gate: probs, logits, probs };
  }

  /** c S / E, or the `expertCapacity` of the request. */
  protected override capacity(size: number, { expertCapacity }: RouteRequest): number {
    return expertCapacity === undefined ? capacityOf(size, this.experts, this.options.average ?? 2) : Math.min(size, expertCapacity);
  }

  /** As many experts as a token has on average. */
  override visits(): number {
    return Math.min(this.options.average ?? 2, this.experts);
  }

  /** The position of each token at each expert, [G, S, E] int32, -1 where it was not taken. probs [G, S, E], mask [G, S] */
  #positions(probs: Tensor, mask: Tensor | undefined, capacity: number): Tensor {
    const { cap = Infinity, assignment } = this.options;
    const open = mask?.cast(probs.dtype).unsqueeze(1); // [G, 1, S]
    const scores = probs.transpose(1, 2); // [G, E, S]
    if (cap >= this.experts) return taken(open ? where(open, scores, -1) : scores, capacity, open);
    const share = cappedAssignment(scores, capacity, cap, open, assignment);
    const assigned = open ? where(open, share, -1) : share;
    const within = withinCap(assigned, scores, capacity, cap); // [G, E, S]
    const kept = open ? within.mul(open) : within;
    return taken(where(kept, assigned, -1), capacity, kept);
  }
}

/** Positions [G, S, E] of the `capacity` best tokens of each expert, by scores [G, E, S]; -1 for the others and where `allowed` is 0. */
function taken(scores: Tensor, capacity: number, allowed?: Tensor): Tensor {
  const [groups, experts, size] = scores.shape;
  const token = scores.topK(capacity).indices; // [G, E, C]
  const kept = allowed ? where(allowed.broadcastTo(scores.shape).takeAlong(token, 2), token, -1) : token;
  return kept.invert(size).reshape([groups, experts, size]).transpose(1, 2);
}

/** 1 where an expert takes a token that keeps it: of more takers than `cap`, a token keeps those with the largest scores. [G, E, S] */
function withinCap(assigned: Tensor, scores: Tensor, capacity: number, cap: number): Tensor {
  const best = assigned.rank(-1, { descending: true }).less(capacity);
  const rankOfExpert = where(best, scores, -1).rank(1, { descending: true });
  return best.mul(rankOfExpert.less(cap)).cast(scores.dtype);
}
