/**
 * A sentence small enough to follow each word to its expert: what the lessons on routers route and draw.
 * T words, E experts, K choices, D width.
 */
import { key, noGrad, random, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { readBooks } from "switchyard-moe/moe";
import type { CapacityFactor, HostBooks, Router } from "switchyard-moe/moe";
import { dispatch } from "./svg/index.ts";
import type { Captions, Choice } from "./svg/index.ts";

export const words = "the switch sends each wagon to a track of its own kind".split(" ");
export const WIDTH = 8;

/** The words as random vectors, [1, T, D]; equal words are equal vectors. */
export function vectorsOf(text: readonly string[] = words, seed = 7): Tensor {
  const vocabulary = random.normal([new Set(text).size, WIDTH], key(seed));
  return vocabulary.takeRows(idsOf(text)); // [1, T, D]
}

/** Each word's number in order of first appearance, [1, T]. */
function idsOf(text: readonly string[]): Tensor {
  const known = [...new Set(text)];
  return tensor(
    Int32Array.from(text, (word) => known.indexOf(word)),
    { shape: [1, text.length] },
  );
}

export interface Trip {
  readonly text?: readonly string[];
  readonly tokens?: Tensor;
  readonly capacityFactor?: CapacityFactor;
  readonly training?: boolean;
  readonly seed?: number;
}

/** What a router does with the sentence. */
export function send(
  router: Router,
  { text = words, tokens, capacityFactor = 1, training = false, seed = 3 }: Trip = {},
): Promise<HostBooks> {
  const pass = { training, random: key(seed) };
  return readBooks(
    noGrad(() => router.route({ ...(tokens ? { tokens } : { tokens: vectorsOf(text), ids: idsOf(text) }), capacityFactor, pass })),
  );
}

/** The choices that were made, each with its place at its expert. */
export function choicesOf({ expertOfChoice, slotOfChoice, gate, choices, experts, rows }: HostBooks, sorted = false): Choice[] {
  const first = Array.from({ length: experts }, (_, e) =>
    sorted ? Math.min(...Array.from(slotOfChoice).filter((slot, c) => slot >= 0 && expertOfChoice[c] === e)) : (e * rows) / experts,
  );
  return Array.from(expertOfChoice, (expert, c) => ({
    token: Math.floor(c / choices),
    expert,
    slot: slotOfChoice[c] < 0 ? -1 : slotOfChoice[c] - first[expert],
    gate: gate[c],
  })).filter(({ expert }) => expert >= 0);
}

/** Experts as columns, slots as cells, the words in them. */
export function slotsPicture(books: HostBooks, captions: Captions, { text = words, sorted = false } = {}): string {
  const choices = choicesOf(books, sorted);
  const capacity = sorted ? null : books.rows / books.experts;
  return dispatch({ ...captions, tokens: text, experts: books.experts, capacity, choices });
}

/** Prints one line for each expert: the words that have its slots, and those that found none. */
export function printSlots(books: HostBooks, text: readonly string[] = words): void {
  const choices = choicesOf(books);
  for (let expert = 0; expert < books.experts; expert++) {
    const own = choices.filter((choice) => choice.expert === expert);
    const name = ({ token, gate = 0 }: Choice): string => `${text[token]} ${gate.toFixed(2)}`;
    const kept = own.filter(({ slot }) => slot >= 0).map(name);
    const lost = own.filter(({ slot }) => slot < 0).map(name);
    console.log(`  expert ${expert}: ${kept.join(", ") || "-"}${lost.length > 0 ? `  no slot: ${lost.join(", ")}` : ""}`);
  }
}
