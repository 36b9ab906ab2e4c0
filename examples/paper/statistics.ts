/**
 * Differences over seeds: intervals, verdicts, and how many seeds would be needed. All comparisons are paired: what is averaged is one
 * number for each seed, in which both sides saw the same batches. n seeds, d their mean, s their standard deviation.
 */
import { draws, type Uniform } from "../train/uniform.ts";

/** What the seeds say of a quantity, at 95 %. */
export interface Estimate {
  readonly seeds: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Probability of a mean at least this far from 0, two-sided, were there no difference. */
  readonly p: number;
  /** Of the seeds; of the bootstrapped statistic where there is no number for each seed. */
  readonly deviation: number;
}

/** What a paper found: a sign, or nothing that exceeds a margin. */
export type Published = { readonly direction: 1 | -1 } | { readonly direction: 0; readonly margin: number };

export const verdicts = ["same direction", "opposite", "not resolvable at this size"] as const;
export type Verdict = (typeof verdicts)[number];

const LEVEL = 0.95;
const POWER = 0.8;
/** More seeds than this are not named. */
const MOST_SEEDS = 10_000;

const sum = (values: readonly number[]): number => values.reduce((total, x) => total + x, 0);

/** d and its t interval d +- t s / sqrt(n), n - 1 degrees of freedom. Student 1908. */
export function estimate(values: readonly number[]): Estimate {
  const seeds = values.length;
  if (seeds < 2) throw new RangeError(`estimate: ${seeds} seeds: want at least 2`);
  const mean = sum(values) / seeds;
  const deviation = Math.sqrt(sum(values.map((x) => (x - mean) ** 2)) / (seeds - 1));
  const error = deviation / Math.sqrt(seeds);
  const half = error * tQuantile((1 + LEVEL) / 2, seeds - 1);
  const p = error === 0 ? Number(mean === 0) : 2 * (1 - tProbability(Math.abs(mean) / error, seeds - 1));
  return { seeds, mean, low: mean - half, high: mean + half, p, deviation };
}

/**
 * The same of a statistic of all seeds together (a ratio of deviations, of means): percentile bootstrap over seeds, whole seeds drawn, so
 * that pairs stay together. Efron 1979. With few seeds such intervals are somewhat too short.
 */
export function bootstrapped<T>(
  seeds: readonly T[],
  statistic: (drawn: readonly T[]) => number,
  uniform: Uniform,
  rounds = 4000,
): Estimate {
  if (seeds.length < 2) throw new RangeError(`bootstrapped: ${seeds.length} seeds: want at least 2`);
  const draw = draws(uniform);
  const drawn = Array.from({ length: rounds }, () => statistic(seeds.map(() => seeds[Math.floor(draw() * seeds.length)])));
  const ordered = drawn.filter(Number.isFinite).toSorted((a, b) => a - b);
  const at = (share: number): number => ordered[Math.round(share * (ordered.length - 1))];
  const share = (holds: (x: number) => boolean): number => ordered.filter(holds).length / ordered.length;
  const p = Math.min(1, Math.max(2 / rounds, 2 * Math.min(share((x) => x <= 0), share((x) => x >= 0)))); // prettier-ignore
  const middle = sum(ordered) / ordered.length;
  const deviation = Math.sqrt(sum(ordered.map((x) => (x - middle) ** 2)) / ordered.length) * Math.sqrt(seeds.length);
  return { seeds: seeds.length, mean: statistic(seeds), low: at((1 - LEVEL) / 2), high: at((1 + LEVEL) / 2), p, deviation };
}

/**
 * Of a published sign: "same direction" or "opposite" where the interval leaves 0 out, else not resolvable. Of "no difference": "same
 * direction" where the interval lies within the margin, "opposite" where it lies beyond 0 and reaches out of the margin, else not
 * resolvable.
 */
export function verdictOf({ low, high }: Pick<Estimate, "low" | "high">, published: Published): Verdict {
  if (published.direction === 0 && low >= -published.margin && high <= published.margin) return "same direction";
  const sign = low > 0 ? 1 : high < 0 ? -1 : 0;
  if (sign === 0) return "not resolvable at this size";
  return sign === published.direction ? "same direction" : "opposite";
}

/**
 * Seeds with which a difference as large as the one found would be resolved in four of five trials: the least n with
 * (t(97.5 %) + t(80 %)) s / sqrt(n) <= |d|; of "no difference", with t(97.5 %) s / sqrt(n) <= margin - |d| while d lies inside. null: more
 * than 10,000.
 */
export function seedsNeeded({ mean, deviation }: Pick<Estimate, "mean" | "deviation">, published: Published): number | null {
  const equal = published.direction === 0 && Math.abs(mean) < published.margin;
  const room = equal ? published.margin - Math.abs(mean) : Math.abs(mean);
  const enough = (n: number): boolean =>
    ((tQuantile((1 + LEVEL) / 2, n - 1) + (equal ? 0 : tQuantile(POWER, n - 1))) * deviation) / Math.sqrt(n) <= room;
  if (!enough(MOST_SEEDS)) return null;
  let [no, yes] = [1, MOST_SEEDS];
  while (yes - no > 1) {
    const middle = (no + yes) >> 1;
    if (middle > 1 && enough(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

/** Probabilities that hold for all of a family together, in the given order. Holm 1979. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).toSorted((i, j) => ps[i] - ps[j]);
  const adjusted = new Array<number>(ps.length);
  let most = 0;
  order.forEach((i, rank) => {
    most = Math.max(most, Math.min(1, (ps.length - rank) * ps[i]));
    adjusted[i] = most;
  });
  return adjusted;
}

/** P(T <= t) of Student's distribution. DLMF 8.17 by way of I_x(nu / 2, 1 / 2), x = nu / (nu + t^2). */
export function tProbability(t: number, degrees: number): number {
  const tail = incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

const quantiles = new Map<string, number>();

/** The t with P(T <= t) = p, by bisection; remembered, since estimates ask for the same ones. */
export function tQuantile(p: number, degrees: number): number {
  const name = `${p} ${degrees}`;
  const found = quantiles.get(name) ?? (p < 0.5 ? -bisected(1 - p, degrees) : bisected(p, degrees));
  quantiles.set(name, found);
  return found;
}

function bisected(p: number, degrees: number): number {
  let [low, high] = [0, 1];
  while (tProbability(high, degrees) < p) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tProbability(middle, degrees) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I_x(a, b), the regularised incomplete beta function, by its continued fraction. DLMF 8.17.22. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  // From the last fraction to the first.
  let fraction = 1;
  for (let m = 200; m >= 1; m--) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m - 1) * (a + b + m - 1) * x) / ((a + 2 * m - 2) * (a + 2 * m - 1));
    fraction = 1 + odd / (1 + even / fraction);
  }
  return front / fraction;
}

/** log Gamma(x) for x > 0: Stirling's series, after the recurrence has brought x to 10 or more. DLMF 5.11.1. */
function logGamma(x: number): number {
  let [at, shift] = [x, 0];
  while (at < 10) shift += Math.log(at++);
  const series = 1 / (12 * at) - 1 / (360 * at ** 3) + 1 / (1260 * at ** 5) - 1 / (1680 * at ** 7);
  return (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series - shift;
}
