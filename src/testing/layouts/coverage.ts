/** What the cases of a law of layouts were like: a law that never meets a rank without tokens proves nothing about them. */
import { check, listOf, oneOf, whole } from "../../autograd/arguments.ts";
import { checkCase } from "./cases.ts";
import type { LayoutCase } from "./cases.ts";
import { T } from "./sizes.ts";

/** What a case of layouts can be like: the names that `LayoutCoverage` counts by. */
export const layoutKinds = [
  "spreadExperts",
  "replicas",
  "emptyRanks",
  "emptyShards",
  "emptyExperts",
  "padding",
  "unequalShards",
  "dropless",
  "sharedState",
] as const;
/** One of them. */
export type LayoutKind = (typeof layoutKinds)[number];

/** How many cases a law of layouts saw, and how many of each kind. */
export class LayoutCoverage {
  #cases = 0;
  readonly #met = new Map<LayoutKind, number>();

  /** Counts one case; `chosen` says how often each expert was chosen in its first step. Throws for a case that is none. */
  note(c: LayoutCase, chosen: readonly number[]): void {
    checkCase("LayoutCoverage.note", c);
    check("LayoutCoverage.note", "chosen", chosen, listOf(whole()));
    const tokens = c.shards.map((sequences, s) => sequences * (T - c.padding[s]));
    const each = c.shards.length / c.ranks;
    const ofRank = Array.from({ length: c.ranks }, (_, r) => tokens.slice(r * each, (r + 1) * each).reduce((sum, n) => sum + n, 0));
    const some = ofRank.some((n) => n > 0);
    const met: Record<LayoutKind, boolean> = {
      spreadExperts: c.expertsOver > 1,
      replicas: c.ranks > c.expertsOver,
      emptyRanks: some && ofRank.includes(0),
      emptyShards: some && c.shards.includes(0),
      emptyExperts: some && chosen.includes(0),
      padding: some && c.padding.some((n, s) => n > 0 && c.shards[s] > 0),
      unequalShards: new Set(tokens).size > 1,
      dropless: c.factor === "dropless",
      sharedState: c.sharedState && c.ranks > 1,
    };
    this.#cases++;
    for (const kind of layoutKinds) if (met[kind]) this.#met.set(kind, (this.#met.get(kind) ?? 0) + 1);
  }

  /** Cases of a kind. Throws for a kind that there is not. */
  count(kind: LayoutKind): number {
    check("LayoutCoverage.count", "kind", kind, oneOf(...layoutKinds));
    return this.#met.get(kind) ?? 0;
  }

  /** The number of cases, and how many of each kind. */
  toString(): string {
    return `${this.#cases} cases: ${layoutKinds.map((kind) => `${kind} ${this.count(kind)}`).join(", ")}`;
  }
}
