/** Ids of the encoder-decoder as text. */
import { splitSpans } from "switchyard-moe/nn";
import { characters } from "./utf8.ts";
import type { Character } from "./utf8.ts";
import { BYTES, nameOfId, sentinels } from "./vocabulary.ts";

/** Ids as characters, every id in exactly one: bytes as UTF-8, what is no byte by its name. */
export function charactersOfIds(ids: ArrayLike<number>): Character[] {
  const all = Array.from(ids);
  const found: Character[] = [];
  let from = 0;
  const flush = (to: number): void => {
    for (const { text, start, end } of characters(all.slice(from, to))) found.push({ text, start: from + start, end: from + end });
    from = to + 1;
  };
  all.forEach((id, i) => {
    if (id < BYTES) return;
    flush(i);
    found.push({ text: nameOfId(id) ?? "", start: i, end: i + 1 });
  });
  flush(all.length);
  return found;
}

/** A name for each id: the character at its first byte, its place at the others: "한", "2/3", "3/3". */
export function namesOf(ids: ArrayLike<number>): string[] {
  return charactersOfIds(ids).flatMap(({ text, start, end }) =>
    Array.from({ length: end - start }, (_, i) => (i === 0 ? text : `${i + 1}/${end - start}`)),
  );
}

/** The text of ids: bytes as UTF-8, what is no byte by its name: "All human <1> are born". */
export function shownText(ids: ArrayLike<number>): string {
  return charactersOfIds(ids)
    .map(({ text }) => text)
    .join("");
}

/** A text with gaps as ids: `<1>` is the first sentinel. */
export function idsOfGappedText(text: string): Int32Array {
  const parts = text.split(/<(\d+)>/); // text, number, text, number, …
  return Int32Array.from(
    parts.flatMap((part, i) => {
      if (i % 2 === 0) return [...new TextEncoder().encode(part)];
      const index = Number(part) - 1;
      // A number that no sentinel has is text like any other.
      return index >= 0 && index < sentinels.count ? [sentinels.first + index] : [...new TextEncoder().encode(`<${part}>`)];
    }),
  );
}

/** The input with what was written in the places of its gaps, in brackets; an ellipsis where nothing was written for one. */
export function filledText(input: ArrayLike<number>, written: ArrayLike<number>): string {
  const spans = splitSpans(written, sentinels);
  const isGap = (id: number): boolean => id >= sentinels.first;
  const parts: string[] = [];
  let from = 0;
  const ids = Array.from(input);
  ids.forEach((id, i) => {
    if (!isGap(id)) return;
    const span = spans[id - sentinels.first];
    parts.push(shownText(ids.slice(from, i)), `[${span ? shownText(span) : "…"}]`);
    from = i + 1;
  });
  return [...parts, shownText(ids.slice(from))].join("");
}
