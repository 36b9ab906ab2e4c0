/**
 * What counting alone achieves: byte n-gram models with interpolated absolute discounting, the lines that a trained model must cross.
 *
 *   P_n(b | h) = max(count(h b) - d, 0) / count(h) + d · followers(h) / count(h) · P_{n-1}(b | h without its first byte)
 *
 * with d = 0.75, followers(h) the number of different bytes seen after h, and P_0 uniform over the 256 bytes.
 * Ney, Essen and Kneser 1994; Chen and Goodman 1999, section 2.7.
 */
import type { Corpus } from "./text.ts";

const BYTES = 256;

/** Everything seen after one history of bytes. */
interface Followers {
  total: number;
  readonly counts: Map<number, number>;
}

export class NgramModel {
  readonly order: number;
  readonly discount: number;
  readonly #followers: readonly Map<number, Followers>[];

  /** order 1..6: bytes that a prediction spans, its own included. */
  constructor(order: number, discount = 0.75) {
    if (!(Number.isInteger(order) && order >= 1 && order <= 6)) throw new RangeError(`NgramModel: order ${order} is not in 1..6`);
    if (!(discount > 0 && discount < 1)) throw new RangeError(`NgramModel: discount ${discount} is not between 0 and 1`);
    this.order = order;
    this.discount = discount;
    this.#followers = Array.from({ length: order }, () => new Map<number, Followers>());
  }

  /** Counts a piece of text. The first bytes of a piece have shorter histories; histories do not reach across pieces. */
  add(text: Uint8Array): this {
    for (let i = 0; i < text.length; i++) {
      for (let n = 0; n < this.order && n <= i; n++) count(this.#followers[n], history(text, i, n), text[i]);
    }
    return this;
  }

  /** P_1, ..., P_order of the byte at i, given what stands before it. */
  probabilities(text: Uint8Array, i: number): number[] {
    const probabilities: number[] = [];
    let lower = 1 / BYTES;
    for (let n = 0; n < this.order; n++) {
      const seen = n <= i ? this.#followers[n].get(history(text, i, n)) : undefined;
      lower = seen === undefined ? lower : this.#interpolate(seen, text[i], lower);
      probabilities.push(lower);
    }
    return probabilities;
  }

  #interpolate(seen: Followers, byte: number, lower: number): number {
    const kept = Math.max((seen.counts.get(byte) ?? 0) - this.discount, 0);
    return (kept + this.discount * seen.counts.size * lower) / seen.total;
  }

  /** Bits that the orders 1..n need for the bytes start <= i < end. */
  bits(text: Uint8Array, start = 0, end = text.length): number[] {
    const bits = Array.from({ length: this.order }, () => 0);
    for (let i = start; i < end; i++) this.probabilities(text, i).forEach((p, n) => (bits[n] -= Math.log2(p)));
    return bits;
  }
}

// A history of n < 6 bytes as one exact number.
function history(text: Uint8Array, i: number, n: number): number {
  let key = 0;
  for (let j = i - n; j < i; j++) key = key * BYTES + text[j];
  return key;
}

function count(table: Map<number, Followers>, key: number, byte: number): void {
  let seen = table.get(key);
  if (seen === undefined) table.set(key, (seen = { total: 0, counts: new Map() }));
  seen.total++;
  seen.counts.set(byte, (seen.counts.get(byte) ?? 0) + 1);
}

export interface Baseline {
  readonly name: string;
  /** Bits per byte of the held-out text. */
  readonly bits: number;
  /** The same per span of the corpus's classes, for comparisons in pairs: classes in order, their spans in order. */
  readonly bitsOfSpan: readonly number[];
}

const NAMES = ["unigram", "bigram"];

/** The orders 1..`order`, fitted on the training text of all classes together and scored on what is held out, with the same context as a model has. */
export function baselines(corpus: Corpus, order = 5): Baseline[] {
  const model = new NgramModel(order);
  for (const text of corpus.classes) model.add(text.training);
  const spans = corpus.classes.flatMap(({ document, heldOut }) => heldOut.map((span) => ({ document, ...span })));
  const bits = spans.map(({ document, start, end }) => model.bits(document, start, end)); // [span][order]
  const bytes = spans.reduce((sum, { start, end }) => sum + end - start, 0);
  return Array.from({ length: order }, (_, n) => {
    const bitsOfSpan = bits.map((ofOrder) => ofOrder[n]);
    return { name: NAMES[n] ?? `${n + 1}-gram`, bits: bitsOfSpan.reduce((sum, x) => sum + x, 0) / bytes, bitsOfSpan };
  });
}
