/** What the site shows of lessons is what they print: outputs kept in docs/lessons. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { expect } from "chai";
import { comparable, outputsFile, picturesIn } from "../../scripts/lessonOutputs.ts";
import type { LessonOutput } from "../../scripts/lessonOutputs.ts";
import { parsed } from "../train/svg/wellFormed.ts";

const outputs = JSON.parse(readFileSync(outputsFile, "utf8")) as Record<string, LessonOutput>;

describe("the kept outputs of lessons", function () {
  this.timeout(300_000);

  it("belong to lessons that are there, with the pictures that they name", () => {
    for (const [name, { printed, pictures, version, date }] of Object.entries(outputs)) {
      expect(existsSync(`examples/${name}.ts`), name).to.equal(true);
      expect(printed.length, name).to.be.above(80);
      expect(version).to.match(/^\d+\.\d+\.\d+$/);
      expect(date).to.match(/^\d{4}-\d\d-\d\d$/);
      expect(pictures, name).to.deep.equal(picturesIn(printed).map((path) => path.split("/").at(-1)));
      for (const picture of pictures)
        expect(parsed(readFileSync(`docs/lessons/${picture}`, "utf8")).elements.get("svg"), picture).to.equal(1);
    }
  });

  it("are there for every lesson", () => {
    const lessons = readdirSync("examples").filter((name) => /^\d\d-.*\.ts$/.test(name)).map((name) => name.slice(0, -3)); // prettier-ignore
    expect(Object.keys(outputs).toSorted()).to.deep.equal(lessons.toSorted());
  });

  it("leave no picture behind that no lesson names", () => {
    const named = Object.values(outputs).flatMap(({ pictures }) => pictures);
    expect(readdirSync("docs/lessons").filter((file) => file.endsWith(".svg")).toSorted()).to.deep.equal(named.toSorted()); // prettier-ignore
  });

  for (const name of ["01-derivative", "05-dispatch", "10-softmax-gate"])
    it(`of ${name} are what it prints now`, () => {
      const options = ["--import=./scripts/typescript.mjs", "--conditions=source", `examples/${name}.ts`];
      const env = { ...process.env, SWITCHYARD_SHORT: "0" };
      const printed = execFileSync(process.execPath, options, { encoding: "utf8", env });
      expect(comparable(printed)).to.equal(comparable(outputs[name].printed));
    });

  it("are compared without what depends on the machine, and with everything else", () => {
    const printed = "Title\n(WebAssembly SIMD, 2 threads)\n\n1.25 bits \npicture: runs/lessons/a.svg\n";
    expect(comparable(printed)).to.equal(comparable(printed.replace("2 threads", "8 threads")));
    expect(comparable(printed)).not.to.equal(comparable(printed.replace("1.25", "1.26")));
  });
});
