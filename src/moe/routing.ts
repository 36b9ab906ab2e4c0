/**
 * A routing: the decisions of a router for all tokens of a call. It carries tokens to the rows of their experts (`dispatch`), brings the results
 * back, each multiplied by its gate (`combine`), and lists what was decided (`books`). There are three kinds:
 * - slots: each expert has C slots per group, laid out [E, G, C], so that all experts are one batched product; static shapes;
 * - sorted: one row per choice, rows of one expert side by side, `offsets` on the device: nothing is dropped, nothing is padded;
 * - soft: every slot is a mixture of all tokens: two dense matrices (mixtures.ts).
 *
 * The first two kinds need two tables, each the inverse of the other, and one primitive, gatherRows, whose derivative is itself with the tables
 * swapped. So forward, backward and second order are all gathers; nothing scatters, and no array [T, E, C] is made.
 *
 * T tokens of all groups, G groups, S tokens of a group, E experts, K choices of a token, C capacity, N rows at the experts, D width.
 */
import { arange, ones } from "../autograd/create.ts";
import { gatherRows, groupedMatmul, where } from "../autograd/operations.ts";
import { inShape } from "../autograd/shaping.ts";
import { slotMatmul } from "../autograd/slots.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { sortedTables } from "./sortedTables.ts";
import type { Kind } from "./arguments.ts";
import { check, count, having, oneOf, optional, someBooks, tensorOf, whole } from "./arguments.ts";

/** The decisions of a routing, as tensors. Token t is row t of the [B, T, D] input read in order. */
export interface Books {
  /** [T]: 1 for tokens, 0 for padding; null: all are tokens. */
  readonly real: Tensor | null;
  /** [T, K] int32: the expert of each choice, dropped or not; -1 where no choice was made (by padding, or no expert took the token). */
  readonly expertOfChoice: Tensor;
  /** [T, K] int32: the row of each choice at the experts; -1: it was dropped, or never made. */
  readonly slotOfChoice: Tensor;
  /** [T, K]: what each expert's output is multiplied with, at least float32. */
  readonly gate: Tensor;
  /** [T, E]: the router's scores before and after its softmax (or sigmoid); a router that computes neither gives its gates for both. */
  readonly logits: Tensor;
  readonly probs: Tensor;
}

/** How the rows at the experts are laid out: the same number for each expert, [E, N / E], or those of one expert after the other, [N]. */
export interface RowLayout {
  readonly experts: number;
  /** The axes before the width. */
  readonly lead: readonly number[];
  /** Where each expert's rows begin, [E + 1] int32; null where each expert has the same number. */
  readonly offsets: Tensor | null;
  /**
   * [E, G] int32: how many of the C rows of each expert and group hold a token. These are the first ones; the others are zeros, and products
   * skip them. null where rows are not slots, and on devices that the host cannot read without waiting.
   */
  readonly filled: Tensor | null;
  /** Each row times the matrix of its expert: x [...lead, D], weight [E, D, F] -> [...lead, F]. Rows that are not filled give zeros. */
  project(x: Tensor, weight: Tensor): Tensor;
  /** The vector of its expert for each row: [E, F] -> [E, 1, F] or [N, F], which broadcasts to [...lead, F]. */
  spread(vectors: Tensor): Tensor;
}

/** What a router returns: which experts each token goes to, and how results come back. */
export interface Routing {
  /** "slots": C slots per expert and group. "sorted": one row per choice, sorted by expert. "soft": slots that mix all tokens. */
  readonly kind: "slots" | "sorted" | "soft";
  readonly layout: RowLayout;
  readonly books: Books;
  /** Scalars by name, to be added to the training loss; already multiplied by their coefficients. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** The tensors that dispatch and combine read; listed here so that a scope keeps them. */
  readonly tables: readonly Tensor[];
  /** x [T, D] -> the experts' rows [...lead, D]. */
  dispatch(x: Tensor): Tensor;
  /** y [...lead, D] -> [T, D]; a token without a slot gets exactly 0. */
  combine(y: Tensor): Tensor;
}

/** What `sortedRouting` starts from: books without slots, and losses. */
export interface Unseated extends Pick<Routing, "losses"> {
  readonly books: Omit<Books, "slotOfChoice">;
}

