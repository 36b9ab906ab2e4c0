/** What collectives must answer. */
import type { CollectiveCase } from "./programs.ts";
import { sent } from "./programs.ts";

/** Each collective by its one line. */
export function specification({ ranks, counts, length, root, how, type }: CollectiveCase, rank: number) {
  const all = Array.from({ length: ranks }, (_, r) => r);
  const from = (r: number, to: number, n: number): number[] => Array.from(sent(type, r, to, n));
  const over = (to: number, reduce: (...xs: number[]) => number): number[] => {
    const given = all.map((r) => from(r, to, length));
    return given[0].map((_, i) => reduce(...given.map((numbers) => numbers[i])));
  };
  const sum = (...xs: number[]): number => xs.reduce((a, b) => a + b, 0);
  return {
    allToAll: all.flatMap((r) => from(r, rank, length)),
    allToAllV: all.flatMap((r) => from(r, rank, counts[r][rank])),
    allGather: all.flatMap((r) => from(r, 0, length)),
    reduceScatter: over(rank, sum),
    allReduce: over(0, { sum, max: Math.max, min: Math.min }[how]),
    broadcast: from(root, 0, length),
    groups: all.filter((r) => r % 2 === rank % 2).toReversed(),
  };
}
