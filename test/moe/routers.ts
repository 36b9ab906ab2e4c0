/**
 * The one table of routers. Every law runs on every row whose traits it asks for; a row says what its router chooses and how it weighs,
 * by plain loops and by the paper's formula, so that the laws have something to compare with.
 */
import { tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import type { Projection, Router } from "../../src/moe/index.ts";
import {
  BalancedRouter,
  DenseRouter,
  ExpertChoiceRouter,
  HashRouter,
  NoisyTopKRouter,
  SoftRouter,
  SwitchRouter,
  TopKRouter,
  randomHash,
} from "../../src/moe/index.ts";
import type { RouterCase, RouterSetting, Seats, Subject, World } from "../../src/testing/cases.ts";
import { D, booksOf, maskOf, normals, settingOf } from "../../src/testing/cases.ts";
import { capacityByHand, largest, seatByHand } from "../../src/testing/oracle.ts";

/** `seats` are missing where one-hot seats cannot say what it does (soft mixtures). */
export interface RouterRow extends Subject {
  /** Laws that this router breaks although its traits would select them, by how their names begin, each with the reason. */
  readonly exceptions?: Readonly<Record<string, string>>;
}

/** What all routers with a projection take of a setting. */
function common({ width, experts, group, random, dtype, initializer }: RouterSetting): Omit<RouterSetting, "choices" | "vocabulary"> {
  return { width, experts, group, random, dtype, initializer };
}

/** The same and K. */
function commonK(setting: RouterSetting): Omit<RouterSetting, "vocabulary"> {
  return { ...common(setting), choices: setting.choices };
}

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

/** Seats of a router in which tokens choose: the choices of real tokens, seated by hand. */
export function seatsOfChoices(
  c: RouterCase,
  choices: readonly (readonly number[])[],
  gates: Tensor,
  priority?: readonly number[],
  by?: "choice" | "token",
): Seats {
  const real = maskOf(c);
  const expert = choices.map((row, t) => (real[t] ? row : row.map(() => -1)));
  const tokens = c.batch * c.length;
  const groupSize = c.factor !== "dropless" && c.group === "sequence" ? c.length : tokens;
  const capacity = c.factor === "dropless" ? groupSize : capacityByHand(groupSize, expert[0].length, c.experts, c.factor);
  const positions = seatByHand({
    choices: expert,
    experts: c.experts,
    groupSize,
    capacity,
    ...(priority && { priority }),
    ...(by && { by }),
  });
  const slot = positions.map((row, t) => row.map((p) => (p < 0 ? -1 : Math.floor(t / groupSize) * capacity + p)));
  return { expert, slot, gates };
}

function switchSeats(c: RouterCase, { router, tokens }: World, byGate: boolean): Seats {
  if (!(router instanceof SwitchRouter)) throw new TypeError("a Switch router");
  const logits = logitsOf(router, tokens);
  const choices = rowsOf(logits).map((row) => largest(row, 1));
  const gates = softmaxOf(logits);
  const priority = rowsOf(gates).map((row) => Math.max(...row));
  return seatsOfChoices(c, choices, gates, byGate ? priority : undefined);
}

/** Of a router that takes the `choices` best by `scores`, with gates [T, E] of all experts. */
function bestSeats(c: RouterCase, scores: readonly (readonly number[])[], choices: number, gates: Tensor, byGate = false): Seats {
  const chosen = scores.map((row) => largest(row, choices));
  const numbers = rowsOf(gates);
  return seatsOfChoices(c, chosen, gates, byGate ? chosen.map((row, t) => Math.max(...row.map((e) => numbers[t][e]))) : undefined);
}

/** 1 where an expert is among the `choices` best of its token. */
function bestOf(scores: readonly (readonly number[])[], choices: number): Tensor {
  const chosen = scores.flatMap((row) => row.map((_, e) => Number(largest(row, choices).includes(e))));
  return tensor(Float64Array.from(chosen), { shape: [scores.length, scores[0].length] });
}

/** Softmax over the best alone: e^h / sum of the chosen e^h. */
function amongBest(logits: Tensor, choices: number): Tensor {
  const e = logits.exp().mul(bestOf(rowsOf(logits), choices));
  return e.div(e.sum(1, { keepDims: true }));
}

type Sizes = Pick<RouterSetting, "experts" | "choices">;
const choicesOf = (c: RouterCase): number => Math.min(c.choices, c.experts);

function as<R extends Router>(router: Router, kind: abstract new (...args: never[]) => R): R {
  if (!(router instanceof kind)) throw new TypeError(`not a ${kind.name}`);
  return router;
}

/** The K best, whose gates are their share, times a scale, in those that found a slot. */
function seatedSeats(c: RouterCase, { router, tokens }: World, choices: number, by: "choice" | "token", scale = 1): Seats {
  const { projection } = as(router, TopKRouter);
  const logits = logitsOf({ projection }, tokens);
  const all = softmaxOf(projection.bias ? logits.add(projection.bias) : logits);
  const { expert, slot } = seatsOfChoices(c, rowsOf(all).map((row) => largest(row, choices)), all, undefined, by); // prettier-ignore
  const kept = expert.flatMap((row, t) =>
    Array.from({ length: c.experts }, (_, e) => Number(row.some((x, k) => x === e && slot[t][k] >= 0))),
  );
  const seated = all.mul(tensor(Float64Array.from(kept), { shape: all.shape }));
  const total = seated.sum(1, { keepDims: true });
  return { expert, slot, gates: seated.div(total.add(total.equal(0))).mul(scale) };
}

/** What the books say: for routers whose choice is proved elsewhere, so that only transport is compared. */
function seatsOfBooks(world: World, gates: Tensor): Seats {
  const routing = world.route();
  const { expert, slot } = booksOf(routing);
  const [, rows] = routing.layout.lead;
  const own = slot.map((row, t) => row.map((s, k) => (s < 0 ? -1 : s - expert[t][k] * rows)));
  return { expert, slot: own, gates };
}

/** Expert by expert, the C tokens of the group with the largest probability; padding last, and then not at all. */
function expertSeats(c: RouterCase, { router, tokens }: World): Seats {
  const gates = softmaxOf(logitsOf(as(router, ExpertChoiceRouter), tokens));
  const probs = rowsOf(gates);
  const real = maskOf(c);
  const size = c.group === "sequence" ? c.length : c.batch * c.length;
  const capacity = capacityByHand(size, 1, c.experts, AVERAGE);
  const expert = probs.map((row) => row.map(() => -1));
  const slot = probs.map((row) => row.map(() => -1));
  for (let from = 0; from < probs.length; from += size)
    for (let e = 0; e < c.experts; e++) {
      const scores = probs.slice(from, from + size).map((row, i) => (real[from + i] ? row[e] : -1));
      largest(scores, capacity).forEach((i, position) => {
        if (!real[from + i]) return;
        expert[from + i][e] = e;
        slot[from + i][e] = (from / size) * capacity + position;
      });
    }
  return { expert, slot, gates };
}

/** Round by round, each token that has no seat yet asks its next expert. */
function reroutedSeats(c: RouterCase, { router, tokens }: World, attempts: number): Seats {
  const logits = logitsOf(as(router, SwitchRouter), tokens);
  const gates = softmaxOf(logits);
  const choices = rowsOf(logits).map((row) => largest(row, attempts));
  if (c.factor === "dropless")
    return seatsOfChoices(
      c,
      choices.map((row) => row.slice(0, 1)),
      gates,
    );
  const real = maskOf(c);
  const size = c.group === "sequence" ? c.length : c.batch * c.length;
  const capacity = capacityByHand(size, 1, c.experts, c.factor);
  const expert = choices.map((row, t) => [real[t] ? row[0] : -1]);
  const slot = choices.map(() => [-1]);
  for (let from = 0; from < choices.length; from += size) {
    const taken = new Array<number>(c.experts).fill(0);
    for (let round = 0; round < attempts; round++)
      for (let t = from; t < from + size; t++) {
        const e = choices[t][round];
        if (!real[t] || slot[t][0] >= 0 || taken[e] >= capacity) continue;
        expert[t] = [e];
        slot[t] = [(from / size) * capacity + taken[e]++];
      }
  }
  return { expert, slot, gates };
}

const AVERAGE = 1.5;
const attemptsOf = ({ experts }: Sizes): number => Math.min(3, experts);
/** As many groups of neighbours as divide the experts, half of them kept, if they hold the choices. */
function groupsFor({ experts, choices }: Sizes): { count: number; keep: number } {
  const count = experts % 2 === 0 ? experts / 2 : experts;
  const keep = Math.min(count, Math.max(Math.ceil(count / 2), Math.ceil(Math.min(choices, experts) / (experts / count))));
  return { count, keep };
}
const biases = ({ experts, random }: RouterSetting): number[] => normals(experts, random.at("biases"));
const hashTable = ({ vocabulary, experts, random }: RouterSetting): number[] => randomHash(vocabulary, experts, random.at("hash"));

export const routers: readonly RouterRow[] = [
  {
    name: "switch",
    make: (setting) => new SwitchRouter({ ...common(setting), ...losses, jitter: 0.1 }),
    seats: (c, world) => switchSeats(c, world, false),
  },
  {
    name: "switch, batch-prioritised",
    make: (setting) => new SwitchRouter({ ...common(setting), ...losses, priority: "gate", jitter: 0 }),
    seats: (c, world) => switchSeats(c, world, true),
  },
  {
    name: "switch, random priority, drawn experts",
    make: (setting) => new SwitchRouter({ ...common(setting), ...losses, priority: "random", temperature: 1, inputDropout: 0.1 }),
    seats: (c, world) => switchSeats(c, world, false),
  },
  {
    name: "switch, no token left behind",
    make: (setting) => new SwitchRouter({ ...common(setting), ...losses, attempts: attemptsOf(setting), jitter: 0.1 }),
    seats: (c, world) => reroutedSeats(c, world, attemptsOf(c)),
  },
  {
    name: "dense softmax",
    make: (setting) => new DenseRouter({ ...common(setting), ...losses }),
    seats(c, { router, tokens }) {
      const gates = softmaxOf(logitsOf(as(router, DenseRouter), tokens));
      const everyone = rowsOf(gates).map((row) => row.map((_, e) => e));
      return seatsOfChoices({ ...c, factor: Infinity }, everyone, gates);
    },
  },
  {
    name: "noisy top-k",
    make: (setting) => new NoisyTopKRouter(commonK(setting)),
    seats(c, { router, tokens }) {
      const logits = logitsOf(as(router, NoisyTopKRouter), tokens);
      return bestSeats(c, rowsOf(logits), choicesOf(c), amongBest(logits, choicesOf(c)));
    },
  },
  {
    name: "top-k, V-MoE",
    make: (setting) => new TopKRouter({ ...commonK(setting), ...losses, priority: "gate" }),
    seats(c, { router, tokens }) {
      const logits = logitsOf(as(router, TopKRouter), tokens);
      return bestSeats(c, rowsOf(logits), choicesOf(c), softmaxOf(logits), true);
    },
  },
  {
    name: "top-2, GShard",
    make: (setting) =>
      new TopKRouter({
        ...commonK(setting),
        ...losses,
        choices: Math.min(2, setting.experts),
        normalise: "after",
        randomBeyondFirst: 0.5,
        balanceCounts: "first",
      }),
    seats(c, { router, tokens }) {
      const logits = logitsOf(as(router, TopKRouter), tokens);
      const choices = Math.min(2, c.experts);
      return bestSeats(c, rowsOf(logits), choices, amongBest(logits, choices));
    },
    exceptions: { P31: "while training, a second choice is made at random" },
  },
  {
    name: "top-k, Mixtral",
    make: (setting) => new TopKRouter({ ...commonK(setting), ...losses, normalise: "after" }),
    seats(c, { router, tokens }) {
      const logits = logitsOf(as(router, TopKRouter), tokens);
      return bestSeats(c, rowsOf(logits), choicesOf(c), amongBest(logits, choicesOf(c)));
    },
  },
  {
    name: "top-k, DeepSpeed, by token",
    make: (setting) => new TopKRouter({ ...commonK(setting), ...losses, normalise: "seated", queueBy: "token" }),
    seats: (c, world) => seatedSeats(c, world, choicesOf(c), "token"),
  },
  {
    name: "top-2, DeepSpeed, Gumbel second",
    make(setting) {
      const choices = Math.min(2, setting.experts);
      const options = { ...commonK(setting), ...losses, choices, balanceCounts: "first", normalise: "seated" } as const;
      const router = new TopKRouter({ ...options, gumbelBeyondFirst: true, bias: true, gateScale: 0.5 });
      router.projection.bias?.assign(tensor(Float64Array.from(biases(setting)), { dtype: setting.dtype }));
      return router;
    },
    seats: (c, world) => seatedSeats(c, world, Math.min(2, c.experts), "choice", 0.5),
  },
  {
    name: "top-k, DeepSeek-V3",
    make(setting) {
      const router = new TopKRouter({
        ...commonK(setting),
        ...losses,

        scores: "sigmoid",
        normalise: "after",
        gateScale: 2.5,
        biasRate: 0.001,
        expertGroups: groupsFor(setting),
        balanceScope: "sequence",
      });
      router.bias?.assign(tensor(Float64Array.from(biases(setting)), { dtype: setting.dtype }));
      return router;
    },
    seats(c, { router, tokens }) {
      const scores = logitsOf(as(router, TopKRouter), tokens).neg().exp().add(1).reciprocal();
      const { bias } = as(router, TopKRouter);
      const { count, keep } = groupsFor(c);
      const selection = rowsOf(scores).map((row) => {
        const biased = row.map((s, e) => s + (bias ? bias.dataSync()[e] : 0));
        const each = c.experts / count;
        const groups = Array.from({ length: count }, (_, g) =>
          biased
            .slice(g * each, (g + 1) * each)
            .sort((a, b) => b - a)
            .slice(0, 2)
            .reduce((a, b) => a + b, 0),
        );
        const open = largest(groups, keep);
        return biased.map((s, e) => (open.includes(Math.floor(e / each)) ? s : -Infinity));
      });
      const chosen = scores.mul(bestOf(selection, choicesOf(c)));
      return bestSeats(c, selection, choicesOf(c), chosen.div(chosen.sum(1, { keepDims: true })).mul(2.5));
    },
    exceptions: {
      P10: "groups of neighbours are part of what it chooses by, so experts may not change places freely",
    },
  },
  {
    name: "hash",
    make: (setting) => new HashRouter({ experts: setting.experts, group: setting.group, table: hashTable(setting) }),
    seats(c, { tokens }) {
      const table = hashTable(settingOf(c));
      const gates = tensor(new Float64Array(c.ids.length * c.experts).fill(1), {
        shape: [c.ids.length, c.experts],
        backend: tokens.backend,
      });
      return seatsOfChoices(
        c,
        c.ids.map((id) => [table[id]]),
        gates,
      );
    },
  },
  {
    name: "balanced assignment",
    make: (setting) => new BalancedRouter(commonK(setting)),
    seats(c, { router, tokens }) {
      const logits = logitsOf(as(router, BalancedRouter), tokens);
      const gates = choicesOf(c) === 1 ? logits.neg().exp().add(1).reciprocal() : softmaxOf(logits);
      return bestSeats(c, rowsOf(logits), choicesOf(c), gates);
    },
  },
  {
    name: "expert choice",
    make: (setting) => new ExpertChoiceRouter({ ...common(setting), average: AVERAGE }),
    seats: expertSeats,
    exceptions: { "P39: padding": "an expert has slots for a share of all positions, padding among them" },
  },
  {
    name: "expert choice, capped",
    make: (setting) =>
      new ExpertChoiceRouter({ ...common(setting), average: AVERAGE, cap: 2, assignment: { temperature: 0.05, rounds: 8 } }),
    seats: (_, world) => seatsOfBooks(world, softmaxOf(logitsOf(as(world.router, ExpertChoiceRouter), world.tokens))),
    exceptions: { "P39: padding": "an expert has slots for a share of all positions, padding among them" },
  },
  {
    name: "soft mixtures",
    make: (setting) => new SoftRouter({ ...common(setting), slots: 2 }),
  },
];
