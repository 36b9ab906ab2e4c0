/** The runner behind .ci/run: a failure must never look like a pass. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { runStages, runTwice } from "../../scripts/stages.ts";

describe("stages", () => {
  it("pass, fail, and are not run when what they need has failed", async () => {
    const told: string[] = [];
    const stages = [
      { name: "works", command: "echo $WORD", env: { WORD: "said" } },
      { name: "breaks", command: "exit 3" },
      { name: "needs both", command: "echo never", after: ["works", "breaks"] },
      { name: "needs the unrun", command: "echo never", after: ["needs both"] },
    ];
    const outcomes = await runStages(stages, { tell: ({ name }) => told.push(name) });
    expect(told).to.have.members(stages.map(({ name }) => name));
    const seen = Object.fromEntries(outcomes.map(({ name, ok, output }) => [name, `${ok} ${output.trim()}`]));
    expect(seen).to.deep.equal({
      works: "true said",
      breaks: "false ",
      "needs both": "false not run: breaks failed",
      "needs the unrun": "false not run: needs both failed",
    });
  });

  it("that failed run once more, with what waited for them; what fails twice has failed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "switchyard-"));
    try {
      const stages = [
        { name: "works", command: "echo once" },
        { name: "breaks", command: "exit 3" },
        { name: "needs the broken", command: "echo never", after: ["breaks"] },
        { name: "unsteady", command: `test -d ${folder}/seen || { mkdir ${folder}/seen; echo first; exit 1; }` },
        { name: "needs the unsteady", command: "echo at last", after: ["works", "unsteady"] },
      ];
      const told: string[] = [];
      const outcomes = await runTwice(stages, { tell: ({ name }) => told.push(name) });
      expect(told.filter((name) => name === "works")).to.have.length(1);
      const seen = Object.fromEntries(outcomes.map(({ name, ok, output, before }) => [name, `${ok} ${output.trim()}, ${before?.trim()}`]));
      expect(seen).to.deep.equal({
        works: "true once, undefined",
        breaks: "false , ",
        "needs the broken": "false not run: breaks failed, not run: breaks failed",
        unsteady: "true , first",
        "needs the unsteady": "true at last, not run: unsteady failed",
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("tell how long processors worked for them, and not how long they waited", async () => {
    const work = "const end = process.cpuUsage().user + 3e5; while (process.cpuUsage().user < end);";
    const stages = [
      { name: "works", command: `node -e '${work}'` },
      { name: "waits", command: "sleep 1; exit 4" },
    ];
    const [works, waits] = await runStages(stages, { tell: () => {} });
    expect(Object.fromEntries([works, waits].map(({ name, ok }) => [name, ok]))).to.deep.equal({ works: true, waits: false });
    const [worked, waited] = works.name === "works" ? [works, waits] : [waits, works];
    expect(worked.processor).to.be.at.least(0.3);
    expect(waited.seconds).to.be.at.least(0.9);
    expect(waited.processor).to.be.below(0.3);
  });

  it("that wait for each other are an error", async () => {
    const circle = [
      { name: "a", command: "true", after: ["b"] },
      { name: "b", command: "true", after: ["a"] },
    ];
    const error = await runStages(circle).catch((thrown: unknown) => thrown);
    expect(String(error)).to.contain("stages wait for each other: a, b");
  });
});
