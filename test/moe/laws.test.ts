/** Every law on every router of the table. */
import { expect } from "chai";
import fc from "fast-check";
import { scope } from "../../src/index.ts";
import type { Case } from "./cases.ts";
import { cases, without } from "./cases.ts";
import { Coverage } from "./coverage.ts";
import type { Kind } from "./coverage.ts";
import { laws } from "./laws/index.ts";
import type { Law } from "./laws/law.ts";
import { futureReaches } from "./laws/time.ts";
import type { RouterRow } from "./routers.ts";
import { routers } from "./routers.ts";

const sample: Case = {
  seed: 1,
  batch: 1,
  length: 2,
  experts: 4,
  choices: 2,
  factor: 1,
  group: "batch",
  ids: [0, 1],
  repeats: false,
  twins: false,
  padding: [0],
  training: false,
};

/** Traits may depend on the case: with one choice, top-K is causal. */
function speaksOf({ of = () => true }: Law, row: RouterRow, c: Case): boolean {
  return of(row.make(c).traits, row);
}

/** The reason why this router is not held to this law, if there is one. */
function exception(law: Law, { exceptions = {} }: RouterRow): string | undefined {
  return Object.entries(exceptions).find(([start]) => law.name.startsWith(start))?.[1];
}

describe("laws of routing", () => {
  for (const law of laws)
    describe(law.name, () => {
      const coverage = new Coverage();
      const held = routers.filter((row) => speaksOf(law, row, sample));
      for (const row of held) {
        const reason = exception(law, row);
        if (reason !== undefined) {
          it(`${row.name}: except that ${reason}`, () => {
            const broken = fc.check(property(law, row, new Coverage()), { seed: 11, numRuns: 300 });
            expect(broken.failed, `${row.name} keeps this law after all; strike the exception`).to.equal(true);
          });
          continue;
        }
        it(row.name, () => fc.assert(property(law, row, coverage), { seed: 7 + routers.indexOf(row), numRuns: law.runs ?? 14 }));
      }
      it("met what it speaks of", () => {
        expect(held.length, "routers it was held to").to.be.greaterThan(0);
        console.log(`        ${coverage}`);
        for (const [kind, least] of Object.entries(law.meets ?? {}) as [Kind, number][])
          expect(coverage.share(kind), kind).to.be.at.least(least);
      });
    });
});

describe("routers that see the future", () => {
  for (const row of routers) {
    const { time } = row.make(sample).traits;
    if (time === "causal") continue;
    it(`${row.name}: a later token reaches an earlier one`, () => {
      const sequences = cases({ group: "sequence", batch: 1, padding: [0], ...without, experts: 3 });
      const blind = fc.property(sequences, (c) => {
        for (let from = 1; from < c.length; from++) if (scope(() => futureReaches(row, c, from))) return false;
        return true;
      });
      const { failed, counterexample } = fc.check(blind, { seed: 3, numRuns: 200 });
      expect(failed, "no such case: call it causal").to.equal(true);
      const [c] = counterexample ?? [];
      if (time === "dropless") expect(c?.factor, "only by taking slots").to.be.a("number");
    });
  }
});

function property(law: Law, row: RouterRow, coverage: Coverage): fc.IProperty<[Case]> {
  return fc.property(law.cases, (c) =>
    scope(() => {
      if (speaksOf(law, row, c)) law.check(row, c, (routing) => coverage.note(c, routing));
    }),
  );
}
