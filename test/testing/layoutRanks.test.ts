/** Laws of layouts on ranks of another kind: here each case has one rank, which is this thread, and its checkpoints are in memory. */
import { expect } from "chai";
import { alone } from "switchyard-moe/distributed";
import { BrokenLayout } from "switchyard-moe/testing";
import type { LayoutCase } from "switchyard-moe/testing";
import { memoryFiles } from "../../src/distributed/memoryFiles.ts";
import { keepShardsIn } from "../../src/distributed/shardFiles.ts";
import { layoutLawsOn } from "../../src/testing/layouts/layoutLaws.ts";
import { runOrder } from "../../src/testing/layouts/program.ts";
import type { LayoutOrder } from "../../src/testing/layouts/program.ts";
import type { LayoutRanks, RankSetting } from "../../src/testing/layouts/ranks.ts";
import * as gallery from "./brokenLayouts.ts";

const variants = new Map(Object.entries(gallery));

/** What was asked of the ranks. */
class ThisThread implements LayoutRanks {
  readonly fixed = false;
  readonly asked: { readonly order: LayoutOrder; readonly setting: RankSetting }[] = [];
  folders = 0;

  async carryOut(order: LayoutOrder, setting: RankSetting) {
    this.asked.push({ order, setting });
    return [await runOrder(alone({ ordered: setting.ordered }), order, async (of) => variants.get(of.export))];
  }

  async withFolder(use: (folder: string) => Promise<void>): Promise<void> {
    keepShardsIn(memoryFiles(new Map()));
    this.folders++;
    try {
      await use("checkpoint");
    } finally {
      keepShardsIn(null);
    }
  }
}

function lawsOf(variant: string | null, name: string) {
  const ranks = new ThisThread();
  const heard: { readonly c: LayoutCase; readonly fault: unknown }[] = [];
  const named = variant === null ? null : { module: "gallery", export: variant };
  const options = { ranks: [1], runs: 2, seed: 3, variant: named, limit: 2 };
  const law = layoutLawsOn(ranks, "these", null, options, (c, fault) => heard.push({ c, fault })).find((one) => one.name.includes(name));
  if (!law) throw new Error(`no law of ${name}`);
  return { ranks, heard, law };
}

describe("laws of layouts on ranks that are given", function () {
  this.timeout(60_000);

  it("run their orders there, and tell of each case", async () => {
    const { ranks, heard, law } = lawsOf(null, "one process");
    await law.check();
    expect(heard.map(({ fault }) => fault)).to.deep.equal([undefined, undefined]);
    expect(ranks.asked.map(({ order }) => order.case)).to.deep.equal(heard.map(({ c }) => c));
    expect(ranks.asked[0].setting).to.deep.equal({ ordered: false, limit: 2 });
  });

  it("tell of the cases of shrinking too, of which the last that fails is the smallest", async () => {
    const { heard, law } = lawsOf("WeightsNeverCopied", "checkpoint");
    const fault: unknown = await law.check().then(
      () => null,
      (error: unknown) => error,
    );
    expect(fault).to.be.instanceOf(BrokenLayout);
    if (!(fault instanceof BrokenLayout)) return;
    const failing = heard.filter((one) => one.fault !== undefined);
    expect(failing.length).to.be.greaterThan(1);
    expect(failing.at(-1)).to.deep.equal({ c: fault.counterexample, fault: fault.cause });
  });

  it("save and load in the folders that are given", async () => {
    const { ranks, law } = lawsOf(null, "checkpoint");
    await law.check();
    expect(ranks.folders).to.equal(2);
    expect(new Set(ranks.asked.flatMap(({ order }) => [order.save, order.load]))).to.deep.equal(new Set([null, "checkpoint"]));
  });
});
