/** Every law on every router of the table, by `routerLaws`, as a user would call it. */
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

describe("laws of routing", () => {
  for (const [statement, each] of held)
    describe(statement, () => {
      for (const { row, law } of each) it(law.exception === undefined ? row : `${row}: except that ${law.exception}`, () => law.check());

      it("met what it speaks of", () => {
        expect(each.length, "routers it was held to").to.be.greaterThan(0);
        const all = new Coverage();
        for (const { law } of each) all.add(law.coverage);
        if (String(all) !== String(new Coverage())) console.log(`        ${all}`);
        for (const [kind, least] of Object.entries(each[0].law.meets) as [CoverageKind, number][])
          expect(least, `${kind}: the least that is asked for`).to.be.within(all.share(kind) / 6, all.share(kind));
      });
    });
});
