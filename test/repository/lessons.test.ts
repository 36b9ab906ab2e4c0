import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { lessonOf } from "../../scripts/lessons.ts";

describe("npm run example", () => {
  const files = readdirSync("examples");
  const lessons = files.filter((name) => /^\d\d-.*\.ts$/.test(name));

  it("runs the lesson of the number, with a leading zero or without", () => {
    expect(lessons.length).to.be.above(20);
    for (const name of lessons) {
      const number = Number(name.slice(0, 2));
      expect(lessonOf(String(number), files)).to.deep.equal({ file: name });
      expect(lessonOf(String(number).padStart(2, "0"), files)).to.deep.equal({ file: name });
      expect(lessonOf(name, files)).to.deep.equal({ file: name });
    }
    expect(lessonOf("1", files).file).to.match(/^01-/);
    expect(lessonOf("2", files).file).to.match(/^02-/);
  });

  it("lists the lessons for a number or a name that none has, and for none", () => {
    for (const asked of ["0", "99", "100", "-1", "1.5", "nonsense"]) {
      const { file, error } = lessonOf(asked, files);
      expect(file).to.equal(undefined);
      expect(error).to.include(`there is no lesson ${JSON.stringify(asked)}. The lessons are:`);
      for (const name of lessons) expect(error).to.include(name);
    }
    expect(lessonOf(undefined, files).error).to.include("which lesson?").and.to.include(lessons[0]);
    expect(lessonOf("", files).error).to.include("could be");
  });
});

describe("examples", () => {
  it("have no line over 140 columns, which the formatter lets pass in comments and strings", () => {
    const files = readdirSync("examples", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    expect(files.length).to.be.above(100);
    const long = files.flatMap((name) => {
      const lines = readFileSync(join("examples", name), "utf8").split("\n");
      return lines.flatMap((line, i) => (line.length > 140 ? [`${name}:${i + 1}`] : []));
    });
    expect(long).to.deep.equal([]);
  });
});
