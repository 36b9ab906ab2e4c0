/**
 * Span corruption: the pre-training task of T5 and the Switch Transformer. Spans of a text are replaced by sentinels, and the model learns to write
 * the spans. It works on ids of any tokeniser; sentinels are ids that the text does not use. Raffel et al. 2020, arXiv:1910.10683, section 3.1.4
 * and figure 2. L tokens of the text, S spans.
 */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { aKey, check, checkOptions, having, listOf, optional, positive, whole } from "../autograd/arguments.ts";
import type { Key } from "../autograd/random.ts";

/** A span of a text: its tokens i with start <= i < end. */
export interface NoiseSpan {
  readonly start: number;
  readonly end: number;
}

/** How much of a text is taken out, in spans of which length. */
export interface SpanCorruptionOptions {
  /** Share of the tokens that are taken out, above 0 and below 1. Default 0.15. */
  readonly density?: number;
  /** Mean number of tokens of a span, at least 1. Default 3. */
  readonly meanLength?: number;
}

/** The ids that mark spans: `first`, `first + step`, ..., `count` of them. */
export interface Sentinels {
  readonly first: number;
  readonly count: number;
  /** Default 1. T5's ids count down: { first: 32099, count: 100, step: -1 }. */
  readonly step?: 1 | -1;
}

/** A text without its spans, which the encoder reads, and the spans, which the decoder learns to write. */
export interface CorruptedText {
  /** The text with a sentinel in place of each span. */
  readonly input: Int32Array; // [L - noise + S]
  /** Each sentinel, in order, followed by the tokens of its span. */
  readonly target: Int32Array; // [noise + S]
}

const aShare: Kind = { wanted: "a number above 0 and below 1", accepts: (x) => typeof x === "number" && x > 0 && x < 1 };
const aStep: Kind = { wanted: "1 or -1", accepts: (x) => x === 1 || x === -1 };
const ids: Kind = having("an array of ids", "length");
const corruptionKinds: Kinds<SpanCorruptionOptions> = {
  density: optional(aShare),
  meanLength: optional({ ...positive, wanted: "a number of 1 or more", accepts: (x) => Number.isFinite(x) && Number(x) >= 1 }),
};
const sentinelKinds: Kinds<Sentinels> = { first: whole(0), count: whole(1), step: optional(aStep) };

/** Longer texts are refused: spans are listed one by one, and an absurd length would take for ever. */
const LONGEST_TEXT = 2 ** 26;

/**
 * How many tokens of a text are taken out, and in how many spans: round(L density), at least 1 and at most L - 1, in
 * round(noise / mean length) spans, at least 1. Rounded as T5 does, in float32 and half to even. A text of one token or none keeps all.
 * Where T5 would have to make spans touch, because less text than spans is left, there are as many spans as tokens left. Throws for a
 * length that is no whole number from 0. Raffel et al. 2020, arXiv:1910.10683, section 3.1.4.
 */
export function noiseCounts(length: number, options: SpanCorruptionOptions = {}): { readonly noise: number; readonly spans: number } {
  check("noiseCounts", "length", length, whole(0, LONGEST_TEXT));
  checkOptions("noiseCounts", options, corruptionKinds);
  const { density = 0.15, meanLength = 3 } = options;
  if (length < 2) return { noise: 0, spans: 0 };
  const noise = Math.min(Math.max(halfToEven(Math.fround(length * Math.fround(density))), 1), length - 1);
  const wanted = Math.max(halfToEven(Math.fround(noise / Math.fround(meanLength))), 1);
  return { noise, spans: Math.min(wanted, noise, length - noise) };
}

/**
 * Draws the spans of a text of `length` tokens that are taken out. Each has 1 token or more, they do not touch, and none holds the first token. The
 * lengths of the spans, and those of the stretches between them, are a partition of their sum, every one equally likely, as in T5's
 * `random_spans_noise_mask`. The same key gives the same spans. Throws for options that do not fit. Raffel et al. 2020, arXiv:1910.10683,
 * section 3.1.4.
 */
export function noiseSpans(length: number, random: Key, options: SpanCorruptionOptions = {}): NoiseSpan[] {
  check("noiseSpans", "random", random, aKey);
  const { noise, spans } = noiseCounts(length, options);
  const taken = partition(noise, spans, random.at("noise"));
  const left = partition(length - noise, spans, random.at("text"));
  let end = 0;
  return taken.map((size, i) => {
    const start = end + left[i];
    end = start + size;
    return { start, end };
  });
}

/**
 * Takes spans out of a text; `fillSpans` puts them back. Throws where a token of the text is a sentinel, where spans touch, overlap or leave the
 * text, and where there are fewer sentinels than spans. Raffel et al. 2020, arXiv:1910.10683, section 3.1.4.
 */
