/** The ids of the encoder-decoder: 0 to 255 are bytes, larger ids are padding, the end and the sentinels. */
import type { Sentinels } from "switchyard-moe/nn";

export const BYTES = 256;
/** What the decoder reads first, and what fills short rows. */
export const PADDING = 256;
/** Behind the last token of every target. */
export const END = 257;
/** `<1>` in a text that is to be filled is the first of them. */
export const sentinels: Sentinels = { first: 258, count: 64 };
export const VOCABULARY = sentinels.first + sentinels.count;

/** What an id is called: its character is for the caller to find if it is a byte. */
export function nameOfId(id: number): string | null {
  if (id < BYTES) return null;
  if (id === PADDING) return "start";
  return id === END ? "end" : `<${id - sentinels.first + 1}>`;
}
