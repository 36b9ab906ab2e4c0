/** Uses the README as a reader would: runs every ts block, compares what `// => value` promises, looks up the commands and files it names. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { posix } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";
import { expect } from "chai";
import { transformSync } from "esbuild";
import { useBackend } from "switchyard-moe";
import { manifest } from "../../scripts/entries.ts";

const PROMISE = /^(?:console\.log\((?<printed>.*)\)|const (?<name>\w+)\b.*|(?<plain>.*?));? *\/\/ => (?<value>.*)$/gm;
const onOneLine = (text: string): string => text.replace(/\s+/g, " ").trim();
const blocksOf = (markdown: string): string[] => [...markdown.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);

/** `f(x); // => 3` becomes `f(x)` recorded beside the 3 that was promised; a `const` keeps its line. */
const recorded = (code: string): string =>
  code.replace(PROMISE, (line: string, printed?: string, name?: string, plain?: string, value?: string) => {
    const kept = name === undefined ? "" : line.slice(0, line.indexOf(" // => "));
    return `${kept}\npromises.push([${JSON.stringify(value)}, [${printed ?? name ?? plain}]]);`;
  });

const { resolve } = createRequire(import.meta.url);
let runs = 0;

/** Runs a block as a module of its own and answers with what it promised and what came: pairs of one-line texts. */
async function run(code: string): Promise<{ promised: string; came: string }[]> {
  const promises: [string, unknown[]][] = [];
  const key = `promises of README block ${runs++}`;
  Object.assign(globalThis, { [key]: promises });
  // A data: module resolves no bare names, so they are resolved here, where the package knows itself.
  const { code: script } = transformSync(recorded(code), { loader: "ts", format: "esm", target: "es2022" });
  const resolved = script.replace(/\bfrom "([^"]+)"/g, (_, name: string) => `from ${JSON.stringify(pathToFileURL(resolve(name)).href)}`);
  await import(`data:text/javascript,${encodeURIComponent(`const promises = globalThis[${JSON.stringify(key)}];\n${resolved}`)}`);
  return promises.map(([promised, values]) => ({ promised: onOneLine(promised), came: onOneLine(format(...values)) }));
}

for (const file of ["README.md", "README.ko.md"].filter((name) => existsSync(name))) {
  const text = readFileSync(file, "utf8");

  describe(file, () => {
    afterEach(() => useBackend("cpu")); // a block may have chosen another for the whole process

    blocksOf(text).forEach((code, index) => {
      it(`block ${index + 1} runs and keeps its promises`, async () => {
        const results = await run(code);
        expect(results.length).to.equal(code.split("// => ").length - 1);
        for (const { promised, came } of results) expect(came).to.equal(promised);
      });
    });

    it("says where to read on, which Node it needs, and that the package is not published", () => {
      const linked = new Set([...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target));
      const other = file === "README.md" ? "README.ko.md" : "README.md";
      expect([...linked]).to.include.members([other, "docs/bugs-in-the-wild.md", "docs/properties.md"]);
      expect(text).to.include(`Node ${manifest.engines.node.slice(2)}`);
      expect(text).to.match(/is not published yet|아직 npm에 공개되지 않았습니다/);
      expect(text).not.to.match(/^npm (install|i) switchyard-moe$/m);
      expect(manifest).not.to.have.property("repository");
    });

    it("names only commands that exist", () => {
      const named = [...text.matchAll(/npm (?:run ([\w:-]+)|(start|test)\b)/g)].map(([, script, short]) => script ?? short ?? "");
      expect(named).to.include.members(["start", "test"]);
      expect(named.filter((name) => !(name in manifest.scripts))).to.deep.equal([]);
    });
  });
}

describe("documents", () => {
  const docs = existsSync("docs") ? readdirSync("docs").map((name) => `docs/${name}`) : [];
  for (const file of [...readdirSync("."), ...docs].filter((name) => name.endsWith(".md"))) {
    it(`${file} links only to files that exist`, () => {
      const links = [...readFileSync(file, "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target = ""]) => target);
      expect(links.filter((target) => !existsSync(posix.join(posix.dirname(file), target)))).to.deep.equal([]);
    });
  }
});

describe("the README test itself", () => {
  it("tells a kept promise from a broken one", async () => {
    const [kept, broken] = await run("const a: number = 1 + 1; // => 2\nconsole.log('a', [a]); // => a [ 3 ]\n");
    expect(kept).to.deep.equal({ promised: "2", came: "2" });
    expect(broken).to.deep.equal({ promised: "a [ 3 ]", came: "a [ 2 ]" });
  });

  it("lets a block that throws throw", async () => {
    const error = await run("throw new RangeError('x');").catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(RangeError);
  });
});
