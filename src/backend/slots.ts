/**
 * Slots that hold tokens. E experts have N = G C rows each, and filled [E, G] says how many of each C are in use: the first ones.
 */
import { checkFilled } from "./indices.ts";
import type { Shape } from "./shape.ts";

/** Rows `begin` to `end` of an expert, which all hold tokens. */
export interface FilledRows {
  readonly expert: number;
  readonly begin: number;
  readonly end: number;
}

/** The filled rows by expert and group, in order. filled: E G counts. Throws for a count that is more than C or less than 0. */
export function filledRows(operation: string, filled: ArrayLike<number>, [, groups]: Shape, rows: number): FilledRows[] {
  const capacity = groups === 0 ? 0 : rows / groups;
  checkFilled(operation, filled, capacity);
  return Array.from(filled, (count, i) => {
    const begin = (i % groups) * capacity;
    return { expert: Math.floor(i / groups), begin, end: begin + count };
  });
}
