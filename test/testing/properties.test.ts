/** docs/properties.md is what the names of laws and tests say, and every property of the list has a proof. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { propertiesPage } from "../../scripts/properties.ts";

describe("the table of properties", () => {
  const page = readFileSync("docs/properties.md", "utf8");

  it("is what scripts/properties.ts writes", () => {
    expect(page).to.equal(propertiesPage());
  });

  it("has a row for each of P1 to P90, in order", () => {
    const numbers = [...page.matchAll(/^\| P(\d+) \| (.+?) \| (.+) \|$/gm)].map(([, number]) => Number(number));
    expect(numbers).to.deep.equal(Array.from({ length: 90 }, (_, i) => i + 1));
  });
});
