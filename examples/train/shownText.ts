/** Ids of the encoder-decoder as text. */
import { splitSpans } from "switchyard-moe/nn";
import { BYTES, nameOfId, sentinels } from "./vocabulary.ts";

/** The text of ids: bytes as UTF-8, what is no byte by its name: "All human <1> are born". */
export function shownText(ids: ArrayLike<number>): string {
  const parts: string[] = [];
  let bytes: number[] = [];
  for (const id of [...Array.from(ids), BYTES]) {
    if (id < BYTES) {
      bytes.push(id);
      continue;
    }
    parts.push(new TextDecoder().decode(Uint8Array.from(bytes)), nameOfId(id) ?? "");
    bytes = [];
  }
  return parts.slice(0, -1).join("");
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
