/**
 * How many slots an expert has. S tokens of a group, E experts, K choices of a token, C capacity: slots per expert and group.
 *
 * C = min(S, max(1, ceil(S K factor / E))). Fedus et al. 2021, arXiv:2101.03961, eq. 3, leaves the rounding open; here an expert has at
 * least one slot and never more slots than there are tokens. C depends on shapes alone, so that routing never reads back.
 */
import { aCapacityFactor, check, count, whole } from "./arguments.ts";

/** A number above 0 (Infinity: a slot for every token), or "dropless": no slots at all, rows sorted by expert. */
export type CapacityFactor = number | "dropless";

/** A product of four numbers, of which one may be a rounded decimal, is off by less than this share of itself. */
const ROUNDING = 8 * Number.EPSILON;

/**
 * The expert capacity: slots per expert and group, for `tokens` tokens of a group that make `choices` choices each. It is 0 without tokens.
 * A product that is a whole number but for rounding is that number: 100 tokens, 10 experts and factor 1.1 give 11.
 * Throws where a size is not a whole number, or the factor is not above 0. Fedus et al. 2021, arXiv:2101.03961, eq. 3.
 */
export function capacityOf(tokens: number, experts: number, factor: number, choices = 1): number {
  check("capacityOf", "tokens", tokens, whole());
  check("capacityOf", "experts", experts, count);
  check("capacityOf", "factor", factor, { ...aCapacityFactor, accepts: (value) => typeof value === "number" && value > 0 });
  check("capacityOf", "choices", choices, count);
  if (tokens === 0) return 0; // 0 times Infinity is NaN
  return Math.min(tokens, Math.max(1, roundUp((tokens * choices * factor) / experts)));
}

function roundUp(x: number): number {
  const nearest = Math.round(x);
  return Math.abs(x - nearest) <= ROUNDING * x ? nearest : Math.ceil(x);
}
