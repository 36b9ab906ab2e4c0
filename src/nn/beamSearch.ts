/**
 * Beam search: continuations that are likely as a whole, not token by token. Its rules are those of transformers 4.38 (BeamSearchScorer), so that
 * both write the same. B prompts, N beams, V vocabulary.
 */
import type { Kinds } from "../autograd/arguments.ts";
import { check, checkOptions, finite, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { LanguageModel } from "./evaluate.ts";
import { aModel, logSumExp, somePrompts, stops, writingKinds } from "./generate.ts";
import type { Written, WritingOptions } from "./generate.ts";
import { Reading, open, textsOf, waiting } from "./reading.ts";
import type { Logits, Prompts, TextToText, Writing } from "./reading.ts";
import { likeliest } from "./sample.ts";

/** Options of `beamSearch`. */
export interface BeamSearchOptions extends WritingOptions {
  /** N: how many continuations are followed at once. 1 is greedy. */
  readonly beams: number;
  /**
   * A finished continuation of n tokens, its stop token counted, scores (sum of log-probabilities) / n^penalty: above 0 favours long ones.
   * Default 1.
   */
  readonly lengthPenalty?: number;
  /**
   * When the search for a prompt ends, once N continuations have finished. true: at once. false: when the best open continuation, at its present
   * length, would score no better than the worst finished one. "never": when it could not at any length; for a penalty above 0 its sum is divided
   * by the largest length. Default false.
   */
  readonly earlyStopping?: boolean | "never";
  /** How many continuations to return, N at most. Default 1. */
  readonly returned?: number;
}

const kinds: Kinds<BeamSearchOptions> = {
  ...writingKinds,
  tokens: whole(1, 2 ** 31 - 1),
  beams: whole(1, 2 ** 16),
  lengthPenalty: optional(finite()),
  earlyStopping: optional(oneOf(true, false, "never")),
  returned: optional(whole(1)),
};

/** One continuation of a prompt. */
export interface Beam extends Written {
  /** logProbability / length^penalty. */
  readonly score: number;
}

/**
 * Returns the best continuations of each prompt, best first; for an encoder-decoder, the outputs for each prompt. Throws for prompts that are no
 * lists of ids, and where `returned` is above `beams`. The rules are those of BeamSearchScorer in transformers 4.38.
 */
export async function beamSearch(model: LanguageModel | TextToText, prompts: Prompts, options: BeamSearchOptions): Promise<Beam[][]> {
  check("beamSearch", "model", model, aModel);
  check("beamSearch", "prompts", prompts, somePrompts);
  checkOptions("beamSearch", options, kinds);
  check("beamSearch", "returned", options.returned ?? 1, whole(1, options.beams));
  return waiting(writeBeams(model, await textsOf("beamSearch", prompts), options));
}

/** `beamSearch` as a generator that yields logits and is given their numbers. */
export function* writeBeams(
  model: LanguageModel | TextToText,
  texts: readonly (readonly number[])[],
  options: BeamSearchOptions,
): Writing<Beam[][]> {
  const { tokens, beams, returned = 1, padding = 0, cache = true } = options;
  const searches = texts.map(() => new Search(options));
  // With a cache each prompt is read once, and its keys and values are then taken N times; without one every beam reads it.
  const copies = cache ? 1 : beams;
  const rows = texts.flatMap((prompt) => new Array<readonly number[]>(copies).fill(prompt));
  const opened = open(model, rows, padding);
  const reading = new Reading(opened.model, cache);
  try {
    let logits = yield reading.begin(opened.prompts, padding);
    if (cache) logits = logits.flatMap((row) => new Array<Logits>(beams).fill(row));
    for (let length = 1; ; length++) {
      const first = cache && length === 1;
      const steps = searches.flatMap((search, b) => search.step(logits.slice(b * beams, (b + 1) * beams), length, padding));
      if (length === tokens || searches.every(({ done }) => done)) return searches.map((search) => search.best(returned));
      const prompt = (i: number): number => Math.floor(i / beams);
      reading.reorder(steps.map(({ beam }, i) => (first ? prompt(i) : prompt(i) * beams + beam)));
      logits = yield reading.next(steps.map(({ id }) => id));
    }
  } finally {
    reading.close();
    opened.close();
  }
}

interface Open {
  readonly ids: readonly number[];
  readonly sum: number;
}

/** The beams of one prompt. */
class Search {
  done = false;
  #open: readonly Open[];
  #finished: Beam[] = [];
  readonly #options: BeamSearchOptions;

  constructor(options: BeamSearchOptions) {
    // All beams begin equal. Only the first takes part in the first step, or all would stay equal.
    this.#open = Array.from({ length: options.beams }, (_, i) => ({ ids: [], sum: i === 0 ? 0 : -1e9 }));
    this.#options = options;
  }

  /**
   * Decides the next tokens; `length` is that of a continuation with its next token. Returns for each new beam the old one it extends, and
   * the id.
   */
  step(logits: readonly Logits[], length: number, padding: number): { beam: number; id: number }[] {
    const { beams, stop } = this.#options;
    if (this.done) return this.#open.map(() => ({ beam: 0, id: padding }));
    const candidates = this.#candidates(logits);
    const going: { beam: number; id: number; sum: number }[] = [];
    for (const [rank, { beam, id, sum }] of candidates.entries()) {
      if (going.length === beams) break;
      if (!stops(stop, id)) going.push({ beam, id, sum });
      else if (rank < beams) this.#finish({ ids: [...this.#open[beam].ids, id], sum });
    }
    // If all candidates are stop tokens, nothing goes on.
    while (going.length < beams) going.push({ beam: 0, id: padding, sum: -Infinity });
    this.#open = going.map(({ beam, id, sum }) => ({ ids: [...this.#open[beam].ids, id], sum }));
    this.done = this.#isDone(candidates[0].sum, length);
    return going;
  }

  /** The best (1 + stop tokens) N continuations by one token, best first. */
  #candidates(logits: readonly Logits[]): { beam: number; id: number; sum: number }[] {
    const { beams, stop } = this.#options;
    const count = beams * Math.max(2, 1 + (typeof stop === "number" ? 1 : (stop?.length ?? 0)));
    const all = this.#open.flatMap(({ sum }, beam) => {
      const total = logSumExp(logits[beam]);
      return likeliest(logits[beam], count).map((id) => ({ beam, id, sum: sum + logits[beam][id] - total }));
    });
    if (all.length === 0) throw new RangeError("beamSearch: no logit is a number above -Infinity");
    return all.sort((a, b) => b.sum - a.sum).slice(0, count); // stable: among equals the first beam's likeliest
  }

  #finish({ ids, sum }: Open): void {
    const { beams, lengthPenalty = 1 } = this.#options;
    const beam = { ids, logProbability: sum, score: sum / ids.length ** lengthPenalty };
    const full = this.#finished.length === beams;
    if (full && beam.score <= this.#finished[beams - 1].score) return;
    // Of equal scores the later one comes first.
    this.#finished = [beam, ...this.#finished].sort((a, b) => b.score - a.score).slice(0, beams);
  }

  #isDone(best: number, length: number): boolean {
    const { beams, lengthPenalty = 1, earlyStopping = false, tokens } = this.#options;
    if (this.#finished.length < beams) return false;
    if (earlyStopping === true) return true;
    const longest = earlyStopping === "never" && lengthPenalty > 0 ? tokens : length;
    return this.#finished[beams - 1].score >= best / longest ** lengthPenalty;
  }

  /** Open beams count as finished where the tokens ran out. */
  best(count: number): Beam[] {
    if (!this.done) for (const open of this.#open) if (open.sum > -1e8) this.#finish(open);
    return this.#finished.slice(0, count);
  }
}
