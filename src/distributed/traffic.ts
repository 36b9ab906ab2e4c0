/** Bytes that collectives sent and seconds that they took, by name of the collective. */
import { check, instance } from "../autograd/arguments.ts";

/** The counts of one collective: numbers since the beginning, or since `clear`. */
export interface CollectiveTraffic {
  /** Calls made. */
  readonly calls: number;
  /** Bytes that this rank sent to others. */
  readonly bytes: number;
  /** Seconds inside the calls: the transfer, and waiting for ranks that came later. */
  readonly seconds: number;
}

/** The counts of one rank by collective. A communicator and those split from it count their calls in the same one. */
export type TrafficCounts = Map<string, { calls: number; bytes: number; seconds: number }>;

/** Counts one call of a collective. It checks nothing, as it runs in every call, and a call of 64 KB takes 7 microseconds. */
export function noteCall(counts: TrafficCounts, name: string, bytes: number, seconds: number): void {
  const row = counts.get(name);
  if (row === undefined) {
    counts.set(name, { calls: 1, bytes, seconds });
    return;
  }
  row.calls++;
  row.bytes += bytes;
  row.seconds += seconds;
}

const someCounts = instance(Map, "a Map of the counts of each collective");

/** The bytes and seconds of the collectives of one rank. */
export class Traffic {
  readonly #counts: TrafficCounts;

  /** Throws for counts that are no Map. */
  constructor(counts: TrafficCounts = new Map()) {
    check("Traffic", "counts", counts, someCounts);
    this.#counts = counts;
  }

  /** By name, in order of first use, as it is now. */
  get byCollective(): ReadonlyMap<string, CollectiveTraffic> {
    return new Map([...this.#counts].map(([name, row]) => [name, { ...row }]));
  }

  /** Bytes that this rank sent to others, in all calls. */
  get bytes(): number {
    return [...this.#counts.values()].reduce((sum, row) => sum + row.bytes, 0);
  }

  /** Seconds inside the calls of all collectives. */
  get seconds(): number {
    return [...this.#counts.values()].reduce((sum, row) => sum + row.seconds, 0);
  }

  /** Forgets all calls. */
  clear(): void {
    this.#counts.clear();
  }
}
