/** The walk through `switchyard-moe/backend`. */
import type { Tables } from "./values.ts";

const callsByHand = new Map<string, () => unknown[]>([
  ["broadcastStrides", () => [[1, 3], [3, 1], [2, 3]]],
  ["packBfloat16", () => [[1, 2]]],
  ["unpackBfloat16", () => [Uint16Array.of(1, 2)]],
  ["isContiguous", () => [[2, 3], [3, 1]]],
]); // prettier-ignore

const skipped = new Map<string, string>([
  ["CpuBackend.*", "a kernel trusts its caller: a type rule has checked shapes and dtypes, and asking again would be paid for by every operation"],
]); // prettier-ignore

export const backend: Tables = { instances: new Map(), callsByHand, skipped };
