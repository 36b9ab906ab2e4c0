/** The script that judges the tests is tested itself: what it changes, which tests it asks, and how it counts. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { drawMutants } from "../../scripts/mutants/laboratory.ts";
import { ImportGraph } from "../../scripts/mutants/related.ts";
import { settingsOf } from "../../scripts/mutants/settings.ts";
import type { MutationKind } from "../../scripts/mutants/sites.ts";
import { mutantsOf, mutated, mutationKinds, parses } from "../../scripts/mutants/sites.ts";

const changed = (text: string, ...kinds: MutationKind[]): string[] =>
  mutantsOf("a.ts", text, kinds.length ? kinds : undefined).map((mutant) => mutated(text, mutant));

describe("mutants", () => {
  const table: readonly (readonly [MutationKind, string, readonly string[]])[] = [
    ["operator", "(a + b) * c;", ["(a - b) * c;", "(a + b) / c;"]],
    ["operator", "-a;", ["a;"]],
    ["comparison", "a < b;", ["a <= b;", "a >= b;"]],
    ["comparison", "a === b;", ["a !== b;"]],
    ["condition", "if (a) b(); else c();", ["if (!(a)) b(); else c();"]],
    ["condition", "f(!a && b);", ["f(a && b);", "f(!a || b);"]],
    ["constant", "f(0, 3, 0.5, true);", ["f(1, 3, 0.5, true);", "f(0, 4, 0.5, true);", "f(0, 2, 0.5, true);", "f(0, 3, 0, true);", "f(0, 3, (2 * 0.5), true);", "f(0, 3, 0.5, false);"]], // prettier-ignore
    ["default", "f(a ?? b);", ["f(a);", "f(b);"]],
    ["default", "function f({ a = b }) {}", ["function f({ a }) {}"]],
    ["statement", "while (a) if (b) break;", ["while (a) ;", "while (a) if (b) ;"]],
    ["statement", "f(); for (const x of y) g(x);", ["; for (const x of y) g(x);", "f(); ;", "f(); for (const x of y) ;"]],
    ["argument", "f(a, b, c);", ["f(b, a, c);", "f(a, c, b);"]],
    ["argument", "g({ ...a, ...b });", ["g({ ...b, ...a });"]],
    ["method", "x.add(y); Math.min(a);", ["x.sub(y); Math.min(a);", "x.add(y); Math.max(a);"]],
    ["assignment", "a += 1; b++;", ["a -= 1; b++;", "a += 1; b--;"]],
  ];
  for (const [kind, text, wanted] of table) it(`of kind ${kind}: ${text}`, () => expect(changed(`${text}`, kind)).to.deep.equal(wanted));

  it("leave types and the messages of errors alone", () => {
    expect(changed("type A = 1 | 2; interface B { x: A[0] } const a = b as Record<3, C>;")).to.deep.equal([]);
    expect(changed("throw new RangeError(`at ${i + 1}`);")).to.deep.equal([]);
    expect(changed("const a = (b + c)! as number;")).to.deep.equal(["const a = (b - c)! as number;"]);
    expect(changed("const s = `a` + b;")).to.deep.equal([]);
  });

  it("know line, old and new text", () => {
    const [mutant] = mutantsOf("a.ts", "// one\nconst é = 1;\nf(a * b);\n", ["operator"]);
    expect(mutant).to.deep.equal({ file: "a.ts", kind: "operator", line: 3, start: 24, end: 25, from: "*", to: "/" });
  });

  it("of the library are all kinds, all of them programs but a few, and the seed chooses", () => {
    const draw = { folder: "src/nn", count: 150, seed: 1, kinds: mutationKinds };
    const drawn = drawMutants(draw);
    expect(drawn).to.have.length(150);
    expect(new Set(drawn.map((one) => JSON.stringify(one))).size).to.equal(150);
    const all = drawMutants({ ...draw, count: 1e6 }); // a kind may be too rare to be among a few hundred
    expect(new Set(all.map(({ kind }) => kind))).to.deep.equal(new Set(mutationKinds));
    const broken = drawn.filter((one) => !parses(one.file, mutated(readFileSync(one.file, "utf8"), one)));
    expect(broken.length).to.be.at.most(2);
    expect(drawMutants(draw)).to.deep.equal(drawn);
    expect(drawMutants({ ...draw, seed: 2 }).slice(0, 20)).to.not.deep.equal(drawn.slice(0, 20));
    expect(drawMutants({ ...draw, kinds: ["default"] }).every(({ kind }) => kind === "default")).to.equal(true);
    expect(() => drawMutants({ ...draw, folder: "src/nowhere" })).to.throw("there is no such folder or file");
  });
});

describe("tests near a source", () => {
  const graph = new ImportGraph();
  const near = (source: string): string[] => [...graph.distances(source).keys()];

  it("begin with its mirror", () => expect(near("src/nn/schedules.ts")[0]).to.equal("test/nn/schedules.test.ts"));

  it("are found through the index file, by name", () => {
    expect(near("src/nn/rmsprop.ts")).to.include("test/nn/optimizers.test.ts").and.not.include("test/nn/schedules.test.ts");
  });

  it("are found through a namespace", () => expect(near("src/moe/capacity.ts")).to.include("test/moe/layer.test.ts"));

  it("are found through the program that they start as a process", () => {
    expect(near("examples/train/main.ts")).to.include("test/train/stopping.test.ts");
    expect(near("examples/train/trainCommand.ts")).to.include("test/train/processes.test.ts");
  });

  it("are never browser tests", () => expect(near("src/backend/shape.ts").filter((file) => file.includes("browser"))).to.deep.equal([]));
});

describe("npm run mutants", function () {
  this.timeout(600_000); // it starts several processes, also on a machine that has other work
  const folder = mkdtempSync(join(tmpdir(), "mutants-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const sources = {
    sum: "export function sum(n: number): number {\n  let s = 0;\n  for (let i = 1; i < n + 1; i++) s += i;\n  return s;\n}\n",
    lone: "export const lone = (a: number): number => a * 2;\n",
    list: "export const list = new Array(1 - 1);\n",
  };
  const tests = {
    sum: 'import { sum } from "../src/sum.ts";\nit("of three", () => { if (sum(3) !== 6) throw new Error("no"); });\n',
    far: 'it("nothing", () => {});\n',
    weak: 'import { lone } from "../src/lone.ts";\nit("is a function", () => { lone(2); });\n',
    list: 'import { list } from "../src/list.ts";\nit("is empty", () => { if (list.length > 0) throw new Error("no"); });\n',
    listBroken: 'import { list } from "../src/list.ts";\nit("never", () => { throw new Error(String(list)); });\n',
  };
  const run = (...args: string[]): string => {
    const command = ["--import", pathToFileURL(resolve("node_modules/tsx/dist/loader.mjs")).href, resolve("scripts/mutants.ts"), ...args];
    const { stdout, stderr } = spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8" });
    return stdout + stderr;
  };
  let output = "";

  before(() => {
    for (const name of ["src", "test"]) mkdirSync(join(folder, name));
    symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, ".mocharc.json"), JSON.stringify({ "node-option": ["import=tsx"], extension: ["ts"] }));
    for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, `src/${name}.ts`), text);
    for (const [name, text] of Object.entries(tests)) writeFileSync(join(folder, `test/${name}.test.ts`), text);
    output = run("--all", "--limit", "5", ...["assignment", "constant", "operator"].flatMap((kind) => ["--kind", kind]));
  });

  it("counts a loop without end as noticed, and names the test that failed", () => {
    expect(output).to.include("i++  ->  i--  [ran out of time]");
    expect(output).to.include("+=  ->  -=  [of three]");
  });

  it("shows the line of a survivor before and after", () =>
    expect(output).to.include(
      "    - export const lone = (a: number): number => a * 2;\n    + export const lone = (a: number): number => a / 2;",
    ));

  it("counts what does not run apart, and leaves out tests that fail unchanged", () => {
    expect(output).to.include("left out: test/listBroken.test.ts fails where nothing is changed");
    expect(output).to.include("invalid   src/list.ts:1 (constant)  1  ->  0  [RangeError: Invalid array length]");
    // Of the survivors one changes nothing: a sum that begins with 0.
    expect(output).to.include("10 of 14 killed (71.4 % noticed), 4 survived, 2 invalid");
  });

  it("says what is wrong with its options", () => {
    expect(() => settingsOf(["--count", "x"])).to.throw("mutants: --count NaN: want a whole number of 1 or more");
    expect(() => settingsOf(["--kind", "typo"])).to.throw('mutants: --kind "typo": want');
    expect(run("--folder", "src/none")).to.include("mutants: --folder src/none: there is no such folder or file");
  });
});
