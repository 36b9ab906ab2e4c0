/** What a law is: cases, a check on a world made of each, and what the cases must have met for the law to say anything. */
import { expect } from "chai";
import type fc from "fast-check";
import type { RouterTraits, Routing } from "../../../src/moe/index.ts";
import type { Case } from "../cases.ts";
import type { Kind } from "../coverage.ts";
import type { RouterRow } from "../routers.ts";

export interface Law {
  /** Begins with the numbers of the properties it proves. */
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  /** Which routers it speaks of; all, unless said. */
  readonly of?: (traits: RouterTraits, row: RouterRow) => boolean;
  readonly runs?: number;
  /** Least shares of cases of each kind, over all routers. */
  readonly meets?: Partial<Record<Kind, number>>;
  /** Throws where the law is broken. `note` counts what a routing was like. */
  check(row: RouterRow, c: Case, note: (routing: Routing) => void): void;
}

export function close(actual: readonly number[], wanted: readonly number[], what: string, tolerance = 1e-9): void {
  expect(actual.length, `${what}: length`).to.equal(wanted.length);
  actual.forEach((x, i) => {
    const gap = Math.abs(x - wanted[i]);
    if (!(gap <= tolerance * Math.max(1, Math.abs(wanted[i])))) expect.fail(`${what}[${i}]: ${x}, wanted ${wanted[i]}`);
  });
}
