/**
 * Pairs of an input text and a target text as rows of ids: what an encoder-decoder learns from.
 * B pairs of a batch, T tokens of the longest input, U of the longest target.
 */
import { tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { shiftRight } from "switchyard-moe/nn";
import type { EncoderDecoderInput } from "switchyard-moe/nn";
import { PADDING } from "./vocabulary.ts";

export interface Pair {
  readonly input: Int32Array;
  /** Its end included. */
  readonly target: Int32Array;
  /** Index of the class in its corpus. */
  readonly classIndex: number;
}

/** Several pairs, filled up to the longest. */
export interface PairBatch {
  readonly pairs: readonly Pair[];
  readonly given: EncoderDecoderInput;
  /** [B, U], -100 where a row is filled up. */
  readonly targets: Tensor;
}

const NOT_SCORED = -100;

export function collatePairs(pairs: readonly Pair[]): PairBatch {
  const inputs = filledUp(pairs.map(({ input }) => input), PADDING); // prettier-ignore
  const targets = filledUp(pairs.map(({ target }) => target), NOT_SCORED); // prettier-ignore
  const ids = rowsOf(inputs);
  const scored = rowsOf(targets);
  // A mask that hides nothing would still be paid for.
  const mask = inputs.filled ? ids.notEqual(PADDING).cast("float32") : undefined;
  const decoderMask = targets.filled ? scored.notEqual(NOT_SCORED).cast("float32") : undefined;
  return {
    pairs,
    given: { ids, mask, decoderIds: shiftRight(scored, { start: PADDING, padding: PADDING }), decoderMask },
    targets: scored,
  };
}

interface Rows {
  readonly flat: Int32Array;
  readonly shape: readonly [number, number];
  /** Whether any row was shorter than another. */
  readonly filled: boolean;
}

function filledUp(rows: readonly Int32Array[], filler: number): Rows {
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const flat = new Int32Array(rows.length * width).fill(filler);
  rows.forEach((row, b) => flat.set(row, b * width));
  return { flat, shape: [rows.length, width], filled: rows.some((row) => row.length < width) };
}

const rowsOf = ({ flat, shape }: Rows): Tensor => tensor(flat, { shape });
