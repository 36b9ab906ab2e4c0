/**
 * Seating: which choices get a slot of their expert ("are seated"), and which are dropped because the expert is full.
 * G groups, S tokens of a group, E experts, K choices, C capacity.
 */
import { where } from "../autograd/operations.ts";
import { uniformLike } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import { loadBalance, zLoss } from "./losses.ts";
import type { RouterLossOptions } from "./losses.ts";
import type { BalanceScope, Group } from "./grouping.ts";
import type { Routing, Unseated } from "./routing.ts";
import { queue, slotOfChoice, slotRouting, sortedRouting } from "./routing.ts";

/**
 * In which order tokens get slots where an expert has too few. "position": the order of the sequence. "gate": the largest gate first
 * (batch-prioritised routing, Riquelme et al. 2021, arXiv:2106.05974, section 3). "random": in training a random order (random token
 * selection, as DeepSpeed's use_rts), in evaluation by position. Only "position" keeps a causal model causal.
 */
export type Priority = "position" | "gate" | "random";

/** How choices queue for the slots of their experts. */
export interface SeatingOptions {
  /** The tokens that share slots. Default "batch". */
  readonly group?: Group;
  /** Default "position". */
  readonly priority?: Priority;
  /**
   * "choice" (default): all first choices are seated before all second ones, as in GShard. "token": all choices of a token are seated before those
   * of the next, as in DeepSpeed's topkgating; with `priority` "position" this keeps K choices causal.
   */
  readonly queueBy?: "choice" | "token";
}

/** Whether K choices keep a causal model causal: only where no choice of a later token is seated before one of an earlier token. */
export function kChoicesTime(choices: number, { priority = "position", queueBy = "choice" }: SeatingOptions): "causal" | "dropless" {
  return priority === "position" && (choices === 1 || queueBy === "token") ? "causal" : "dropless";
}

/** What `choose` of a router returns where tokens or experts choose: the choices, before they have slots. */
export interface Choices {
  /** [G, S, K] int32, from 0 to E - 1; -1 for no choice. Choices of padding are removed afterwards. */
  readonly expertOfChoice: Tensor;
  /** [G, S, K]: what each expert's output is multiplied with. */
  readonly gate: Tensor;
  /** [G, S, E]: the router's scores before and after its softmax (or sigmoid). */
  readonly logits: Tensor;
  readonly probs: Tensor;
  /** [G, S, K] int32: the position of each choice in its expert's queue, where the router decides it. Default: by `priority` and `queueBy`. */
  readonly position?: Tensor;
  /** [G, S, K']: the choices that f of the balance loss counts. Default: `expertOfChoice`. */
  readonly counted?: Tensor;
  /** If given, the gates of each token are scaled so that those of its choices that found a slot add up to this. */
  readonly seatedSum?: number;
  /** Losses of the router's own, multiplied by their coefficients. */
  readonly losses?: Readonly<Record<string, Tensor>>;
}

/** What seating needs to know of a call of the router. */
export interface SeatingInput {
  /** [B, T] */
  readonly shape: readonly number[];
  /** [G, S]: 1 for tokens, 0 for padding. */
  readonly mask: Tensor | undefined;
  /** C; null: dropless. */
  readonly capacity: number | null;
  /** [G, S]: the token that is first, second, ... in the queues; undefined: by position. */
  readonly order: Tensor | undefined;
  readonly queueBy: "choice" | "token";
}

/** Gives choices their slots; or, without a capacity, sorted rows. */
export function seat(choices: Choices, losses: Routing["losses"], { mask, capacity, order, queueBy }: SeatingInput): Routing {
  const experts = choices.probs.shape[2];
  const expert = withoutPadding(choices.expertOfChoice, mask); // [G, S, K]
  if (capacity === null) {
    const gate = normalised(choices, () => expert.greaterEqual(0));
    return sortedRouting({ books: bookOf({ ...choices, expertOfChoice: expert, gate }, mask), losses }, experts);
  }
  const [groups, size, K] = expert.shape;
  const queued = choices.position ? { expert, position: withoutPadding(choices.position, mask) } : queue(expert, order, queueBy);
  const slots = slotOfChoice(queued, experts, capacity); // [T, K]
  const gate = normalised(choices, () => slots.reshape([groups, size, K]).greaterEqual(0));
  const books = { ...bookOf({ ...choices, expertOfChoice: expert, gate }, mask), slotOfChoice: slots };
  return slotRouting({ books, losses }, experts, groups * capacity, groups);
}

/** The gates; where `seatedSum` is given, those of seated choices scaled so that they add up to it. [G, S, K] */
function normalised({ gate, seatedSum }: Choices, areSeated: () => Tensor): Tensor {
  if (seatedSum === undefined) return gate;
  const seated = areSeated();
  const sum = where(seated, gate, 0).sum(-1, { keepDims: true });
  return where(seated, gate.div(where(sum.equal(0), 1, sum)).mul(seatedSum), gate);
}

/** The books of choices as rows of tokens. */
function bookOf({ expertOfChoice, gate, logits, probs }: Choices, mask: Tensor | undefined): Unseated["books"] {
  const rows = (x: Tensor): Tensor => x.reshape([x.shape[0] * x.shape[1], x.shape[2]]);
  const real = mask?.reshape([mask.size]) ?? null;
  return { real, expertOfChoice: rows(expertOfChoice), gate: rows(gate), logits: rows(logits), probs: rows(probs) };
}

/** The choices with -1 in rows of padding. choice [G, S, K], mask [G, S] */
export function withoutPadding(choice: Tensor, mask: Tensor | undefined): Tensor {
  return mask ? where(mask.cast("int32").unsqueeze(2), choice, -1) : choice;
}

/** The token that is first, second, ... in the queues of its group, [G, S]; undefined: by position. gate [G, S, K] */
export function orderOf(priority: Priority, gate: Tensor, pass: Pass): Tensor | undefined {
  if (priority === "gate") return gate.detach().max(2).argsort(-1, { descending: true });
  if (priority === "random" && pass.training)
    return uniformLike(gate.narrow(2, 0, 1).squeeze(2).atLeast("float32"), pass.random.at("priority")).argsort();
  return undefined;
}

/** x [G, S, n] regrouped by scope: [R, L, n]. */
export function scoped(x: Tensor, [batch, length]: readonly number[], scope: BalanceScope): Tensor {
  return x.reshape([...(scope === "batch" ? [1, batch * length] : [batch, length]), ...x.shape.slice(2)]);
}

/** The losses that the options ask for, by name, multiplied by their coefficients. */
export function tokenLosses(
  choices: Choices,
  { balance = 0, balanceScope = "batch", zLoss: z = 0 }: RouterLossOptions,
  { shape, mask }: Pick<SeatingInput, "shape" | "mask">,
): Record<string, Tensor> {
  const losses: Record<string, Tensor> = {};
  const inScopes = (x: Tensor): Tensor => scoped(x, shape, balanceScope);
  const scopedMask = mask && inScopes(mask);
  const counted = withoutPadding(choices.counted ?? choices.expertOfChoice, mask);
  if (balance !== 0)
    losses["balance"] = loadBalance({ expertOfChoice: inScopes(counted), probs: inScopes(choices.probs), mask: scopedMask }).mul(balance);
  if (z !== 0) losses["z"] = zLoss(inScopes(choices.logits), scopedMask).mul(z);
  return { ...losses, ...choices.losses };
}
