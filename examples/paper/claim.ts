/**
 * What a claim is: everything that is known before it is run (source, published numbers, the verdict expected and why at this size,
 * settings, seeds, measures), then how its picture is drawn. One file in `claims/` for each.
 */
import type { Result, Settings } from "./settings.ts";
import type { Published, Verdict } from "./statistics.ts";

/** One side of a claim: a configuration that is run with every seed. */
export interface Arm {
  readonly name: string;
  /** What it is, where the name does not say all. */
  readonly note?: string;
  readonly settings: (seed: number) => Settings;
}

/** The results of one seed, by arm. */
export type Seed = (arm: string) => Result;

interface Compared {
  /** What is compared, so that a positive number has a meaning: "Switch saves over dense". */
  readonly name: string;
  readonly unit: string;
  /** What the paper found, in its own unit. */
  readonly published: Published & { readonly text: string };
  /** The verdict that was expected before the run, and why at this size. */
  readonly expected: Verdict;
  readonly why: string;
  readonly digits?: number;
}

/** A number for each seed, whose mean gets a t interval; or a statistic of all seeds, which gets a bootstrap interval. */
export type Comparison = Compared & ({ readonly of: (seed: Seed) => number } | { readonly over: (seeds: readonly Seed[]) => number });

/** A column of the table of arms: a value of the results, its mean and deviation over seeds. */
export interface Column {
  readonly name: string;
  readonly value: (result: Result) => number;
  readonly digits: number;
}

export interface Claim {
  readonly number: number;
  readonly title: string;
  readonly source: string;
  /** What was published, a row for each line of the table that is quoted. */
  readonly published: readonly string[];
  /** What is run here, in a sentence or two: sizes, text, and what was changed and why. */
  readonly setting: string;
  /** What this size cannot show, said before it is run. */
  readonly limits: string;
  /** How many seeds: 1, 2, ... */
  readonly seeds: number;
  readonly arms: readonly Arm[];
  readonly columns: readonly Column[];
  /** The first decides the verdict of the claim. */
  readonly comparisons: readonly Comparison[];
  /** What is drawn beside the intervals of the comparisons. */
  readonly picture?: (seeds: readonly Seed[]) => Picture;
}

export interface Picture {
  readonly svg: string;
  /** What is to be seen, for those who do not see it. */
  readonly description: string;
}

/** A value of a result; NaN where the run has none that is finite. */
export const value = (result: Result, name: string): number => result.values[name] ?? NaN;

/** How much less of a value the second arm needs than the first: positive where the second is better. */
export const saved =
  (name: string, first: string, second: string) =>
  (seed: Seed): number =>
    value(seed(first), name) - value(seed(second), name);

/** How much more of a value the second arm has. */
export const gained = (name: string, first: string, second: string) => saved(name, second, first);

export const column = (name: string, of: string, digits = 3, scale = 1): Column => ({
  name,
  value: (result) => scale * value(result, of),
  digits,
});

/** Held-out bits, the column of almost every claim. */
export const bits = column("bits per byte", "bits");
/** The same where some arms fill in spans, whose unit is a token. */
export const bitsOfEither = column("bits per byte (spans: per token)", "bits");
/**
 * The papers' measure: the mean log-probability of what was to be predicted, in nats; for each masked token in an encoder-decoder, for each
 * byte elsewhere.
 */
export const perplexity = column("negative log perplexity, nats", "nats");
export const dropped = column("dropped, %", "dropped", 1, 100);
export const maxVio = column("MaxVio", "maxVio", 2);
export const language = column("I(expert; language), bits", "infoLanguage");

/** The mean over seeds. */
export const meanOf = (seeds: readonly Seed[], of: (seed: Seed) => number): number =>
  seeds.reduce((sum, seed) => sum + of(seed), 0) / seeds.length;

/** Steps until a course has fallen to a level, between its points by straight lines; Infinity: never. */
export function stepsTo(course: Result["courses"][string], level: number): number {
  const at = course.findIndex(([, bits]) => bits <= level);
  if (at < 0) return Infinity;
  if (at === 0) return course[0][0];
  const [[before, high], [after, low]] = [course[at - 1], course[at]];
  return before + ((after - before) * (high - level)) / (high - low);
}

/** Steps of two runs to the smoothed training loss that both reach: the higher of the two that they end with. */
export function stepsToBoth(first: Result, second: Result): [number, number] {
  const [a, b] = [first.courses["training"], second.courses["training"]];
  const level = Math.max(a[a.length - 1][1], b[b.length - 1][1]);
  return [stepsTo(a, level), stepsTo(b, level)];
}
