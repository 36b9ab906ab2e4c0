/**
 * What counting alone achieves: byte n-gram models with interpolated absolute discounting, the lines that a trained model must cross.
 *
 *   P_n(b | h) = max(count(h b) - d, 0) / count(h) + d · followers(h) / count(h) · P_{n-1}(b | h without its first byte)
 *
 * with d = 0.75, followers(h) the number of different bytes seen after h, and P_0 uniform over the 256 bytes.
 * Ney, Essen and Kneser 1994; Chen and Goodman 1999, section 2.7.
 */
import { CountTable } from "./countTable.ts";
import type { Corpus } from "./text.ts";

const BYTES = 256;

/** The counts of one order: of each history, of each byte after it, and of the different bytes after it. */
interface Order {
  readonly totals: CountTable;
  readonly pairs: CountTable;
  readonly different: CountTable;
}

export class NgramModel {
  readonly order: number;
  readonly discount: number;
  readonly #orders: readonly Order[];

  /** order 1..6: bytes that a prediction spans, its own included. */
  constructor(order: number, discount = 0.75) {
    if (!(Number.isInteger(order) && order >= 1 && order <= 6)) throw new RangeError(`NgramModel: order ${order} is not in 1..6`);
    if (!(discount > 0 && discount < 1)) throw new RangeError(`NgramModel: discount ${discount} is not between 0 and 1`);
    this.order = order;
    this.discount = discount;
    this.#orders = Array.from({ length: order }, () => ({
      totals: new CountTable(),
      pairs: new CountTable(),
      different: new CountTable(),
    }));
  }

  /** Counts a piece of text. The first bytes of a piece have shorter histories; histories do not reach across pieces. */
  add(text: Uint8Array): this {
    for (let i = 0; i < text.length; i++) {
      for (let n = 0; n < this.order && n <= i; n++) count(this.#orders[n], history(text, i, n), text[i]);
    }
    return this;
  }

  /** P_1, ..., P_order of the byte at i, given what stands before it. */
  probabilities(text: Uint8Array, i: number): number[] {
    const probabilities: number[] = [];
    let lower = 1 / BYTES;
    for (let n = 0; n < this.order; n++) {
      if (n <= i) lower = this.#interpolate(this.#orders[n], history(text, i, n), text[i], lower);
      probabilities.push(lower);
    }
    return probabilities;
  }

  #interpolate({ totals, pairs, different }: Order, key: number, byte: number, lower: number): number {
    const total = totals.get(key);
    if (total === 0) return lower;
    const kept = Math.max(pairs.get(key * BYTES + byte) - this.discount, 0);
    return (kept + this.discount * different.get(key) * lower) / total;
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

function count({ totals, pairs, different }: Order, key: number, byte: number): void {
  totals.increment(key);
  if (pairs.increment(key * BYTES + byte) === 1) different.increment(key);
}

export interface Baseline {
  readonly name: string;
  /** Bits per byte of the held-out text. */
  readonly bits: number;
  /** The same per span of the corpus's classes, for comparisons in pairs: classes in order, their spans in order. */
  readonly bitsOfSpan: readonly number[];
}

const NAMES = ["unigram", "bigram"];

/** The most bytes that are counted. It bounds time and memory: some seconds and 200 MB for text without repetitions. */
const MOST_COUNTED = 2 ** 20;
/** A part of the text that is counted consists of this number of pieces of each class, evenly spread. */
const PIECES = 16;

/** The training text that is counted: all of it, or evenly spread pieces of each class, `most` bytes together. */
export function countedText({ classes }: Corpus, most = MOST_COUNTED): Uint8Array[] {
  const all = classes.reduce((sum, { training }) => sum + training.length, 0);
  if (all <= most) return classes.map(({ training }) => training);
  return classes.flatMap(({ training }) => {
    const size = Math.floor((training.length * most) / all / PIECES);
    return Array.from({ length: PIECES }, (_, i) => {
      const start = Math.floor(((training.length - size) * i) / (PIECES - 1));
      return training.subarray(start, start + size);
    });
  });
}

/** A sentence where only a part of the text was counted; null: all was. */
export function partCounted(corpus: Corpus): string | null {
  const sum = (texts: readonly Uint8Array[]): number => texts.reduce((total, text) => total + text.length, 0);
  const [counted, all] = [sum(countedText(corpus)), sum(corpus.classes.map(({ training }) => training))];
  if (counted === all) return null;
  const millions = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return (
    `n-grams are counted on ${millions(counted)} of ${millions(all)} million bytes, in pieces evenly spread; on all of them they would ` +
    "need fewer bits"
  );
}

const ORDER = 5;

/** Each corpus is counted once: a run shows the baselines at its start and at its end. */
const counted = new WeakMap<Corpus, NgramModel>();

function ngrams(corpus: Corpus): NgramModel {
  let model = counted.get(corpus);
  if (!model) {
    model = new NgramModel(ORDER);
    for (const text of countedText(corpus)) model.add(text);
    counted.set(corpus, model);
  }
  return model;
}

/** The same for what was scored with it. */
const known = new WeakMap<Corpus, Baseline[]>();

/**
 * The orders 1..5, fitted on the training text of all classes together and scored on what is held out, with the same context as a model
 * has.
 */
export function baselines(corpus: Corpus): Baseline[] {
  const heldOut = (): SpanOf[] => corpus.classes.flatMap((text, classIndex) => text.heldOut.map((span) => ({ classIndex, ...span })));
  const found = known.get(corpus) ?? baselinesOf(corpus, heldOut());
  known.set(corpus, found);
  return found;
}

/** Bytes start <= i < end of the document of a class. */
interface SpanOf {
  readonly classIndex: number;
  readonly start: number;
  readonly end: number;
}

/** The same scored on these bytes alone, each from those before it in its document. */
export function baselinesOf(corpus: Corpus, spans: readonly SpanOf[]): Baseline[] {
  const model = ngrams(corpus);
  const bits = spans.map(({ classIndex, start, end }) => model.bits(corpus.classes[classIndex].document, start, end)); // [span][order]
  const bytes = spans.reduce((sum, { start, end }) => sum + end - start, 0);
  return Array.from({ length: ORDER }, (_, n) => {
    const bitsOfSpan = bits.map((ofOrder) => ofOrder[n]);
    return { name: NAMES[n] ?? `${n + 1}-gram`, bits: bitsOfSpan.reduce((sum, x) => sum + x, 0) / bytes, bitsOfSpan };
  });
}
