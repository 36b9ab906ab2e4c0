/**
 * Every law on every router of the table, by `routerLaws`, as a user would call it. What their cases were like stands in lawCases.json, which the site
 * shows; `WRITE_DOCS=1 npx mocha test/moe/laws.test.ts` writes it anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import type { CoverageKind, RouterLaw } from "switchyard-moe/testing";
import { routerLaws } from "switchyard-moe/testing";
import { Coverage } from "../../src/testing/coverage.ts";
import { claims, laws } from "../../src/testing/laws/index.ts";
import { routers } from "./routers.ts";

/** By what a law says, the routers it is held to. */
const held = new Map<string, { readonly row: string; readonly law: RouterLaw }[]>([...laws, ...claims].map(({ name }) => [name, []]));
for (const [i, { name, make, seats, exceptions }] of routers.entries())
  for (const law of routerLaws(name, make, { seats, except: exceptions, seed: 7 + i })) held.get(law.statement)?.push({ row: name, law });

/** What the cases of a law were like; a law that a router may break counts none of them. */
interface Met {
  readonly routers: number;
  /** "400 cases" */
  readonly cases: string;
  /** "drops 23 %", without those that were never met. */
  readonly kinds: readonly string[];
}

const file = new URL("lawCases.json", import.meta.url);
const met: Record<string, Met> = {};

function metBy(each: readonly { readonly law: RouterLaw }[]): Met {
  const all = new Coverage();
  const kept = each.filter(({ law }) => law.exception === undefined);
  for (const { law } of kept) all.add(law.coverage);
  const [cases, kinds] = String(all).split(": ");
  return { routers: kept.length, cases, kinds: kinds.split(", ").filter((kind) => !kind.endsWith(" 0 %")) };
}

describe("laws of routing", () => {
  for (const [statement, each] of held)
    describe(statement, () => {
      for (const { row, law } of each) it(law.exception === undefined ? row : `${row}: except that ${law.exception}`, () => law.check());

      it("met what it speaks of", () => {
        expect(each.length, "routers it was held to").to.be.greaterThan(0);
        const all = new Coverage();
        for (const { law } of each) all.add(law.coverage);
        if (String(all) !== String(new Coverage())) console.log(`        ${all}`);
        met[statement] = metBy(each);
        for (const [kind, least] of Object.entries(each[0].law.meets) as [CoverageKind, number][])
          expect(least, `${kind}: the least that is asked for`).to.be.within(all.share(kind) / 6, all.share(kind));
      });
    });

  // A suite, because tests run before the suites beside them.
  describe("all of them", () => {
    it("met what the site says", () => {
      if (process.env["WRITE_DOCS"] !== undefined) writeFileSync(file, `${JSON.stringify(met, null, 2)}\n`);
      expect(met, "written anew by WRITE_DOCS=1").to.deep.equal(JSON.parse(readFileSync(file, "utf8")));
    });
  });
});
