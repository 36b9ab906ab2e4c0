/** Which runs claims need: each once, however many claims share it, and what a run builds on before it. */
import type { Claim, Seed } from "./claim.ts";
import type { Cache, Kept } from "./cache.ts";
import type { Program } from "./program.ts";
import type { Result, Settings } from "./settings.ts";
import { dependencies, hashOf, shortened } from "./settings.ts";

/** How much of each run is done. */
export interface Extent {
  /** Of its steps: a share, or at most so many. */
  readonly steps: (steps: number) => number;
  /** Seeds of a claim that has so many. */
  readonly seeds: (seeds: number) => number;
}

export const full: Extent = { steps: (steps) => steps, seeds: (seeds) => seeds };

export interface PlannedRun {
  readonly hash: string;
  readonly settings: Settings;
  /** Of the first claim that needs it. */
  readonly claim: number;
  /** Whether others begin with its weights. */
  readonly keep: boolean;
}

export const seedsOf = ({ seeds }: Claim, extent: Extent): number[] => Array.from({ length: extent.seeds(seeds) }, (_, i) => i + 1);

/** The runs of the claims, what others build on first. */
export function runsOf(claims: readonly Claim[], extent: Extent): PlannedRun[] {
  const planned = new Map<string, PlannedRun>();
  const add = (settings: Settings, claim: number, keep: boolean): void => {
    for (const from of dependencies(settings)) add(from, claim, true);
    const hash = hashOf(settings);
    const known = planned.get(hash);
    if (!known) planned.set(hash, { hash, settings, claim, keep });
    else if (keep && !known.keep) planned.set(hash, { ...known, keep });
  };
  for (const claim of claims)
    for (const seed of seedsOf(claim, extent))
      for (const { settings } of claim.arms) add(shortened(settings(seed), extent.steps), claim.number, false);
  return [...planned.values()];
}

/**
 * About how many seconds a run takes on one thread, in units of a step of the small model. Progress needs only the ratios.
 */
export function costOf(settings: Settings): number {
  if (settings.program === "precision") return 2;
  if (settings.program === "timing") return Object.keys(settings.arms).length * settings.rounds * SECONDS_PER_STEP;
  const { model, training, teacher } = settings;
  const stacks = model.architecture === "decoder" ? 1 : 2.5;
  return training.steps * SECONDS_PER_STEP * stacks * (teacher ? 1.4 : 1) + 0.5;
}

const SECONDS_PER_STEP = 0.014;

/** The results of a claim, seed by seed; null where some are missing. */
export function resultsOf(claim: Claim, extent: Extent, read: (settings: Settings) => Result | null): Seed[] | null {
  const seeds = seedsOf(claim, extent).map((seed) => {
    const arms = claim.arms.map(({ name, settings }) => [name, read(shortened(settings(seed), extent.steps))] as const);
    return arms.some(([, result]) => result === null) ? null : seedFrom(new Map(arms));
  });
  return seeds.some((seed) => seed === null) ? null : (seeds as Seed[]);
}

/** Answers with the result of an arm; throws for an arm that there is not. */
export function seedFrom(results: ReadonlyMap<string, Result | null>): Seed {
  return (arm) => {
    const result = results.get(arm);
    if (!result) throw new RangeError(`there is no arm "${arm}"; there are ${[...results.keys()].join(", ")}`);
    return result;
  };
}

/** How many of the runs of a claim are kept, of how many, and the seconds that they took. */
export function stateOf(
  runs: readonly PlannedRun[],
  read: (settings: Settings) => Kept | null,
): { done: number; seconds: number; left: number } {
  const kept = runs.map(({ settings }) => read(settings));
  return {
    done: kept.filter((one) => one !== null).length,
    seconds: kept.reduce((sum, one) => sum + (one?.seconds ?? 0), 0),
    left: runs.reduce((sum, { settings }, i) => sum + (kept[i] ? 0 : costOf(settings)), 0),
  };
}

/** Reads results of the programs as they are now. */
export function reader(cache: Cache, programs: ReadonlyMap<string, Program>, tell: (note: string) => void) {
  return (settings: Settings): Kept | null => {
    const program = programs.get(settings.program);
    return program ? cache.read(program, settings, tell) : null;
  };
}
