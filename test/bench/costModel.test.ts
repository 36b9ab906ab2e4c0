import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { ThreadWorld } from "switchyard-moe/distributed";
import { assumedCluster, bestLayout, crossover, paperCost, paperModels, parametersOf, transfer, waiting, wireBytes } from "../../bench/costModel.ts"; // prettier-ignore
import { costTables } from "../../bench/costTables.ts";
import type { WireCase, WireFound } from "./wireProgram.ts";

describe("the cost model", () => {
  it("has the numbers of parameters of Table 9", () => {
    for (const model of paperModels) {
      const { experts, shared } = parametersOf(model);
      expect((experts + shared) / 1e9, model.name).to.be.closeTo(model.billions, 0.07 * model.billions);
    }
  });

  it("is the table that docs/distributed.md shows: bench/costTables.ts prints it", () => {
    expect(readFileSync("docs/distributed.md", "utf8")).to.include(costTables());
  });

  it("takes a layout that fits and is no slower than any other that does", () => {
    for (const model of paperModels)
      for (const nodes of [1, 8, 64, 1024]) {
        const layout = { nodes, tokens: 4096, capacity: 1.25 };
        const best = bestLayout(model, layout, assumedCluster);
        const cost = (G: number) => paperCost(model, { ...layout, expertsOver: G }, assumedCluster);
        const time = (G: number): number => cost(G).compute + cost(G).allToAll + cost(G).allReduce;
        for (let G = 1; G <= Math.min(8 * nodes, model.experts); G *= 2)
          if (cost(G).memory <= assumedCluster.memory) expect(best === null ? Infinity : time(best)).to.be.at.most(time(G));
        if (best !== null) expect(cost(best).memory).to.be.at.most(assumedCluster.memory);
      }
  });

  it("says below which bandwidth all-to-all takes longer than computing", () => {
    for (const model of paperModels) {
      const bandwidth = crossover(model, 1.25, assumedCluster);
      const link = { latency: 0, bandwidth };
      const cluster = { ...assumedCluster, inside: link, between: link };
      const { compute, allToAll } = paperCost(model, { nodes: 1024, expertsOver: model.experts, tokens: 8192, capacity: 1.25 }, cluster);
      expect(allToAll).to.be.closeTo(compute, 1e-6 * compute);
    }
  });

  it("adds latency for each message, and waiting only where steps spread and are cut", () => {
    expect(transfer({ latency: 2, bandwidth: 10 }, 50, 3)).to.equal(11);
    expect([waiting(0, 20), waiting(5, 1)]).to.deep.equal([0, 0]);
    expect(waiting(5, 16)).to.be.closeTo(waiting(5, 4) * 3, 1e-9);
  });
});

describe("what crosses the wire, by formula", function () {
  this.timeout(120_000);
  let world: ThreadWorld;
  before(async () => (world = await ThreadWorld.start(4)));
  after(() => world.close());

  it("is what was measured, to the byte, for any layout", async () => {
    const cases: fc.Arbitrary<WireCase> = fc.record({
      ranks: fc.constantFrom(1, 2, 4),
      expertsOver: fc.constantFrom(1, 2, 4),
      group: fc.constantFrom("batch" as const, "sequence" as const),
      factor: fc.constantFrom(0.5, 1.25, 2),
      accumulate: fc.constantFrom(1, 2),
    }).filter(({ ranks, expertsOver }) => ranks % expertsOver === 0); // prettier-ignore
    const program = { module: new URL("wireProgram.ts", import.meta.url).href, export: "wireProgram" };
    await fc.assert(
      fc.asyncProperty(cases, async (data) => {
        const [found] = (await world.run({ ...program, data })) as (WireFound | null)[];
        if (!found) throw new Error("rank 0 takes part");
        for (const [name, bytes] of Object.entries(wireBytes(found.sizes))) expect(found.sent[name] ?? 0, name).to.be.closeTo(bytes, 1e-6 * bytes); // prettier-ignore
      }),
      { seed: 1, numRuns: 12, examples: [[{ ranks: 4, expertsOver: 2, group: "sequence", factor: 1.25, accumulate: 2 }]] },
    );
  });
});
