/** The page and its pictures are those that the shipped results give, and the results are those of the claims as they stand. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { expect } from "chai";
import { allClaims } from "../../examples/paper/claims.ts";
import type { Claim } from "../../examples/paper/claim.ts";
import { judge } from "../../examples/paper/judged.ts";
import { PAGE, anchorOf, pageFiles } from "../../examples/paper/page.ts";
import { readings } from "../../examples/paper/readings.ts";
import { claimResults, loadResults, seedsFrom, written } from "../../examples/paper/results.ts";
import { verdicts } from "../../examples/paper/statistics.ts";
import { parsed } from "../train/svg/wellFormed.ts";

const claims = await allClaims();
const results = loadResults();
const files = pageFiles(claims, results);
const page = readFileSync(PAGE, "utf8");
const sectionOf = ({ number }: Claim): string => page.split(/^## /m).find((text) => text.startsWith(`${number}. `)) ?? "";

describe("docs/paper.md", () => {
  it("is what the results say, with its pictures (npm run paper -- --page writes them)", () => {
    for (const [path, text] of files) expect(readFileSync(path, "utf8"), path).to.equal(text);
    const drawn = readdirSync("docs/pictures").filter((name) => name.startsWith("paper-"));
    expect([...files.keys()].filter((path) => path !== PAGE)).to.have.members(drawn.map((name) => `docs/pictures/${name}`));
  });

  it("shows each picture that is drawn, and each is well-formed", () => {
    for (const [path, text] of files)
      if (path !== PAGE) {
        expect(page).to.include(path.replace("docs/", ""));
        parsed(text.trim());
      }
  });

  for (const claim of claims)
    it(`${claim.number}: has a verdict for every comparison, what was published, what was expected, and a command`, () => {
      const section = sectionOf(claim);
      for (const { verdict, comparison } of judge(claim, seedsFrom(claim, results))) {
        expect(verdicts).to.include(verdict);
        const row = section.split("\n").find((line) => line.startsWith(`| ${comparison.name}`)) ?? "";
        for (const text of [verdict, comparison.published.text, comparison.expected, comparison.why]) expect(row).to.include(text);
      }
      for (const text of [claim.source, claim.setting, claim.limits, `npm run paper -- ${claim.number}\``, readings[claim.number]])
        expect(section).to.include(text);
      expect(readings[claim.number]).to.match(/^[A-Z].*\.$/s);
      expect(page).to.include(`(#${anchorOf(claim)})`);
    });

  it("counts verdicts as they are", () => {
    const first = claims.map((claim) => judge(claim, seedsFrom(claim, results))[0].verdict);
    const counted = verdicts.map((verdict) => `${first.filter((one) => one === verdict).length} ${verdict}`);
    expect(page.replace(/\s+/g, " ")).to.include(`Of the 18 claims (each by its first comparison): ${counted.join(", ")}`);
  });
});

describe("docs/paper/results.json", () => {
  it("says where, when and from which sources it was computed", () => {
    for (const { seconds, origin } of results.claims) {
      expect(origin.commit).to.match(/^[0-9a-f]{40}$/);
      expect(origin.date).to.match(/^\d{4}-\d\d-\d\d$/);
      expect(origin.machine.cpu).to.not.equal("");
      expect(origin.machine.cores).to.be.at.least(1);
      expect(origin.machine.backend).to.include("1 thread");
      expect(seconds).to.be.above(0);
      expect(page).to.include(origin.commit.slice(0, 12)).and.include(origin.date);
    }
  });

  it("has every seed of every arm of every claim", () => {
    expect(results.claims.map(({ number }) => number)).to.deep.equal(claims.map(({ number }) => number));
    for (const claim of claims) expect(seedsFrom(claim, results)).to.have.length(claim.seeds);
  });

  it("holds what the page reads and nothing else: taken from itself, it is itself", () => {
    const again = claims.map((claim, i) => claimResults(claim, seedsFrom(claim, results), results.claims[i]));
    expect(written(again)).to.equal(readFileSync("docs/paper/results.json", "utf8"));
  });

  it("does not stand for a claim that has changed", () => {
    const [claim] = claims;
    expect(() => seedsFrom({ ...claim, seeds: claim.seeds + 1 }, results)).to.throw(Error, "run it and publish again");
    const arms = [...claim.arms, { ...claim.arms[0], name: "a new one" }];
    expect(() => seedsFrom({ ...claim, arms }, results)).to.throw(Error, "a new one");
    expect(() => loadResults("docs/paper/none.json")).to.throw(Error, "cannot be read");
    expect(() => loadResults("docs/concepts.md")).to.throw(Error, "is damaged");
    expect(() => loadResults("package.json")).to.throw(Error, "is no file of results");
    expect(existsSync("docs/paper/none.json")).to.equal(false);
  });
});