// Layouts

/** The layout [E, rows]: the same number of rows for each expert. Where `filled` [E, G] is given, only rows that hold a token are multiplied. */
export function evenLayout(experts: number, rows: number, filled: Tensor | null = null): RowLayout {
  return {
    experts,
    lead: [experts, rows],
    offsets: null,
    filled,
    project: (x, weight) => (filled ? slotMatmul(x, weight, filled) : x.matmul(weight)),
    spread: (vectors) => vectors.unsqueeze(1),
  };
}

/** The layout [rows] of sorted rows: row n belongs to expert e where offsets[e] <= n < offsets[e + 1]; rows from offsets[E] on are empty. */
export function sortedLayout(experts: number, rows: number, offsets: Tensor): RowLayout {
  return {
    experts,
    lead: [rows],
    offsets,
    filled: null,
    project: (x, weight) => groupedMatmul(x, weight, offsets),
    // A product with ones: its adjoint is a grouped sum; that of taking rows would be a scatter.
    spread: (vectors) => groupedMatmul(ones([rows, 1], { dtype: vectors.dtype, backend: vectors.backend }), vectors.unsqueeze(1), offsets),
  };
}

// Slots and sorted rows

/** The expert of each choice by group, and the choice's position in that expert's queue ("position in expert"); both [G, S, K] int32, -1 for none. */
export interface Queue {
  readonly expert: Tensor;
  readonly position: Tensor;
}

/**
 * The position of each choice in its expert's queue. expert [G, S, K] int32; -1 for no choice, which gets position -1. `by` "choice": all first
 * choices before all second ones (GShard, arXiv:2006.16668, algorithm 1); "token": all choices of a token before those of the next (DeepSpeed).
 * `order` [G, S]: the token that is first, second, ... in its group; without it, tokens queue by position. Throws for other shapes.
 */
export function queue(expert: Tensor, order?: Tensor, by: "choice" | "token" = "choice"): Queue {
  check("queue", "expert", expert, tensorOf("G, S, K"));
  check("queue", "order", order, optional(tensorOf("G, S")));
  check("queue", "by", by, oneOf("choice", "token"));
  const [groups, size, choices] = expert.shape;
  const ordered = order ? expert.takeAlong(order.unsqueeze(2).broadcastTo(expert.shape), 1) : expert;
  const lined = by === "choice" ? ordered.transpose(1, 2) : ordered; // [G, K, S] or [G, S, K]
  const counted = lined
    .reshape([groups, choices * size])
    .countEarlier()
    .reshape(lined.shape);
  const positions = by === "choice" ? counted.transpose(1, 2) : counted; // [G, S, K]
  if (!order) return { expert, position: positions };
  return { expert, position: positions.takeAlong(order.invert(size).unsqueeze(2).broadcastTo(expert.shape), 1) };
}

/**
 * The slot of each choice, [T, K] int32: e G C + g C + position for expert e and group g where the position is below C (`capacity`, 0 or more), -1
 * elsewhere. Throws for 2^31 slots and more. Fedus et al. 2021, arXiv:2101.03961, section 2.2.
 */
export function slotOfChoice(queued: Queue, experts: number, capacity: number): Tensor {
  check("slotOfChoice", "queue", queued, having("what queue returns", "expert", "position"));
  const { expert, position } = queued;
  check("slotOfChoice", "expert", expert, tensorOf("G, S, K"));
  check("slotOfChoice", "position", position, tensorOf("G, S, K"));
  check("slotOfChoice", "experts", experts, count);
  check("slotOfChoice", "capacity", capacity, whole());
  const [groups, size, choices] = expert.shape;
  if (experts * groups * capacity >= 2 ** 31)
    throw new RangeError(`slotOfChoice: ${experts} experts x ${groups} groups x ${capacity} slots: want less than 2^31 in all`);
  const group = arange(0, groups, 1, { dtype: "int32", backend: expert.backend }).reshape([groups, 1, 1]);
  const queues = groups === 1 ? expert : expert.mul(groups).add(group); // one for each expert and group
  const seated = position.greaterEqual(0).mul(position.less(capacity));
  return where(seated, queues.mul(capacity).add(position), -1).reshape([groups * size, choices]);
}

