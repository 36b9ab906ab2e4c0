/** Reductions in the order of ranks, ((x_0 + x_1) + x_2) ..., which give the same bits on every engine. */
import type { Flat, Reduction } from "./flat.ts";
import { accumulate, newLike } from "./flat.ts";
import type { Transport } from "./transport.ts";

/** Up to this length every rank gathers the data of all and reduces it itself: one exchange instead of two. */
const SHORT = 4096;

/** `data` of all ranks reduced by rank, in place. */
export function reduceByRank(transport: Transport, data: Flat, how: Reduction): void {
  const { size } = transport;
  if (size === 1) return;
  if (data.length <= SHORT) reduceHere(transport, data, how);
  else reduceInParts(transport, data, how);
}

function reduceHere(transport: Transport, data: Flat, how: Reduction): void {
  const all = newLike(data, data.length * transport.size);
  transport.allGather(data, all);
  data.set(all.subarray(0, data.length));
  for (let r = 1; r < transport.size; r++) accumulate(data, all, r * data.length, how);
}

/** Each rank reduces one part and gives it to all. */
function reduceInParts(transport: Transport, data: Flat, how: Reduction): void {
  const { rank, size } = transport;
  const most = Math.ceil(data.length / size);
  const lengthOf = (r: number): number => Math.max(0, Math.min(most, data.length - r * most));
  const own = lengthOf(rank);
  const parts = newLike(data, own * size);
  const sendCounts = Array.from({ length: size }, (_, r) => lengthOf(r));
  transport.allToAllV(data, sendCounts, parts, new Array<number>(size).fill(own));
  const reduced = newLike(data, most);
  const sum = reduced.subarray(0, own);
  sum.set(parts.subarray(0, own));
  for (let r = 1; r < size; r++) accumulate(sum, parts, r * own, how);
  const all = newLike(data, most * size);
  transport.allGather(reduced, all);
  data.set(all.subarray(0, data.length));
}
