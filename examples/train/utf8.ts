/** Bytes that arrive one by one, shown as text: a model writes bytes, and a character of UTF-8 has up to four. */

/** Decodes a stream, holding back the bytes of an unfinished character; what can never become one is shown as U+FFFD. */
export class Utf8Stream {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** The text that these bytes complete. */
  push(bytes: Iterable<number>): string {
    return this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
  }

  /** What is left at the end of the stream: U+FFFD if a character stayed unfinished. */
  end(): string {
    return this.#decoder.decode();
  }
}

/** What a reader sees as one character, and its bytes: start <= i < end. */
export interface Character {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });

/** Bytes as characters, letters with their marks together, every byte in exactly one. A byte outside valid UTF-8 becomes U+FFFD. */
export function characters(bytes: ArrayLike<number>): Character[] {
  const points = codePoints(Uint8Array.from(bytes));
  const startOf = new Map<number, number>();
  let text = "";
  for (const point of points) {
    startOf.set(text.length, point.start);
    text += point.text;
  }
  const at = (index: number) => startOf.get(index) ?? bytes.length;
  return Array.from(segmenter.segment(text), ({ segment, index }) => ({
    text: segment,
    start: at(index),
    end: at(index + segment.length),
  }));
}

/**
 * Of the first `most` bytes those that are whole characters: without what continues one from before, and without one that is cut at the
 * end.
 */
export function wholeCharacters(bytes: ArrayLike<number>, most: number): { readonly from: number; readonly to: number } {
  const isContinued = (i: number): boolean => (bytes[i] & 0xc0) === 0x80;
  let from = 0;
  while (from < Math.min(3, bytes.length) && isContinued(from)) from++;
  const end = Math.min(most, bytes.length);
  if (from >= end) return { from: end, to: end };
  let lead = end - 1;
  while (lead > from && lead > end - 4 && isContinued(lead)) lead--;
  const isWhole = lead < from || lead + lengthFrom(bytes[lead]) <= end;
  return { from, to: isWhole ? end : lead };
}

function codePoints(bytes: Uint8Array): Character[] {
  const points: Character[] = [];
  for (let start = 0; start < bytes.length; start = points[points.length - 1].end) points.push(codePointAt(bytes, start));
  return points;
}

function codePointAt(bytes: Uint8Array, start: number): Character {
  const end = start + lengthFrom(bytes[start]);
  try {
    return { text: strict.decode(bytes.subarray(start, end)), start, end };
  } catch {
    return { text: "\ufffd", start, end: start + 1 };
  }
}

// The leading byte of a character tells its length. RFC 3629, section 3.
function lengthFrom(lead: number): number {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
