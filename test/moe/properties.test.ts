/** docs/properties.md says which test proves which property: each title must be there, and every property of the list has one. */
import { readFileSync } from "node:fs";
import { expect } from "chai";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

describe("the table of properties", () => {
  const rows = [...read("docs/properties.md").matchAll(/^\| P(\d+) \| (.+?) \| (.+) \|$/gm)].map(([, number, statement, proofs]) => ({
    number: Number(number),
    statement,
    proofs,
  }));

  it("has a row for each of P1 to P88, in order", () => {
    expect(rows.map(({ number }) => number)).to.deep.equal(Array.from({ length: 88 }, (_, i) => i + 1));
  });

  for (const { number, proofs } of rows)
    it(`P${number} is proved where it says`, () => {
      const places = [...proofs.matchAll(/`([^`]+)`: "([^"]+)"/g)];
      expect(places.length, proofs).to.equal(proofs.split("<br>").length);
      for (const [, file, title] of places) {
        const tests = [...read(file).matchAll(/(?:it\(|describe\(|name: )["`]([^"`]*)["`]/g)].map(([, name]) => name);
        expect(tests, `${file} has no test of this title`).to.include(title);
      }
    });
});
