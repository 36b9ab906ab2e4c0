/** Every anchor of docs/concepts.md leads somewhere: code to a symbol, properties to tests that name them, lessons and pictures to files. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { expect } from "chai";
import { parsed } from "../train/svg/wellFormed.ts";

const page = readFileSync("docs/concepts.md", "utf8");
const concepts = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ title: text.slice(0, text.indexOf("\n")), text }));
const table = new Map([...readFileSync("docs/properties.md", "utf8").matchAll(/^\| (P\d+) \|.*$/gm)].map(([row, number]) => [number, row]));

const lineOf = (text: string, name: string): string => new RegExp(`^- ${name}: (.*)$`, "m").exec(text)?.[1] ?? "";

/** What is wrong with an anchor such as src/moe/losses.ts#zLoss; nothing if all is well. */
function faultOf(anchor: string): string | null {
  const [file, symbol = ""] = anchor.split("#");
  if (!existsSync(file)) return `${file} does not exist`;
  const declared = new RegExp(`^export (abstract )?(async )?(class|function|const|interface|type) ${symbol}\\b`, "m");
  return declared.test(readFileSync(file, "utf8")) ? null : `${file} exports no ${symbol}`;
}

/** The same for `P1, P2 in test/file` and for a test's title in quotes. */
function faultOfProof(proof: string): string | null {
  const [, names = "", file = ""] = /^(.+) in `([^`]+)`$/.exec(proof) ?? [];
  if (!existsSync(file)) return `"${proof}": there is no such test file`;
  const quoted = /^"(.*)"$/.exec(names)?.[1];
  if (quoted !== undefined)
    return [`it("${quoted}"`, `describe("${quoted}"`].some((title) => readFileSync(file, "utf8").includes(title))
      ? null
      : `${file} has no "${quoted}"`;
  const missing = names.split(", ").filter((name) => !table.get(name)?.includes(`\`${file}\``));
  return missing.length === 0 ? null : `${missing.join(", ")}: docs/properties.md does not prove them in ${file}`;
}

describe("docs/concepts.md", () => {
  it("has its concepts in order, each with a Korean name", () => {
    expect(concepts.length).to.be.at.least(25);
    expect(concepts.map(({ title }) => parseInt(title, 10))).to.deep.equal(concepts.map((_, i) => i + 1));
    for (const { title } of concepts) expect(title).to.match(/: .*\p{Script=Hangul}/u);
  });

  for (const { title, text } of concepts) {
    it(`${title}: everything it names is there`, () => {
      expect(/```text\n.*\S.*\n[\s\S]*?```/.test(text), "an equation").to.equal(true);
      const anchors = [...lineOf(text, "code").matchAll(/`([^`]+)`/g)].map(([, anchor]) => anchor);
      expect(anchors).to.not.be.empty;
      expect(anchors.map(faultOf).filter(Boolean)).to.deep.equal([]);
      const proofs = lineOf(text, "property").split("; ");
      expect(proofs.map(faultOfProof).filter(Boolean)).to.deep.equal([]);
      expect(lineOf(text, "example")).to.match(/^\[(\d\d-[\w-]+\.ts)\]\(\.\.\/examples\/\1\)$/);
      expect(existsSync(`examples/${lineOf(text, "example").slice(1).split("]")[0]}`), "its lesson").to.equal(true);
      const [, hint = "", picture = ""] = /^!\[(.*)\]\((.*)\)$/m.exec(text) ?? [];
      expect(hint, "a picture said in words").to.not.equal("");
      expect(existsSync(`docs/${picture}`), picture).to.equal(true);
    });
  }

  it("links from its contents to headings as they are", () => {
    const slug = (title: string): string =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- ]/gu, "")
        .replaceAll(" ", "-");
    const links = [...page.matchAll(/^\d+\. \[.*\]\(#(.*)\)$/gm)].map(([, target]) => target);
    expect(links).to.deep.equal(concepts.map(({ title }) => slug(title)));
  });
});

describe("docs/pictures", () => {
  const pages = ["README.md", "README.ko.md", "ARCHITECTURE.md", ...readdirSync("docs").filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)]; // prettier-ignore
  const text = pages.map((path) => readFileSync(path, "utf8")).join("\n");

  it("holds only drawings that some page shows", () => {
    for (const name of readdirSync("docs/pictures")) {
      expect(text, name).to.include(`pictures/${name}`);
      parsed(readFileSync(`docs/pictures/${name}`, "utf8").trim());
    }
  });
});

describe("the test of documents itself", () => {
  const refuted = ["src/moe/losses.ts#noSuchLoss", "src/moe/nothing.ts#x", "src/moe/losses.ts#overScopes"];
  for (const anchor of refuted) it(`refuses ${anchor}`, () => expect(faultOf(anchor)).to.be.a("string"));

  for (const proof of [
    "P1 in `test/moe/nothing.test.ts`",
    "P1 in `test/moe/routers.test.ts`",
    '"no such title" in `test/moe/layer.test.ts`',
  ])
    it(`refuses ${proof}`, () => expect(faultOfProof(proof)).to.be.a("string"));
});

describe("tables of documents", () => {
  it("name every column in their head, which is what a screen reader says", () => {
    const documents = ["README.md", "README.ko.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"];
    documents.push(...readdirSync("docs").flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])));
    const heads = documents.flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/^(\|.*\|)\n\|[-:| ]+\|$/gm)].map(([, head]) => `${file}: ${head}`),
    );
    expect(heads.length).to.be.above(60);
    expect(heads.filter((head) => /\|\s*\|/.test(head))).to.deep.equal([]);
  });
});
