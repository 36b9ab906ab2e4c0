/**
 * Routing as the papers write it, in two ways: slots by plain loops over numbers, and dispatch and combine as products with one-hot
 * arrays [T, E, C]. Nothing here is shared with src/moe but the experts' parameters.
 * T tokens of all groups, E experts, C slots of an expert over all groups, K choices, D width.
 */
import { check, checkOptions, listOf, number, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { einsum, stack, tensor } from "../index.ts";
import type { Tensor } from "../index.ts";
import type { FeedForwardExperts } from "../moe/index.ts";

/** What decides who gets a slot. */
export interface SeatingByHand {
  /** For each token its choices in order; -1 is none. */
  readonly choices: readonly (readonly number[])[];
  readonly experts: number;
  /** Tokens of a group: consecutive. */
  readonly groupSize: number;
  /** Slots of an expert in a group; Infinity: no choice is dropped. */
  readonly capacity: number;
  /** One number for each token: the larger gets its slot first; equal: the earlier token. Without it, by position. */
  readonly priority?: readonly number[];
  /** "choice" (default): all first choices before all second ones. "token": all choices of a token before those of the next. */
  readonly by?: "choice" | "token";
}

/**
 * Slots by plain loops: for each token and choice the position in its expert's queue of its group, or -1 where the expert was full or no choice
 * was made. What routers of the package are compared with, and yours can be (`LawOptions.seats`). Throws for input that does not fit.
 */
export function seatByHand(input: SeatingByHand): number[][] {
  checkOptions<SeatingByHand>("seatByHand", input, seatingKinds);
  const { choices, experts, groupSize, capacity, priority, by = "choice" } = input;
  const positions = choices.map((row) => row.map(() => -1));
  const ranks = choices[0]?.map((_, k) => k) ?? [];
  for (let from = 0; from < choices.length; from += groupSize) {
    const used = new Array<number>(experts).fill(0);
    const tokens = choices.slice(from, from + groupSize).map((_, i) => from + i);
    if (priority) tokens.sort((a, b) => priority[b] - priority[a]);
    const turns = by === "choice" ? ranks.flatMap((k) => tokens.map((t) => [t, k])) : tokens.flatMap((t) => ranks.map((k) => [t, k]));
    for (const [token, choice] of turns) {
      const expert = choices[token][choice];
      if (expert < 0) continue;
      if (used[expert] < capacity) positions[token][choice] = used[expert];
      used[expert]++;
    }
  }
  return positions;
}

const seatingKinds: Kinds<SeatingByHand> = {
  choices: listOf(listOf(whole(-1))),
  experts: whole(1, 2 ** 24),
  groupSize: whole(1),
  capacity: number,
  priority: optional(listOf(number)),
  by: optional(oneOf("choice", "token")),
};

/** min(S, max(1, ceil(S K factor / E))), the product read to 14 digits before it is rounded up. Throws for input that does not fit. */
export function capacityByHand(size: number, choices: number, experts: number, factor: number): number {
  check("capacityByHand", "size", size, whole());
  check("capacityByHand", "choices", choices, whole(1));
  check("capacityByHand", "experts", experts, whole(1));
  check("capacityByHand", "factor", factor, number);
  if (size === 0) return 0;
  const wanted = Math.ceil(Number(((size * choices * factor) / experts).toPrecision(14)));
  return wanted > size ? size : wanted < 1 ? 1 : wanted;
}

/** The indices of the K largest, the lowest index first among equals. Throws for a row that is no list of numbers. */
export function largest(row: readonly number[], count: number): number[] {
  check("largest", "row", row, listOf(number));
  check("largest", "count", count, whole());
  const order = row.map((_, i) => i).sort((a, b) => row[b] - row[a]); // equal ones stay in order
  return order.slice(0, count);
}

/** softmax by its definition; fine for the small logits of tests. */
export function softmaxByHand(row: readonly number[]): number[] {
  const e = row.map((h) => Math.exp(h));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / sum);
}

/** [T, E, C]: 1 where token t has slot c of expert e. */
export function oneHotSeats(
  choices: readonly (readonly number[])[],
  slots: readonly (readonly number[])[],
  experts: number,
  capacity: number,
): Tensor {
  const data = new Float64Array(choices.length * experts * capacity);
  choices.forEach((row, t) => row.forEach((e, k) => slots[t][k] >= 0 && (data[(t * experts + e) * capacity + slots[t][k]] = 1)));
  return tensor(data, { shape: [choices.length, experts, capacity] });
}

/** One expert after the other, each with its own slice of the weights: gelu(x W + b) V + c. x [E, C, D] */
export function expertsByLoop(experts: FeedForwardExperts, x: Tensor): Tensor {
  const of = (weight: Tensor | null, e: number): Tensor => {
    if (!weight) throw new Error("the oracle's experts have biases");
    return weight.narrow(0, e, e + 1).squeeze(0);
  };
  return stack(
    Array.from({ length: experts.count }, (_, e) => {
      const inner = of(x, e).matmul(of(experts.hidden, e)).add(of(experts.hiddenBias, e));
      return inner.mul(inner.normalCdf()).matmul(of(experts.output, e)).add(of(experts.outputBias, e));
    }),
  );
}

/** y[t] = sum over e and c of combine[t, e, c] E_e(sum over t of dispatch[t, e, c] x[t]). gates [T, E], differentiable. */
export function moeByOneHot(x: Tensor, seats: Tensor, gates: Tensor, experts: FeedForwardExperts): Tensor {
  const input = einsum("tec,td->ecd", seats, x);
  const combine = seats.mul(gates.unsqueeze(2)); // [T, E, C]
  return einsum("tec,ecd->td", combine, expertsByLoop(experts, input));
}
