/**
 * Bugs in the wild: the property holds of ours and is refuted by the broken variant, with a counter-example that fast-check shrinks. The
 * book of them, docs/bugs-in-the-wild.md, is written from here: `WRITE_DOCS=1 npx mocha test/moe/gallery.test.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { scope } from "../../src/index.ts";
import type { Bug } from "./gallery/bug.ts";
import { chapters } from "./gallery/index.ts";
import type { LayoutCase } from "../../src/testing/index.ts";
import { layoutPages, namedOnly } from "../testing/layoutPages.ts";

const book = new URL("../../docs/bugs-in-the-wild.md", import.meta.url);
const options = { seed: 5, numRuns: 200 } as const;

/** The smallest case that tells broken from right, as text. */
function refutation(bug: Bug): string | undefined {
  const result = scope(() => fc.check(bug.property("broken"), options));
  return result.failed ? fc.stringify(result.counterexample).replace(/^\[(.*)\]$/s, "$1") : undefined;
}

function page(bug: Bug): string {
  return `### ${bug.title}\n\nSeen in: ${bug.seen}.\n\n${bug.wrong}\n\n*Why nobody saw it.* ${bug.unseen}\n\n*The law that sees it.* ${bug.law}.\n\n*The smallest case:* \`${refutation(bug)}\`\n`;
}

/** Bugs of many processes: they are refuted in test/testing/brokenLayouts.test.ts, which keeps their smallest cases. */
function layoutChapter(): string {
  const smallest = JSON.parse(readFileSync(new URL("../testing/smallestLayouts.json", import.meta.url), "utf8")) as Record<string, LayoutCase>; // prettier-ignore
  const pages = layoutPages.map(
    ({ variant, title, seen, wrong, unseen, law }) =>
      `### ${title}\n\nSeen in: ${seen}.\n\n${wrong}\n\n*Why nobody saw it.* ${unseen}\n\n*The law that sees it.* Of layouts: ${law}.\n\n*The smallest case:* \`${inShort(smallest[variant])}\`\n`,
  );
  const named = namedOnly.map(({ bug, seen, why }) => `- **${bug}** (${seen}): ${why}.`);
  const intro =
    "Variants stand in [test/testing/brokenLayouts.ts](../test/testing/brokenLayouts.ts); `layoutLaws` of `switchyard-moe/testing` refutes them on ranks that are threads, and the site's museum on ranks that are Web Workers of the page.\n";
  return `\n## Many processes\n\n${intro}\n${pages.join("\n")}\n### Named, not rebuilt\n\n${named.join("\n")}\n`;
}

function inShort({ ranks, expertsOver, expertsEach, router, factor, shards, padding }: LayoutCase): string {
  const experts = expertsOver * expertsEach;
  return `${ranks} ranks, experts over ${expertsOver}; ${experts} ${experts === 1 ? "expert" : "experts"}, ${router}, capacity ${factor}; sequences of the shards ${shards.join(", ")}, padding ${padding.join(", ")}`;
}

describe("bugs in the wild", () => {
  for (const { title, bugs } of chapters)
    describe(title, () => {
      for (const bug of bugs) {
        it(`${bug.title}: ours keeps the law`, () => scope(() => fc.assert(bug.property("right"), { ...options, numRuns: 50 })));
        it(`${bug.title}: the bug is refuted`, () =>
          expect(refutation(bug), "no counter-example: the law does not see this bug").to.be.a("string"));
      }
    });

  it("are at least twenty, and stand in the book with their smallest cases", () => {
    expect(chapters.flatMap(({ bugs }) => bugs).length).to.be.at.least(20);
    const head =
      "# Bugs in the wild\n\nReal defects of well-known Mixture-of-Experts code, each rebuilt small, refuted by a law, and shrunk to the smallest case that shows it. The\nvariants are our own; they stand in [test/moe/gallery](../test/moe/gallery), and this page is written from them. Threads are cited as they were\nread; what only training would show is not claimed.\n";
    const text = [head, ...chapters.map(({ title, bugs }) => `\n## ${title}\n\n${bugs.map(page).join("\n")}`), layoutChapter()].join("");
    if (process.env["WRITE_DOCS"]) writeFileSync(book, text);
    expect(readFileSync(book, "utf8")).to.equal(text);
  });
});
