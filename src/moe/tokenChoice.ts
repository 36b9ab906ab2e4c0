/**
 * What all routers share in which tokens choose experts: who is seated first, what is dropped, and the books.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, K choices, C capacity.
 */
import { where } from "../autograd/operations.ts";
import { uniformLike } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { capacityOf } from "./capacity.ts";
import { loadBalance, zLoss } from "./losses.ts";
import type { Group, RouteRequest, BalanceScope } from "./router.ts";
import { grouped, groupsOf } from "./router.ts";
import type { Queue, Routing, Unseated } from "./routing.ts";
import { queue, slotOfChoice, slotRouting, sortedRouting } from "./routing.ts";

/**
 * Whose choice is seated first where an expert has too few slots: who stands first; who has the largest gate (batch-prioritised
 * routing, Riquelme et al. 2021, arXiv:2106.05974, section 3); or, in training, by lot. Choices of equal rank only: all
 * first choices precede all second ones. Only "position" with one choice keeps a causal model causal.
 */
export type Priority = "position" | "gate" | "random";

export interface SeatingOptions {
  readonly group?: Group;
  readonly priority?: Priority;
}

/** What the tokens want, before anyone is seated. */
export interface RouterChoices {
  readonly experts: number;
  /** [B, T, K] int32; -1 for no choice. */
  readonly expertOfChoice: Tensor;
  /** [B, T, K] */
  readonly gate: Tensor;
  /** [B, T, E] */
  readonly logits: Tensor;
  readonly probs: Tensor;
  readonly losses: Readonly<Record<string, Tensor>>;
}

/** Seats the choices in slots, or, dropless, all of them in sorted rows. */
export function seat(choices: RouterChoices, request: RouteRequest, { group = "batch", priority = "position" }: SeatingOptions): Routing {
  const { experts } = choices;
  const choice = withoutPadding(choices.expertOfChoice, request.mask);
  const base = booked(choices, choice, request.mask);
  if (request.capacityFactor === "dropless") return sortedRouting(base, experts);
  const groups = groupsOf(request.tokens, group);
  const order = orderOf(priority, grouped(choices.gate, groups), request);
  return seated(base, queue(grouped(choice, groups), order), experts, request.capacityFactor);
}

/** The slots kind for whoever finds room in the queue. */
export function seated(base: Unseated, line: Queue, experts: number, factor: number): Routing {
  const [groups, size, choices] = line.expert.shape;
  const capacity = capacityOf(size, experts, factor, choices);
  const books = { ...base.books, slotOfChoice: slotOfChoice(line, experts, capacity) };
  return slotRouting({ ...base, books }, experts, groups * capacity);
}

/** The books of choices as rows of tokens. */
export function booked({ gate, logits, probs, losses }: RouterChoices, choice: Tensor, mask: Tensor | undefined): Unseated {
  const rows = (x: Tensor): Tensor => x.reshape([x.shape[0] * x.shape[1], x.shape[2]]);
  const real = mask?.reshape([mask.size]) ?? null;
  return { books: { real, expertOfChoice: rows(choice), gate: rows(gate), logits: rows(logits), probs: rows(probs) }, losses };
}

/** Padding chooses nothing. choice [B, T, K], mask [B, T] */
export function withoutPadding(choice: Tensor, mask: Tensor | undefined): Tensor {
  return mask ? where(mask.cast("int32").unsqueeze(2), choice, -1) : choice;
}

/** The token in each place of the line, [G, S]; undefined: by position. */
export function orderOf(priority: Priority, gate: Tensor, { pass }: RouteRequest): Tensor | undefined {
  if (priority === "gate") return gate.detach().max(2).argsort(-1, { descending: true });
  if (priority === "random" && pass.training)
    return uniformLike(gate.narrow(2, 0, 1).squeeze(2).atLeast("float32"), pass.random.at("priority")).argsort();
  return undefined;
}

export interface RouterLossOptions {
  /** Coefficient of the load-balancing loss; 0: none. */
  readonly balance?: number;
  /** Over which tokens f and P of that loss are taken. */
  readonly balanceScope?: BalanceScope;
  /** Coefficient of the router z-loss; 0: none. */
  readonly zLoss?: number;
}

/** The named losses whose coefficients are not 0. */
export function tokenLosses(
  choice: Pick<RouterChoices, "expertOfChoice" | "logits" | "probs">,
  { mask }: RouteRequest,
  options: RouterLossOptions,
): Record<string, Tensor> {
  const { balance = 0, balanceScope = "batch", zLoss: z = 0 } = options;
  const losses: Record<string, Tensor> = {};
  const scopes = groupsOf(choice.probs, balanceScope);
  const inScopes = (x: Tensor): Tensor => grouped(x, scopes);
  const chosen = withoutPadding(choice.expertOfChoice, mask);
  const scopedMask = mask && inScopes(mask);
  if (balance !== 0)
    losses["balance"] = loadBalance({ expertOfChoice: inScopes(chosen), probs: inScopes(choice.probs), mask: scopedMask }).mul(balance);
  if (z !== 0) losses["z"] = zLoss(inScopes(choice.logits), scopedMask).mul(z);
  return losses;
}
