/**
 * The one table of routers. Every law runs on every row whose traits it asks for; a row says what its router wishes and weighs,
 * by plain loops and by the paper's formula, so that the laws have something to compare with.
 */
import { key } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import type { Projection, Router } from "../../src/moe/index.ts";
import { SwitchRouter } from "../../src/moe/index.ts";
import type { Case, World } from "./cases.ts";
import { D, booksOf, maskOf, wide } from "./cases.ts";
import { capacityByHand, largest, oneHotSeats, seatByHand } from "./oracle.ts";

/** Who sits where, and what weighs them. */
export interface Seats {
  /** [T][K]; -1: no choice. */
  readonly expert: readonly (readonly number[])[];
  /** [T][K]: row of the expert over all groups, -1: dropped. */
  readonly slot: readonly (readonly number[])[];
  /** [T, E, C] */
  readonly oneHot: Tensor;
  /** [T, E], differentiable; only chosen experts' entries matter. */
  readonly gates: Tensor;
}

export interface RouterRow {
  readonly name: string;
  make(c: Case): Router;
  /** In evaluation, from the tokens alone; undefined where one-hot seats cannot say what it does (soft mixtures). */
  readonly seats?: (c: Case, world: World) => Seats;
  /** Laws that this router breaks although its traits would select them, each with the reason. */
  readonly exceptions?: Readonly<Record<string, string>>;
}

const common = (c: Case) => ({ width: D, experts: c.experts, random: key(c.seed).at("router"), dtype: "float64", initializer: wide, group: c.group }) as const;
export const losses = { balance: 0.01, zLoss: 0.001 } as const;

/** x W of a router with one projection, flat [T, E]. */
export function logitsOf(router: { readonly projection: Projection }, tokens: Tensor): Tensor {
  return tokens.reshape([tokens.shape[0] * tokens.shape[1], D]).matmul(router.projection.weight);
}

/** softmax by its definition. */
export function softmaxOf(logits: Tensor): Tensor {
  const e = logits.exp();
  return e.div(e.sum(1, { keepDims: true }));
}

export function rowsOf(x: Tensor): number[][] {
  const [rows, width] = x.shape;
  const flat = Array.from(x.dataSync());
  return Array.from({ length: rows }, (_, i) => flat.slice(i * width, (i + 1) * width));
}

/** Seats of a router in which tokens choose: the wishes of real tokens, seated by hand. */
export function seatsOfWishes(c: Case, wishes: readonly (readonly number[])[], gates: Tensor, urgency?: readonly number[]): Seats {
  const real = maskOf(c);
  const expert = wishes.map((row, t) => (real[t] ? row : row.map(() => -1)));
  const tokens = c.batch * c.length;
  const groupSize = c.factor !== "dropless" && c.group === "sequence" ? c.length : tokens;
  const choices = expert[0].length;
  const capacity = c.factor === "dropless" ? groupSize : capacityByHand(groupSize, choices, c.experts, c.factor);
  const places = seatByHand({ wishes: expert, experts: c.experts, groupSize, capacity, ...(urgency && { urgency }) });
  const slot = places.map((row, t) => row.map((place) => (place < 0 ? -1 : Math.floor(t / groupSize) * capacity + place)));
  return { expert, slot, gates, oneHot: oneHotSeats(expert, slot, c.experts, (tokens / groupSize) * capacity) };
}

function switchSeats(c: Case, { router, tokens }: World, byGate: boolean): Seats {
  if (!(router instanceof SwitchRouter)) throw new TypeError("a Switch router");
  const logits = logitsOf(router, tokens);
  const wishes = rowsOf(logits).map((row) => largest(row, 1));
  const gates = softmaxOf(logits);
  const urgency = rowsOf(gates).map((row) => Math.max(...row));
  return seatsOfWishes(c, wishes, gates, byGate ? urgency : undefined);
}

export const routers: readonly RouterRow[] = [
  {
    name: "switch",
    make: (c) => new SwitchRouter({ ...common(c), ...losses, jitter: 0.1 }),
    seats: (c, world) => switchSeats(c, world, false),
  },
  {
    name: "switch, batch-prioritised",
    make: (c) => new SwitchRouter({ ...common(c), ...losses, priority: "gate", jitter: 0 }),
    seats: (c, world) => switchSeats(c, world, true),
  },
  {
    name: "switch, seats by lot, drawn experts",
    make: (c) => new SwitchRouter({ ...common(c), ...losses, priority: "random", temperature: 1, inputDropout: 0.1 }),
    seats: (c, world) => switchSeats(c, world, false),
  },
];

/** Where the books agree with what a row says by hand, slot for slot. */
export function agreesByHand(seats: Seats, routing: Parameters<typeof booksOf>[0]): boolean {
  const { expert, slot } = booksOf(routing);
  const kept = (rows: readonly (readonly number[])[]): string => JSON.stringify(rows.map((row) => row.map((s) => s >= 0)));
  return JSON.stringify(expert) === JSON.stringify(seats.expert) && kept(slot) === kept(seats.slot);
}
