/** The guide: each of the introduction's statements stands with all that the guide promises, in both languages alike, and the API leads back. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { dist } from "./surroundings.ts";

const content = fileURLToPath(new URL("../content", import.meta.url));
const pages = readdirSync(join(content, "en/guide")).sort();
const read = (language: string, page: string): string => readFileSync(join(content, language, "guide", page), "utf8");

/** Each statement's section, by its number. */
function statementsOf(language: string): Map<number, string> {
  const sections = pages.flatMap((page) => [...read(language, page).matchAll(/^## (\d+)\. [\s\S]*?(?=^## |(?![\s\S]))/gm)]);
  return new Map(sections.map(([text, number = ""]): [number, string] => [Number(number), text]));
}

/** What a statement stands with. */
const parts: Readonly<Record<string, RegExp>> = {
  equation: /^\$\$$/m,
  function: /^::source /m,
  law: /^::law /m,
  lesson: /^::lesson /m,
  "picture or widget": /^(::picture |<sy-|<figure )/m,
};

/** What is no computation: that published models use experts. */
const FACT = 1;

/** Statements that are often told wrongly. */
const corrected = [1, 5, 7, 10, 12, 13, 14, 15, 16, 18, 21];

/** The lines that the build replaces, without what is said of a picture. */
const evidenceOf = (text: string): string[] => [...text.matchAll(/^(::(?!:)(?:picture \S+|[a-z]+ \S+)|<sy-[^>]*>)/gm)].map(([line]) => line); // prettier-ignore

describe("the guide", () => {
  for (const language of ["en", "ko"])
    it(`has 21 statements, each with equation, function, law, lesson and picture (${language})`, () => {
      const statements = statementsOf(language);
      expect([...statements.keys()].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 21 }, (_, i) => i + 1));
      for (const [number, text] of statements) {
        if (number !== FACT) for (const [part, form] of Object.entries(parts)) expect(text, `${number}: ${part}`).to.match(form);
        expect(/^::: warning/m.test(text), `correction of ${number}`).to.equal(corrected.includes(number));
      }
    });

  it("shows the same evidence in both languages", () => {
    for (const page of pages) {
      expect(evidenceOf(read("en", page)).length, page).to.be.greaterThan(3);
      expect(evidenceOf(read("ko", page)), page).to.deep.equal(evidenceOf(read("en", page)));
    }
  });

  it("says of every law that routers keep how many cases it met, and never that there were none", () => {
    for (const [folder, said] of [
      ["guide", /Kept by \d+ routers \(\d+ cases: [a-z ]+ \d+ %/],
      ["ko/guide", /라우터 \d+개가 지켰습니다\(\d+ ?가지 경우: [^:)]+ \d+ %/],
    ] as const) {
      const built = readdirSync(join(dist, folder)).map((page) => readFileSync(join(dist, folder, page), "utf8")).join(); // prettier-ignore
      expect(built).to.match(said);
      expect(built).not.to.match(/\(0 (cases|가지)|: \)/);
    }
  });

  it("has a program from data to text of at most 40 lines", () => {
    const program = readFileSync(join(content, "programs/fromDataToText.ts"), "utf8");
    expect(program.split("\n").filter((line) => line.trim() !== "").length).to.be.at.most(40);
  });

  it("leads to the API's page of every export that it shows, and that page back to the guide", () => {
    const seen = new Set<string>();
    for (const page of pages) {
      const name = page.replace(".md", "");
      const built = readFileSync(join(dist, "guide", `${name}.html`), "utf8");
      for (const [, address = ""] of built.matchAll(/API: <a href="\/api\/([^"#]+)/g)) {
        seen.add(address);
        expect(readFileSync(join(dist, "api", address), "utf8"), `${address} to ${name}`).to.contain(`guide/${name}.html`);
      }
    }
    expect(seen.size).to.be.greaterThan(15);
  });
});
