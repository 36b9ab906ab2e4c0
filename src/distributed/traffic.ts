/** What collectives moved and how long they took, by name of the collective. */
import { check, instance } from "../autograd/arguments.ts";

/** The books of one collective: numbers since the beginning, or since `clear`. */
export interface CollectiveTraffic {
  /** Calls made. */
  readonly calls: number;
  /** Bytes that this rank sent to others. */
  readonly bytes: number;
  /** Seconds inside the calls: the transfer, and waiting for ranks that came later. */
  readonly seconds: number;
}

/** The books of one rank, in which a communicator and those split from it write each call. */
export type Books = Map<string, { calls: number; bytes: number; seconds: number }>;

/** Counts one call of a collective. It trusts its caller, for it runs in every call: a call of 64 KB takes 7 microseconds. */
export function noteCall(books: Books, name: string, bytes: number, seconds: number): void {
  const row = books.get(name);
  if (row === undefined) {
    books.set(name, { calls: 1, bytes, seconds });
    return;
  }
  row.calls++;
  row.bytes += bytes;
  row.seconds += seconds;
}

const someBooks = instance(Map, "a Map of the books of each collective");

/** What the books of one rank say. */
export class Traffic {
  readonly #books: Books;

  /** Throws for books that are no Map. */
  constructor(books: Books = new Map()) {
    check("Traffic", "books", books, someBooks);
    this.#books = books;
  }

  /** By name, in order of first use, as it is now. */
  get byCollective(): ReadonlyMap<string, CollectiveTraffic> {
    return new Map([...this.#books].map(([name, row]) => [name, { ...row }]));
  }

  /** Bytes that this rank sent to others, in all calls. */
  get bytes(): number {
    return [...this.#books.values()].reduce((sum, row) => sum + row.bytes, 0);
  }

  /** Seconds inside the calls of all collectives. */
  get seconds(): number {
    return [...this.#books.values()].reduce((sum, row) => sum + row.seconds, 0);
  }

  /** Forgets all calls. */
  clear(): void {
    this.#books.clear();
  }
}
