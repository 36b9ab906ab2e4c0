/**
 * The tables of rows that are sorted by expert: where each expert's rows begin, the row of each choice, and back.
 * T tokens, E experts, K choices of a token, N = T K rows.
 */
import { integersBeside } from "../autograd/constants.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** The tables of a sorted routing, all int32. */
export interface SortedTables {
  /** [E + 1]: rows offsets[e] to offsets[e + 1] are those of expert e; rows from offsets[E] on are empty. */
  readonly offsets: Tensor;
  /** [T, K]: the row of each choice; -1 where none was made. */
  readonly slotOfChoice: Tensor;
  /** [N, 1]: the choice in each row, t K + k, and its token; -1 where the row is empty. */
  readonly choiceOfRow: Tensor;
  readonly tokenOfRow: Tensor;
}

/**
 * The tables of rows sorted by expert; the rows of one expert are in the order of its choices. expertOfChoice [T, K], -1 for none. Where the host
 * can read the choices without waiting, it counts them in one pass; elsewhere the device does, in a dozen kernel launches. In generation there
 * are few choices, and the launches would cost more than the counting.
 */
export function sortedTables(expertOfChoice: Tensor, experts: number): SortedTables {
  return expertOfChoice.backend.downloadSync ? countedByHost(expertOfChoice, experts) : countedByDevice(expertOfChoice, experts);
}

function countedByHost(expertOfChoice: Tensor, experts: number): SortedTables {
  const chosen = expertOfChoice.dataSync();
  const [N, K] = [chosen.length, expertOfChoice.shape[1]];
  const offsets = new Int32Array(experts + 1);
  for (const expert of chosen) {
    if (expert >= experts) throw new RangeError(`sortedRouting: expertOfChoice ${expert}: want less than the ${experts} experts`);
    if (expert >= 0) offsets[expert + 1]++;
  }
  for (let e = 0; e < experts; e++) offsets[e + 1] += offsets[e];
  const next = offsets.slice();
  const [slots, choices] = [new Int32Array(N).fill(-1), new Int32Array(N).fill(-1)];
  for (let choice = 0; choice < N; choice++) {
    if (chosen[choice] < 0) continue;
    const row = next[chosen[choice]]++;
    slots[choice] = row;
    choices[row] = choice;
  }
  const here = (integers: Int32Array, shape: readonly number[]): Tensor => integersBeside(expertOfChoice, integers, shape);
  const choiceOfRow = here(choices, [N, 1]);
  const tokenOf = (choice: number): number => Math.floor(choice / K); // -1 stays -1
  return {
    offsets: here(offsets, [experts + 1]),
    slotOfChoice: here(slots, expertOfChoice.shape),
    choiceOfRow,
    tokenOfRow: K === 1 ? choiceOfRow : here(choices.map(tokenOf), [N, 1]),
  };
}

function countedByDevice(expertOfChoice: Tensor, experts: number): SortedTables {
  const [N, K] = [expertOfChoice.size, expertOfChoice.shape[1]];
  const expert = expertOfChoice.reshape([N]);
  const offsets = expert
    .bincount(experts)
    .pad([[1, 0]])
    .cumsum(0); // [E + 1]
  const made = expert.greaterEqual(0);
  const row = where(made, offsets.takeRows(where(made, expert, 0)).add(expert.countEarlier()), -1); // [N]
  const choiceOfRow = row.invert(N).reshape([N, 1]);
  return {
    offsets,
    slotOfChoice: row.reshape(expertOfChoice.shape),
    choiceOfRow,
    tokenOfRow: K === 1 ? choiceOfRow : choiceOfRow.floorDiv(K),
  };
}