export function corruptSpans(tokens: ArrayLike<number>, spans: readonly NoiseSpan[], sentinels: Sentinels): CorruptedText {
  check("corruptSpans", "tokens", tokens, ids);
  check("corruptSpans", "spans", spans, listOf(having("{ start, end }", "start", "end")));
  checkSpans(spans, tokens.length);
  const sentinel = sentinelOf("corruptSpans", sentinels);
  if (spans.length > sentinels.count)
    throw new RangeError(`corruptSpans: ${spans.length} spans, but there are ${sentinels.count} sentinels`);
  for (let i = 0; i < tokens.length; i++)
    if (indexOf(tokens[i], sentinels) >= 0) throw new RangeError(`corruptSpans: token ${i} of the text is ${tokens[i]}, a sentinel`);
  const list = Array.from(tokens);
  const input = spans.flatMap(({ start }, i) => [...list.slice(spans[i - 1]?.end ?? 0, start), sentinel(i)]);
  const target = spans.flatMap(({ start, end }, i) => [sentinel(i), ...list.slice(start, end)]);
  return { input: Int32Array.from([...input, ...list.slice(spans.at(-1)?.end ?? 0)]), target: Int32Array.from(target) };
}

/**
 * The tokens after each sentinel of a target, by index of the sentinel; undefined where the target does not hold it. A model may write a target
 * badly, so tokens before the first sentinel are ignored, and of a repeated sentinel the first counts. Throws for a target that is no list of ids.
 */
export function splitSpans(target: ArrayLike<number>, sentinels: Sentinels): (Int32Array | undefined)[] {
  check("splitSpans", "target", target, ids);
  checkOptions("splitSpans", sentinels, sentinelKinds);
  const found = new Map<number, number[]>();
  let open: number[] | undefined;
  for (let i = 0; i < target.length; i++) {
    const index = indexOf(target[i], sentinels);
    if (index < 0) open?.push(target[i]);
    else {
      open = [];
      if (!found.has(index)) found.set(index, open);
    }
  }
  const size = [...found.keys()].reduce((most, index) => Math.max(most, index + 1), 0);
  return Array.from({ length: size }, (_, index) => {
    const tokens = found.get(index);
    return tokens && Int32Array.from(tokens);
  });
}

/** The text again: each sentinel of `input` replaced by the tokens that `target` has after it. Throws where `target` does not hold the sentinel. */
export function fillSpans(input: ArrayLike<number>, target: ArrayLike<number>, sentinels: Sentinels): Int32Array {
  check("fillSpans", "input", input, ids);
  const spans = splitSpans(target, sentinels);
  return Int32Array.from(
    Array.from(input).flatMap((token) => {
      const index = indexOf(token, sentinels);
      if (index < 0) return [token];
      const tokens = spans[index];
      if (!tokens) throw new RangeError(`fillSpans: the input has sentinel ${index} (id ${token}), which the target does not name`);
      return Array.from(tokens);
    }),
  );
}

/** Whole numbers of at least 1 that add up to `total`, `parts` of them, each such list equally likely. */
function partition(total: number, parts: number, random: Key): number[] {
  // The cuts are `parts - 1` different places out of `total - 1`: Floyd's algorithm (Bentley and Floyd 1987) draws such a set.
  const cuts = new Set<number>();
  for (let most = total - parts + 1; most < total; most++) {
    const drawn = 1 + Math.floor(random.number(most) * most);
    cuts.add(cuts.has(drawn) ? most : drawn);
  }
  const ends = [...cuts].toSorted((a, b) => a - b);
  return parts === 0 ? [] : [...ends, total].map((end, i) => end - (ends[i - 1] ?? 0));
}

function halfToEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function sentinelOf(where: string, sentinels: Sentinels): (index: number) => number {
  checkOptions(where, sentinels, sentinelKinds);
  const { first, count, step = 1 } = sentinels;
  if (first + step * (count - 1) < 0) throw new RangeError(`${where}: ${count} sentinels from ${first} down end below 0`);
  return (index) => first + step * index;
}

/** Which sentinel an id is; -1: none. */
function indexOf(id: number, { first, count, step = 1 }: Sentinels): number {
  const index = (id - first) * step;
  return index >= 0 && index < count ? index : -1;
}

function checkSpans(spans: readonly NoiseSpan[], length: number): void {
  spans.forEach(({ start, end }, i) => {
    const before = spans[i - 1]?.end ?? -1;
    if (!(Number.isInteger(start) && Number.isInteger(end) && start < end && start >= 0 && end <= length))
      throw new RangeError(`corruptSpans: span ${i} is ${start} to ${end}: want 0 <= start < end <= ${length}, the tokens of the text`);
    if (start <= before) throw new RangeError(`corruptSpans: span ${i} begins at ${start} and span ${i - 1} ends at ${before}: they touch`);
  });
}
