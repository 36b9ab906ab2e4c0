/** What the cases of a law were like. A law that never meets a dropped token proves nothing about dropping. */
import type { Routing } from "../moe/index.ts";
import type { RouterCase } from "./cases.ts";
import { booksOf, maskOf } from "./cases.ts";

export const kinds = ["drops", "emptyExperts", "padding", "tiedTokens", "tiedExperts", "oneExpert", "fewTokens", "dropless"] as const;
/** What a case can be like: the names that `Coverage` counts by. */
export type Kind = (typeof kinds)[number];

/** How many cases a law saw, and how many of each kind. */
export class Coverage {
  #cases = 0;
  readonly #met = new Map<Kind, number>();

  /** Counts one case. */
  note(c: RouterCase, routing: Routing): void {
    const { expert, slot } = booksOf(routing);
    const used = new Set(expert.flat().filter((e) => e >= 0));
    const tokens = c.batch * c.length;
    const met: Record<Kind, boolean> = {
      drops: expert.some((row, t) => row.some((e, k) => e >= 0 && slot[t][k] < 0)),
      emptyExperts: used.size < c.experts,
      padding: maskOf(c).includes(0),
      tiedTokens: c.repeats && new Set(c.ids).size < tokens,
      tiedExperts: c.twins && c.experts > 1,
      oneExpert: c.experts === 1,
      fewTokens: tokens < c.experts,
      dropless: c.factor === "dropless",
    };
    this.#cases++;
    for (const kind of kinds) if (met[kind]) this.#met.set(kind, (this.#met.get(kind) ?? 0) + 1);
  }

  /** Counts the cases of another one too. */
  add(other: Coverage): void {
    this.#cases += other.#cases;
    for (const [kind, times] of other.#met) this.#met.set(kind, (this.#met.get(kind) ?? 0) + times);
  }

  /** Forgets all cases. */
  clear(): void {
    this.#cases = 0;
    this.#met.clear();
  }

  /** The share of cases of a kind, 0 to 1. */
  share(kind: Kind): number {
    return this.#cases ? (this.#met.get(kind) ?? 0) / this.#cases : 0;
  }

  /** The number of cases, and the share of each kind in per cent. */
  toString(): string {
    return `${this.#cases} cases: ${kinds.map((kind) => `${kind} ${Math.round(100 * this.share(kind))} %`).join(", ")}`;
  }
}
