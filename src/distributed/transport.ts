/**
 * What carries bytes between ranks: MPI, threads of one process, or nothing at all. A transport trusts its caller; `Communicator` checks,
 * counts and names. Every call blocks until this rank may go on.
 */

import type { Flat, Reduction } from "./flat.ts";

/** What an engine must do to carry flat arrays between ranks. */
export interface Transport {
  readonly rank: number;
  readonly size: number;
  /** The engine, as reports name it: "Open MPI v4.1.4, 2 processes". */
  readonly description: string;
  /** Rank r is sent sendCounts[r] numbers, in order of ranks, and what it sends arrives as receiveCounts[r] numbers in the same order. */
  allToAllV(send: Flat, sendCounts: readonly number[], receive: Flat, receiveCounts: readonly number[]): void;
  /** `receive` is `send` of each rank, one after the other. */
  allGather(send: Flat, receive: Flat): void;
  /** `data` of rank `root` on all. */
  broadcast(data: Flat, root: number): void;
  /** The engine's own reduction in place, of float32, float64 and int32; it sums in any order. Missing: there is none. */
  allReduce?(data: Flat, how: Reduction): void;
  barrier(): void;
  /** Ranks of one color, ordered by key, then by rank. */
  split(color: number, key: number): Transport;
  /** Ends the program on all ranks: `message` names the rank and why. Returns where the caller's own error ends it. */
  abort(message: string): void;
}
