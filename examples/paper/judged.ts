/** From the results of a claim to its numbers: estimates, verdicts, and what holds for all comparisons together. */
import { seeded } from "../train/uniform.ts";
import type { Claim, Column, Comparison, Seed } from "./claim.ts";
import type { Estimate, Verdict } from "./statistics.ts";
import { bootstrapped, estimate, holm, seedsNeeded, verdictOf } from "./statistics.ts";

export interface Judged {
  readonly comparison: Comparison;
  readonly estimate: Estimate;
  /** "t" or "bootstrap". */
  readonly interval: "t" | "bootstrap";
  readonly verdict: Verdict;
  /** With which it would be resolved; null: more than 10,000. Only where it is not. */
  readonly needed: number | null;
  /** Seeds without a finite number. */
  readonly without: number;
}

/** A comparison over seeds. Seeds in which a side has no finite number are left out, and counted. */
export function judged(comparison: Comparison, seeds: readonly Seed[]): Judged {
  const { published } = comparison;
  const per = "of" in comparison ? seeds.map(comparison.of) : null;
  const finite = per?.filter(Number.isFinite);
  const found = finite ? estimate(finite) : bootstrapped(seeds, overOf(comparison), seeded(1));
  const verdict = verdictOf(found, published);
  return {
    comparison,
    estimate: found,
    interval: finite ? "t" : "bootstrap",
    verdict,
    needed: verdict === "not resolvable at this size" ? seedsNeeded(found, published) : null,
    without: per && finite ? per.length - finite.length : 0,
  };
}

function overOf(comparison: Comparison): (seeds: readonly Seed[]) => number {
  if ("over" in comparison) return comparison.over;
  throw new TypeError(`comparison "${comparison.name}" has neither "of" nor "over"`);
}

/** The comparisons of a claim. */
export const judge = ({ comparisons }: Claim, seeds: readonly Seed[]): Judged[] => comparisons.map((one) => judged(one, seeds));

/** Of all comparisons of several claims: those whose difference from 0 holds at 5 % for all of them together (Holm). */
export function holding(all: readonly Judged[]): Set<Judged> {
  const adjusted = holm(all.map(({ estimate }) => estimate.p));
  return new Set(all.filter((_, i) => adjusted[i] < 0.05));
}

/** Mean and deviation over seeds of a column, for an arm; NaN where no seed has a number. */
export function cellOf({ value }: Column, arm: string, seeds: readonly Seed[]): { mean: number; deviation: number } {
  const values = seeds.map((seed) => value(seed(arm))).filter(Number.isFinite);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : NaN };
}
