/**
 * Who goes where. A routing carries tokens to their experts' rows (`dispatch`), brings the results back, weighed (`combine`), and
 * shows its books. There are three kinds:
 * - slots: each expert has C slots per group, laid out [E, G, C], so that all experts are one batched product; static shapes;
 * - sorted: one row per choice, rows of one expert side by side, `offsets` on the device: nothing is dropped, nothing is padded;
 * - soft: every slot is a mixture of all tokens: two dense matrices.
 *
 * The first two are the same two tables, each the inverse of the other, and one primitive: gatherRows, whose derivative is itself
 * with the tables swapped. So forward, backward and second order are all gathers; nothing scatters and nothing is [T, E, C].
 *
 * T tokens of all groups, G groups, S tokens of a group, E experts, K choices of a token, C capacity, N rows at the experts, D width.
 */
import { arange, ones } from "../autograd/create.ts";
import { gatherRows, groupedMatmul, where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** What a routing decided. Token t is row t of the [B, T, D] input read in order. */
export interface Books {
  /** [T]: 1 for tokens, 0 for padding; null: all are tokens. */
  readonly real: Tensor | null;
  /** [T, K] int32: the expert of each choice, dropped or not; -1 where no choice was made (by padding, or no expert took the token). */
  readonly expertOfChoice: Tensor;
  /** [T, K] int32: the row the choice was given at the experts; -1: it was dropped, or never made. */
  readonly slotOfChoice: Tensor;
  /** [T, K]: what weighs the expert's output, at least float32. */
  readonly gate: Tensor;
  /** [T, E]: what the router said, before and after its softmax (or sigmoid); without a router, the gates. */
  readonly logits: Tensor;
  readonly probs: Tensor;
}

/** How the experts' rows lie: equally many for each expert ([E, N / E]), or one expert after the other ([N]). */
export interface RowLayout {
  readonly experts: number;
  /** The axes before the width. */
  readonly lead: readonly number[];
  /** Where each expert's rows begin, [E + 1] int32; null where all have equally many. */
  readonly offsets: Tensor | null;
  /** Each row times the matrix of its expert: x [...lead, D], weight [E, D, F] -> [...lead, F]. */
  project(x: Tensor, weight: Tensor): Tensor;
  /** To each row the vector of its expert: [E, F] -> [E, 1, F] or [N, F], which stretches to [...lead, F]. */
  spread(vectors: Tensor): Tensor;
}

export interface Routing {
  readonly kind: "slots" | "sorted" | "soft";
  readonly layout: RowLayout;
  readonly books: Books;
  /** Named scalars to be added to the training loss, already scaled by their coefficients. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** What combine and dispatch read; listed, so that a scope keeps it. */
  readonly tables: readonly Tensor[];
  /** x [T, D] -> the experts' rows [...lead, D]. */
  dispatch(x: Tensor): Tensor;
  /** y [...lead, D] -> [T, D]; a token without a slot gets exactly 0. */
  combine(y: Tensor): Tensor;
}

/** Books and losses, before a kind of routing is made of them. */
export type Booked = Pick<Routing, "books" | "losses">;

/** The same before anyone has a slot. */
export interface Unseated extends Pick<Routing, "losses"> {
  readonly books: Omit<Books, "slotOfChoice">;
}

// Layouts

/** Equally many rows for each expert. */
export function evenLayout(experts: number, rows: number): RowLayout {
  return {
    experts,
    lead: [experts, rows],
    offsets: null,
    project: (x, weight) => x.matmul(weight),
    spread: (vectors) => vectors.unsqueeze(1),
  };
}

/** Row n belongs to expert e where offsets[e] <= n < offsets[e + 1]; rows beyond the last are empty. */
export function sortedLayout(experts: number, rows: number, offsets: Tensor): RowLayout {
  return {
    experts,
    lead: [rows],
    offsets,
    project: (x, weight) => groupedMatmul(x, weight, offsets),
    // A product with ones: its adjoint is a grouped sum, where taking rows would have to scatter.
    spread: (vectors) => groupedMatmul(ones([rows, 1], { dtype: vectors.dtype, backend: vectors.backend }), vectors.unsqueeze(1), offsets),
  };
}

// Slots and sorted rows

/** The expert of each choice by group, [G, S, K] int32 with -1 for none, and the choice's position in that expert's queue ("position in expert"). */
export interface Queue {
  readonly expert: Tensor;
  readonly position: Tensor;
}

/**
 * Positions in each expert's queue: all first choices before all second ones (GShard); among choices of one rank by `order` [G, S] (which token
 * is first, second, ...; without it, by position in the sequence). A choice of -1 is in no queue.
 */
export function queue(expert: Tensor, order?: Tensor): Queue {
  const [groups, size, choices] = expert.shape;
  const lined = order ? expert.takeAlong(order.unsqueeze(2).broadcastTo(expert.shape), 1) : expert;
  const counted = lined
    .transpose(1, 2)
    .reshape([groups, choices * size])
    .countEarlier();
  const positions = counted.reshape([groups, choices, size]).transpose(1, 2);
  if (!order) return { expert, position: positions };
  return { expert, position: positions.takeAlong(order.invert(size).unsqueeze(2).broadcastTo(expert.shape), 1) };
}

/** Slot e G C + g C + position where the position is below `capacity` (C >= 0), -1 elsewhere. [T, K] */
export function slotOfChoice({ expert, position }: Queue, experts: number, capacity: number): Tensor {
  const [groups, size, choices] = expert.shape;
  if (experts * groups * capacity >= 2 ** 31)
    throw new RangeError(`slots: ${experts} experts x ${groups} groups x ${capacity} slots are too many for int32`);
  const group = arange(0, groups, 1, { dtype: "int32", backend: expert.backend }).reshape([groups, 1, 1]);
  const queues = groups === 1 ? expert : expert.mul(groups).add(group); // one for each expert and group
  const seated = position.greaterEqual(0).mul(position.less(capacity));
  return where(seated, queues.mul(capacity).add(position), -1).reshape([groups * size, choices]);
}

/** The slots kind from each choice's slot: `rows` = G C slots for each of E experts, laid out one expert after the other. */
export function slotRouting(base: Booked, experts: number, rows: number): Routing {
  const slots = base.books.slotOfChoice;
  const layout = evenLayout(experts, rows);
  const choiceOfSlot = slots.reshape([slots.size]).invert(experts * rows);
  return { ...base, kind: "slots", layout, ...gathers(base.books, layout, choiceOfSlot) };
}

/** The sorted kind: row offsets[e] + position for each choice that was made. Any order within an expert will do. */
export function sortedRouting(base: Unseated, experts: number): Routing {
  const { expertOfChoice } = base.books;
  const rows = expertOfChoice.size;
  const expert = expertOfChoice.reshape([rows]);
  const offsets = expert
    .bincount(experts)
    .pad([[1, 0]])
    .cumsum(0); // [E + 1]
  const made = expert.greaterEqual(0);
  const row = where(made, offsets.takeRows(where(made, expert, 0)).add(expert.countEarlier()), -1);
  const books = { ...base.books, slotOfChoice: row.reshape(expertOfChoice.shape) };
  const layout = sortedLayout(experts, rows, offsets);
  return { ...base, books, kind: "sorted", layout, ...gathers(books, layout, row.invert(rows)) };
}

function gathers(
  { slotOfChoice: slots, gate }: Books,
  { lead }: RowLayout,
  choiceOfSlot: Tensor,
): Pick<Routing, "tables" | "dispatch" | "combine"> {
  const rows = choiceOfSlot.size;
  const [tokens, choices] = slots.shape;
  const choiceOfRow = choiceOfSlot.reshape([rows, 1]);
  const tokenOfRow = choices === 1 ? choiceOfRow : choiceOfRow.floorDiv(choices); // -1 stays -1
  const slotOfEach = slots.reshape([tokens * choices, 1]);
  return {
    tables: [choiceOfRow, tokenOfRow, slotOfEach],
    dispatch: (x) => gatherRows(x, tokenOfRow, slots).reshape([...lead, x.shape[1]]),
    combine(y) {
      const gateOfRow = gatherRows(gate.reshape([tokens * choices, 1]), choiceOfRow, slotOfEach).cast(y.dtype); // [N, 1]
      return gatherRows(y.reshape([rows, y.shape[lead.length]]).mul(gateOfRow), slots, tokenOfRow);
    },
  };
}

// Soft

/** What a soft routing multiplies by. N = E P slots of a group. */
export interface Mixing {
  /** [G, N, S]: slots mix the tokens of their group. */
  readonly dispatch: Tensor;
  /** [G, S, N]: tokens mix the slots' results. */
  readonly combine: Tensor;
  /** [G, S, 1]: 0 where a token is padding, which is read as zeros: a weight of 0 would not keep its NaN out of a sum. */
  readonly open?: Tensor | undefined;
}

/** The soft kind. */
export function softRouting(base: Booked, experts: number, { dispatch, combine, open }: Mixing): Routing {
  const [groups, slots, size] = dispatch.shape;
  const each = slots / experts;
  return {
    ...base,
    kind: "soft",
    layout: evenLayout(experts, groups * each),
    tables: [dispatch, combine, ...(open ? [open] : [])],
    dispatch(x) {
      const width = x.shape[1];
      const tokens = x.reshape([groups, size, width]);
      return dispatch
        .cast(x.dtype)
        .matmul(open ? where(open.cast(x.dtype), tokens, 0) : tokens) // [G, N, D]
        .reshape([groups, experts, each, width])
        .transpose(0, 1)
        .reshape([experts, groups * each, width]);
    },
    combine(y) {
      const width = y.shape[2];
      const rows = y.reshape([experts, groups, each, width]).transpose(0, 1).reshape([groups, slots, width]);
      return combine
        .cast(y.dtype)
        .matmul(rows)
        .reshape([groups * size, width]);
    },
  };
}
