/** Lessons keep what their headers promise, and pictures say what they show. */
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { expect } from "chai";
import { pictures } from "../../scripts/pictures.ts";
import { parsed } from "./svg/wellFormed.ts";

const lessons = readdirSync("examples").filter((name) => /^\d\d-.*\.ts$/.test(name));
const sourceOf = (name: string): string => readFileSync(`examples/${name}`, "utf8");
/** The comment at the head of a lesson as one line. */
const headerOf = (source: string): string => source.slice(0, source.indexOf("*/")).replace(/\s*\n \*\s*/g, " "); // prettier-ignore

/** The ranges that a lesson holds itself to: `promised("what", value, low, high)`. */
function promisesOf(source: string): string[] {
  const calls = [...source.matchAll(/\bpromised\(\s*"[^"]+",[^;]*?,\s*(-?[\d.]+),\s*(-?[\d.]+),?\s*\);/g)];
  return calls.map(([, low, high]) => `${low} to ${high}`);
}

describe("the header of a lesson", () => {
  it("says what to expect, in every lesson from the sixth on", () => {
    for (const name of lessons.slice(5)) expect(headerOf(sourceOf(name)), name).to.include("Expect:");
  });

  for (const name of lessons) {
    const source = sourceOf(name);
    const promises = promisesOf(source);
    if (promises.length === 0) continue;
    it(`${name} names every range that its output is held to`, () => {
      expect(promises).to.have.length((source.match(/\bpromised\(/g) ?? []).length);
      for (const range of promises) expect(headerOf(source)).to.include(range);
    });
  }

  it("is held to numbers in the lessons that once promised others", () => {
    const held = lessons.filter((name) => promisesOf(sourceOf(name)).length > 0).map((name) => name.slice(0, 2));
    expect(held).to.include.members(["04", "06", "07", "08", "09", "18", "20", "22", "23", "24"]);
  });

  it("is kept by the lesson that needs no training, in full", function () {
    this.timeout(120_000);
    const environment = { ...process.env, SWITCHYARD_SHORT: "0" };
    const output = execFileSync(process.execPath, ["--import=tsx", "--conditions=source", "scripts/example.ts", "07"], { encoding: "utf8", env: environment }); // prettier-ignore
    expect(output.match(/: as promised\)/g)).to.have.length(2);
    expect(output).not.to.include("NOT AS PROMISED");
  });
});

describe("the pictures of docs/concepts.md", function () {
  this.timeout(300_000);
  let drawn: ReadonlyMap<string, string>;
  before(async () => void (drawn = await pictures()));

  it("are those in docs/pictures: they were drawn by this code", () => {
    for (const [name, svg] of drawn) expect(`${svg}\n`, name).to.equal(readFileSync(`docs/pictures/${name}.svg`, "utf8"));
  });

  it("count in their captions what they show", () => {
    for (const [name, svg] of drawn) {
      const { text } = parsed(svg);
      const hatched = (svg.match(/stroke-dasharray="3 2"/g) ?? []).length;
      const [, dropped, choices] = /hatched, below: (\d+) of (\d+) choices dropped/.exec(text) ?? [];
      if (/line: capacity/.test(text)) expect(Number(dropped ?? 0), `${name}: dropped`).to.equal(hatched);
      if (choices !== undefined) expect((svg.match(/<title>token \d+ /g) ?? []).length, `${name}: choices`).to.equal(Number(choices));
      const [, without, tokens] = /(\d+) of (\d+) tokens at no expert/.exec(text) ?? [];
      if (/line: capacity|no slots/.test(text)) {
        const shown = new Set([...svg.matchAll(/<title>token (\d+) /g)].map(([, token]) => token));
        if (without === undefined) expect(text, name).not.to.include("at no expert");
        else expect(Number(tokens) - shown.size, `${name}: at no expert`).to.equal(Number(without));
      }
      expect(text, name).not.to.match(/\b1 experts\b/);
    }
  });
});
