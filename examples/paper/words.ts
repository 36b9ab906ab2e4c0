/** Numbers of claims as they are printed and shown. */
import type { Judged } from "./judged.ts";

const signed = (x: number, digits: number): string => `${x > 0 ? "+" : x < 0 ? "−" : ""}${Math.abs(x).toFixed(digits)}`;

/** A number with its sign; of "+0.000" the sign is left out. */
export const shown = (x: number, digits: number): string => {
  if (!Number.isFinite(x)) return "-";
  return Number(Math.abs(x).toFixed(digits)) === 0 ? (0).toFixed(digits) : signed(x, digits);
};

/** "+0.031 (+0.011 to +0.051)" */
export function interval({ comparison: { digits = 3 }, estimate: { mean, low, high } }: Judged): string {
  return `${shown(mean, digits)} (${shown(low, digits)} to ${shown(high, digits)})`;
}

/** "not resolvable at this size (needs about 40 seeds)" */
export function verdictWords({ verdict, needed }: Judged): string {
  if (verdict !== "not resolvable at this size") return verdict;
  return `${verdict} (needs ${needed === null ? "more than 10,000" : `about ${needed.toLocaleString("en-US")}`} seeds)`;
}