/**
 * A routing of kind "slots" from the slot of each choice: `rows` = G C slots for each of E experts, those of one expert after those of another.
 * Where `groups` is given, the layout counts the rows that are filled. Throws where the groups do not divide the rows. Fedus et al. 2021,
 * arXiv:2101.03961, section 2.2, as tables instead of one-hot arrays.
 */
export function slotRouting(base: Pick<Routing, "books" | "losses">, experts: number, rows: number, groups?: number): Routing {
  checkBase("slotRouting", base, experts, true);
  check("slotRouting", "rows", rows, whole(0, 2 ** 31 - 1));
  check("slotRouting", "groups", groups, optional(count));
  if (groups !== undefined && rows % groups !== 0)
    throw new RangeError(`slotRouting: groups ${groups}: want a number that divides the ${rows} rows`);
  const slots = base.books.slotOfChoice;
  const choiceOfSlot = slots.reshape([slots.size]).invert(experts * rows);
  const layout = evenLayout(experts, rows, groups === undefined ? null : filledOf(choiceOfSlot, experts, groups));
  const choiceOfRow = choiceOfSlot.reshape([experts * rows, 1]);
  const choices = slots.shape[1];
  const tokenOfRow = choices === 1 ? choiceOfRow : choiceOfRow.floorDiv(choices); // -1 stays -1
  return { ...base, kind: "slots", layout, ...gathers(base.books, layout, choiceOfRow, tokenOfRow) };
}

/** [E, G]: how many of the C slots hold a choice; null where the host cannot read without waiting. choiceOfSlot [E G C], -1 where empty. */
function filledOf(choiceOfSlot: Tensor, experts: number, groups: number): Tensor | null {
  if (!choiceOfSlot.backend.downloadSync) return null;
  const capacity = choiceOfSlot.size / Math.max(1, experts * groups);
  return choiceOfSlot.greaterEqual(0).cast("int32").reshape([experts, groups, capacity]).sum(2);
}

/** A routing of kind "sorted": each choice that was made has row offsets[e] + position. Nothing is dropped. Gale et al. 2022, arXiv:2211.15841. */
export function sortedRouting(base: Unseated, experts: number): Routing {
  checkBase("sortedRouting", base, experts, false);
  const { offsets, slotOfChoice, choiceOfRow, tokenOfRow } = sortedTables(base.books.expertOfChoice, experts);
  const books = { ...base.books, slotOfChoice };
  const layout = sortedLayout(experts, slotOfChoice.size, offsets);
  return { ...base, books, kind: "sorted", layout, ...gathers(books, layout, choiceOfRow, tokenOfRow) };
}

const aBase: Kind = having("an object with books and losses", "books", "losses");

function checkBase(where: string, base: unknown, experts: number, slots: boolean): void {
  check(where, "base", base, aBase);
  check(where, "base.books", (base as Unseated).books, someBooks(slots));
  check(where, "experts", experts, count);
}

function gathers(
  { slotOfChoice: slots, gate }: Books,
  { lead }: RowLayout,
  choiceOfRow: Tensor,
  tokenOfRow: Tensor,
): Pick<Routing, "tables" | "dispatch" | "combine"> {
  const rows = choiceOfRow.size;
  const [tokens, choices] = slots.shape;
  const slotOfEach = inShape(slots, [tokens * choices, 1]);
  // One token and its one choice, as generation has them at each step: its row is the token itself.
  const single = rows === 1 && tokens * choices === 1 && slots.host?.[0] === 0;
  const gather = (x: Tensor, to: Tensor, back: Tensor): Tensor => (single ? x : gatherRows(x, to, back));
  return {
    tables: [choiceOfRow, tokenOfRow, slotOfEach],
    dispatch: (x) => gather(x, tokenOfRow, slots).reshape([...lead, x.shape[1]]),
    combine(y) {
      const gateOfRow = gather(inShape(gate, [tokens * choices, 1]), choiceOfRow, slotOfEach).cast(y.dtype); // [N, 1]
      return gather(inShape(y, [rows, y.shape[lead.length]]).mul(gateOfRow), slots, tokenOfRow);
    },
  };
}
