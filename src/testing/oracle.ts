/**
 * Routing as the papers write it, twice over: seats by plain loops over numbers, and dispatch and combine as products with one-hot
 * arrays [T, E, C]. Nothing here is shared with src/moe but the experts' parameters.
 * T tokens of all groups, E experts, C slots of an expert over all groups, K choices, D width.
 */
import { einsum, stack, tensor } from "../index.ts";
import type { Tensor } from "../index.ts";
import type { FeedForwardExperts } from "../moe/index.ts";

export interface SeatingByHand {
  /** For each token its choices in order; -1 is none. */
  readonly choices: readonly (readonly number[])[];
  readonly experts: number;
  /** Tokens of a group: consecutive. */
  readonly groupSize: number;
  /** Slots of an expert in a group; Infinity seats everyone. */
  readonly capacity: number;
  /** Larger is seated first; equal: who stands first. */
  readonly priority?: readonly number[];
}

/** For each token and choice the place in the expert's queue of its group, or -1: group by group, choice by choice, token by token. */
export function seatByHand({ choices, experts, groupSize, capacity, priority }: SeatingByHand): number[][] {
  const places = choices.map((row) => row.map(() => -1));
  for (let from = 0; from < choices.length; from += groupSize) {
    const taken = new Array<number>(experts).fill(0);
    const line = choices.slice(from, from + groupSize).map((_, i) => from + i);
    if (priority) line.sort((a, b) => priority[b] - priority[a] || a - b);
    for (let choice = 0; choice < (choices[0]?.length ?? 0); choice++)
      for (const token of line) {
        const expert = choices[token][choice];
        if (expert < 0) continue;
        if (taken[expert] < capacity) places[token][choice] = taken[expert];
        taken[expert]++;
      }
  }
  return places;
}

/** min(S, max(1, ceil(S K factor / E))) in the order of the words. */
export function capacityByHand(size: number, choices: number, experts: number, factor: number): number {
  const wanted = Math.ceil((size * choices * factor) / experts);
  return wanted > size ? size : wanted < 1 ? Math.min(1, size) : wanted;
}

/** The indices of the K largest, the lowest index first among equals. */
export function largest(row: readonly number[], count: number): number[] {
  const order = row.map((_, i) => i).sort((a, b) => row[b] - row[a] || a - b);
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
