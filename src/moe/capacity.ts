/**
 * How many slots an expert has. S tokens of a group, E experts, K choices of a token, C capacity: slots per expert and group.
 *
 * C = min(S, max(1, ceil(S K factor / E))). Fedus et al. 2021, arXiv:2101.03961, eq. 3, leaves the rounding open; ours never gives
 * an expert no slot at all, nor more slots than there are tokens. It depends on shapes alone, so that routing never reads back.
 */

/** A number above 0 (Infinity: a slot for every token), or "dropless": no slots at all, rows sorted by expert. */
export type CapacityFactor = number | "dropless";

/** Slots per expert and group. An error where the factor is not above 0 or there are no experts. */
export function capacityOf(tokens: number, experts: number, factor: number, choices = 1): number {
  requireCapacityFactor(factor);
  if (!(experts >= 1)) throw new RangeError(`capacityOf: ${experts} experts; at least 1 is needed`);
  if (tokens === 0) return 0; // 0 times Infinity is NaN
  return Math.min(tokens, Math.max(1, Math.ceil((tokens * choices * factor) / experts)));
}

export function requireCapacityFactor(factor: CapacityFactor): void {
  if (factor === "dropless" || factor > 0) return;
  throw new RangeError(`capacity factor ${factor}: must be above 0 (Infinity gives every token a slot, "dropless" does without slots)`);
}
