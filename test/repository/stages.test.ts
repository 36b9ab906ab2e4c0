/** The runner behind .ci/run: a failure must never look like a pass. */
import { expect } from "chai";
import { runStages } from "../../scripts/stages.ts";

describe("stages", () => {
  it("pass, fail, and are not run when what they need has failed", async () => {
    const told: string[] = [];
    const stages = [
      { name: "works", command: "echo $WORD", env: { WORD: "said" } },
      { name: "breaks", command: "exit 3" },
      { name: "needs both", command: "echo never", after: ["works", "breaks"] },
      { name: "needs the unrun", command: "echo never", after: ["needs both"] },
    ];
    const outcomes = await runStages(stages, ({ name }) => told.push(name));
    expect(told).to.have.members(stages.map(({ name }) => name));
    const seen = Object.fromEntries(outcomes.map(({ name, ok, output }) => [name, `${ok} ${output.trim()}`]));
    expect(seen).to.deep.equal({
      works: "true said",
      breaks: "false ",
      "needs both": "false not run: breaks failed",
      "needs the unrun": "false not run: needs both failed",
    });
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
