/**
 * Each broken layout is refuted by a law, on the smallest case that fast-check found when it drew cases and shrank one: `smallestLayouts.json`,
 * which `WRITE_DOCS=1 npx mocha test/testing/brokenLayouts.test.ts` writes anew. The package's own training keeps the laws on all of them. What
 * the law says of each case stands in `layoutFaults.json`, for the museum; WRITE_FAULTS=1 writes that alone.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { BrokenLayout, layoutLaws } from "../../src/testing/index.ts";
import type { LayoutCase, LayoutLawOptions } from "../../src/testing/index.ts";
import * as gallery from "./brokenLayouts.ts";
import { faultText } from "./faultText.ts";
import { layoutPages } from "./layoutPages.ts";

const module = new URL("brokenLayouts.ts", import.meta.url).href;
const file = new URL("smallestLayouts.json", import.meta.url);
const { ofCheckpoints, ...broken } = gallery;
const smallest = JSON.parse(readFileSync(file, "utf8")) as Record<string, LayoutCase>;
const faultsFile = new URL("layoutFaults.json", import.meta.url);
const faults = JSON.parse(readFileSync(faultsFile, "utf8")) as Record<string, string>;
const drawsAnew = process.env["WRITE_DOCS"] !== undefined;
const tellsAnew = drawsAnew || process.env["WRITE_FAULTS"] !== undefined;

/** The law that sees a variant; the first or the last. */
function lawFor(name: string, options: LayoutLawOptions) {
  const laws = layoutLaws(name, null, { ranks: [2], ...options });
  return ofCheckpoints.includes(name) ? laws[laws.length - 1] : laws[0];
}

async function faultOf(name: string): Promise<unknown> {
  const variant = { module, export: name };
  const search = { runs: 60, seed: 3, limit: 1 };
  return lawFor(name, drawsAnew ? { variant, ...search } : { variant, examples: [smallest[name]], runs: 1, shrink: false, limit: 3 })
    .check()
    .then(
      () => null,
      (error: unknown) => error,
    );
}

/** What is compared; which rank speaks first, and the last digits, are not the same on every machine. */
const beginning = (told: string): string => told.replace(/\d.*/, "");

describe("broken layouts", function () {
  this.timeout(300_000);
  for (const name of Object.keys(broken)) {
    it(`${name} is refuted by the law of ${ofCheckpoints.includes(name) ? "checkpoints" : "one process"}`, async () => {
      const fault = await faultOf(name);
      expect(fault).to.be.instanceOf(BrokenLayout);
      if (!(fault instanceof BrokenLayout)) return;
      if (drawsAnew) smallest[name] = fault.counterexample;
      if (tellsAnew) faults[name] = faultText(fault.cause);
      expect(beginning(faultText(fault.cause))).to.equal(beginning(faults[name]));
    });
  }

  it("keep the laws where nothing is broken, on the same cases", async () => {
    const names = Object.keys(broken);
    for (const saved of [false, true]) {
      const examples = names.filter((name) => ofCheckpoints.includes(name) === saved).map((name) => smallest[name]);
      const laws = layoutLaws("right", null, { ranks: [2], examples, runs: examples.length });
      await (saved ? laws[laws.length - 1] : laws[0]).check();
    }
  });

  it("have a page each", () => expect(layoutPages.map(({ variant }) => variant).toSorted()).to.deep.equal(Object.keys(broken).toSorted()));

  after(() => {
    if (drawsAnew) writeFileSync(file, `${JSON.stringify(smallest, null, 2)}\n`);
    if (tellsAnew) writeFileSync(faultsFile, `${JSON.stringify(faults, null, 2)}\n`);
  });
});
