/** What a law is: cases, a check on a world made of each, and what the cases must have met for the law to say anything. */
import type fc from "fast-check";
import type { RouterTraits, Routing } from "../../moe/index.ts";
import type { RouterCase, Subject } from "../cases.ts";
import type { Kind } from "../coverage.ts";

interface Selection {
  /** Begins with the numbers of the properties it proves. */
  readonly name: string;
  readonly cases: fc.Arbitrary<RouterCase>;
  /** Which routers it applies to. Default: all. */
  readonly of?: (traits: RouterTraits, subject: Subject) => boolean;
}

/** Cases of a law that has no number of its own. */
export const RUNS = 14;

/** Holds in every case. */
export interface Law extends Selection {
  readonly runs?: number;
  /** Least shares of cases of each kind, over all routers. */
  readonly meets?: Partial<Record<Kind, number>>;
  /** Throws where the law is broken. `note` counts what a routing was like. */
  check(subject: Subject, c: RouterCase, note: (routing: Routing) => void): void;
}

/** Shows in some case: what the traits do not promise must be missing. */
export interface Claim extends Selection {
  shows(subject: Subject, c: RouterCase): boolean;
  /** What to do about a router in which it never shows. */
  readonly otherwise: string;
}
