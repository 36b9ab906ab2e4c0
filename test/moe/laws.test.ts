/** Every law on every router of the table. */
import { expect } from "chai";
import fc from "fast-check";
import { scope } from "../../src/index.ts";
import type { Case } from "./cases.ts";
import { Coverage } from "./coverage.ts";
import type { Kind } from "./coverage.ts";
import { laws } from "./laws/index.ts";
import type { Law } from "./laws/law.ts";
import type { RouterRow } from "./routers.ts";
import { routers } from "./routers.ts";

const sample: Case = { seed: 1, batch: 1, length: 2, experts: 2, choices: 1, factor: 1, group: "batch", ids: [0, 1], repeats: false, twins: false, padding: [0], training: false };

/** The reason why this router is not held to this law, if there is one. */
function exception(law: Law, { exceptions = {} }: RouterRow): string | undefined {
  return Object.entries(exceptions).find(([prefix]) => law.name.split(":")[0].split(" ").includes(prefix))?.[1];
}

describe("laws of routing", () => {
  for (const law of laws)
    describe(law.name, () => {
      const coverage = new Coverage();
      const held = routers.filter((row) => (law.of ?? (() => true))(row.make(sample).traits, row));
      for (const row of held) {
        const reason = exception(law, row);
        if (reason !== undefined) {
          it(`${row.name}: except that ${reason}`, () => {
            const broken = fc.check(property(law, row, new Coverage()), { seed: 11, numRuns: 300 });
            expect(broken.failed, `${row.name} keeps this law after all; strike the exception`).to.equal(true);
          });
          continue;
        }
        it(row.name, () => fc.assert(property(law, row, coverage), { seed: 7, numRuns: law.runs ?? 25 }));
      }
      it("met what it speaks of", () => {
        expect(held.length, "routers it was held to").to.be.greaterThan(0);
        console.log(`        ${coverage}`);
        for (const [kind, least] of Object.entries(law.meets ?? {}) as [Kind, number][]) expect(coverage.share(kind), kind).to.be.at.least(least);
      });
    });
});

function property(law: Law, row: RouterRow, coverage: Coverage): fc.IProperty<[Case]> {
  return fc.property(law.cases, (c) => scope(() => law.check(row, c, (routing) => coverage.note(c, routing))));
}
