/**
 * Writes docs/properties.md, the table of all properties, from the names of the laws and the titles of the tests that prove them:
 * node --import=tsx scripts/properties.ts. A name begins with the numbers of its properties: "P14 P15: ...".
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { laws } from "../src/testing/laws/index.ts";
import type { Law } from "../src/testing/laws/law.ts";
import { RUNS } from "../src/testing/laws/law.ts";

const PAGE = "docs/properties.md";

const HEAD = `# Properties and their proofs

What holds of Mixture-of-Experts layers, and the test that proves it for ours. This page is written by \`scripts/properties.ts\` from the
names of laws and tests, and a test compares. Laws (\`src/testing/laws\`) run on every router of one table (\`test/moe/routers.ts\`) whose traits select
them, by \`routerLaws\` of \`switchyard-moe/testing\`, which holds your own router to them as well. Each law counts the kinds of cases that it met and
fails when they were too few; \`test/testing/everyLaw.test.ts\` has a router that breaks it. An exception to a law stands in the table of routers with its
reason, and a router that keeps the law after all fails. What the traits of a router do not promise must fail in some case (the claims).

For every router, \`test/moe/badInput.test.ts\` says what happens without tokens, with padding alone, with one expert, with NaN, and with factors and
sizes out of range; \`test/moe/careless.test.ts\` calls every function and class with wrong arguments.

E experts, T tokens, k choices, C slots of an expert, f the share of choices of an expert, p probabilities, h logits.

| number | property, as its law or test is called | proved in |
|---|---|---|
`;

const CASES = `
## What the laws must meet

How many cases a law tries on each router, and the least shares of them, over all routers, of each kind; one router alone is asked for a third of
these shares. A law goes on with fresh cases until it has met enough.

| law | cases | least shares |
|---|---|---|
`;

interface Proof {
  readonly file: string;
  readonly numbers: readonly number[];
  readonly statement: string;
}

/** The laws, claims and tests of a file whose names begin with numbers of properties. */
function proofsIn(file: string): Proof[] {
  const names = [...readFileSync(file, "utf8").matchAll(/(?:\bit\(|\bdescribe\(|\bname: )["`](P\d[^"`]*)["`]/g)].map(([, title]) => title);
  return names.map((title) => {
    const end = title.indexOf(":");
    const numbers = [...title.slice(0, end).matchAll(/P(\d+)/g)].map(([, number]) => Number(number));
    return {
      file,
      numbers,
      statement: title
        .slice(end + 1)
        .replace(/ (?:of|in) \$\{\w+\}|\$\{\w+\} /g, "")
        .trim(),
    };
  });
}

function sources(): string[] {
  const tests = ["test/moe", "test/nn"].flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`));
  const laws = readdirSync("src/testing/laws").map((name) => `src/testing/laws/${name}`);
  return [...laws.toSorted(), ...tests.filter((file) => file.endsWith(".test.ts")).toSorted()];
}

/** The page, from the sources as they are; run in the root of the repository. Throws for a property without proof. */
export function propertiesPage(): string {
  const proofs = sources().flatMap(proofsIn);
  const last = proofs.reduce((most, { numbers }) => Math.max(most, ...numbers), 0);
  const rows = Array.from({ length: last }, (_, i) => {
    const own = proofs.filter(({ numbers }) => numbers.includes(i + 1));
    if (own.length === 0) throw new Error(`properties: nothing proves P${i + 1}`);
    const statements = own.map(({ statement }) => statement).join("<br>");
    const places = own.map(({ file }) => `\`${file}\``).join("<br>");
    return `| P${i + 1} | ${statements} | ${places} |\n`;
  });
  return HEAD + rows.join("") + CASES + laws.map(caseRow).join("");
}

/** What the cases of a law must have been like. */
function caseRow({ name, runs = RUNS, meets = {} }: Law): string {
  const shares = Object.entries(meets).map(([kind, share]) => `${kind} ${Math.round(100 * share)} %`);
  return `| ${name} | ${runs} | ${shares.join(", ")} |\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) writeFileSync(PAGE, propertiesPage());
