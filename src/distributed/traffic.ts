/** What collectives moved and how long they took, by name of the collective. */
import { check, finite, text } from "../autograd/arguments.ts";

/** The books of one collective: numbers since the beginning, or since `clear`. */
export interface CollectiveTraffic {
  /** Calls made. */
  readonly calls: number;
  /** Bytes that this rank sent to others. */
  readonly bytes: number;
  /** Seconds inside the calls: the transfer, and waiting for ranks that came later. */
  readonly seconds: number;
}

const anAmount = finite(0);

/** The books of one rank. A communicator and those split from it write into the same ones. */
export class Traffic {
  readonly #rows = new Map<string, { calls: number; bytes: number; seconds: number }>();

  /** Counts one call of a collective. Throws for amounts below 0. */
  note(name: string, bytes: number, seconds: number): void {
    check("Traffic.note", "name", name, text);
    check("Traffic.note", "bytes", bytes, anAmount);
    check("Traffic.note", "seconds", seconds, anAmount);
    const row = this.#rows.get(name) ?? { calls: 0, bytes: 0, seconds: 0 };
    if (row.calls === 0) this.#rows.set(name, row);
    row.calls++;
    row.bytes += bytes;
    row.seconds += seconds;
  }

  /** By name, in order of first use, as it is now. */
  get byCollective(): ReadonlyMap<string, CollectiveTraffic> {
    return new Map([...this.#rows].map(([name, row]) => [name, { ...row }]));
  }

  /** Bytes that this rank sent to others, in all calls. */
  get bytes(): number {
    return [...this.#rows.values()].reduce((sum, row) => sum + row.bytes, 0);
  }

  /** Seconds inside the calls of all collectives. */
  get seconds(): number {
    return [...this.#rows.values()].reduce((sum, row) => sum + row.seconds, 0);
  }

  /** Forgets all calls. */
  clear(): void {
    this.#rows.clear();
  }
}
