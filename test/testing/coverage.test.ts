/** What cases of laws were like: each is counted once, in every kind that it is of and in no other. */
import { expect } from "chai";
import type { CoverageKind, LayoutCase, LayoutKind, RouterCase } from "switchyard-moe/testing";
import { LayoutCoverage, layoutKinds } from "switchyard-moe/testing";
import { world } from "../../src/testing/cases.ts";
import { Coverage, kinds } from "../../src/testing/coverage.ts";
import { OwnRouter } from "./ownRouter.ts";

describe("the coverage of routers' laws", () => {
  const plain: RouterCase = { seed: 1, batch: 1, length: 4, experts: 4, choices: 4, factor: Infinity, group: "batch", ids: [0, 1, 2, 3], repeats: false, twins: false, padding: [0], training: false }; // prettier-ignore
  const subject = { name: "own", make: (setting: ConstructorParameters<typeof OwnRouter>[0]) => new OwnRouter(setting) };
  const of: Record<CoverageKind, Partial<RouterCase>> = {
    drops: { factor: 0.5 },
    emptyExperts: { choices: 1, length: 1, ids: [0], padding: [0] },
    padding: { padding: [1] },
    tiedTokens: { repeats: true, ids: [0, 0, 1, 2] },
    tiedExperts: { twins: true },
    oneExpert: { experts: 1, choices: 1 },
    fewTokens: { experts: 5, choices: 5 },
    dropless: { factor: "dropless" },
  };
  const noted = (...changes: Partial<RouterCase>[]): Coverage => {
    const coverage = new Coverage();
    for (const change of changes) coverage.note({ ...plain, ...change }, world(subject, { ...plain, ...change }).route());
    return coverage;
  };
  const shares = (coverage: Coverage): number[] => kinds.map((kind) => coverage.share(kind));

  for (const kind of kinds)
    it(`${kind}: in the case that is of it, not in one that is of none, and half of both`, () => {
      expect(noted(of[kind]).share(kind)).to.equal(1);
      expect(noted({}).share(kind)).to.equal(0);
      expect(noted({}, of[kind]).share(kind)).to.equal(0.5);
    });

  it("a case that differs in one thing is of one kind", () => {
    for (const kind of ["drops", "padding", "tiedTokens", "tiedExperts", "oneExpert", "fewTokens", "dropless"] as const)
      expect(shares(noted(of[kind])), kind).to.deep.equal(kinds.map((other) => Number(other === kind)));
    expect(shares(noted({ repeats: true }, { experts: 1, choices: 1, twins: true })).slice(3, 5), "nothing is tied").to.deep.equal([0, 0]);
  });

  it("adds that of others, and forgets", () => {
    const coverage = noted({}, of.drops, of.drops);
    coverage.add(noted(of.padding));
    expect(String(coverage)).to.equal("4 cases: drops 50 %, emptyExperts 0 %, padding 25 %, tiedTokens 0 %, tiedExperts 0 %, oneExpert 0 %, fewTokens 0 %, dropless 0 %"); // prettier-ignore
    coverage.clear();
    expect(String(coverage)).to.match(/^0 cases: drops 0 %, /);
  });
});

describe("the coverage of laws of layouts", () => {
  const plain: LayoutCase = { seed: 1, ranks: 2, expertsOver: 2, expertsEach: 1, router: "switch", factor: 1, shards: [1, 1], padding: [0, 0], balance: "rank", sharedState: false }; // prettier-ignore
  const of: Record<LayoutKind, [change: Partial<LayoutCase>, chosen?: number[], also?: LayoutKind[]]> = {
    spreadExperts: [{}],
    replicas: [{ expertsOver: 1 }],
    emptyRanks: [{ shards: [0, 1] }, [1, 1], ["spreadExperts", "emptyShards", "unequalShards"]],
    emptyShards: [{ shards: [1, 0, 1, 0], padding: [0, 0, 0, 0] }, [1, 1], ["spreadExperts", "unequalShards"]],
    emptyExperts: [{}, [2, 0], ["spreadExperts"]],
    padding: [{ padding: [1, 1] }, [1, 1], ["spreadExperts"]],
    unequalShards: [{ shards: [1, 2] }, [1, 1], ["spreadExperts"]],
    dropless: [{ factor: "dropless" }, [1, 1], ["spreadExperts"]],
    sharedState: [{ sharedState: true }, [1, 1], ["spreadExperts"]],
  };

  for (const kind of layoutKinds)
    it(`${kind}: and what else such a case is of, each once`, () => {
      const [change, chosen = [1, 1], also = []] = of[kind];
      const coverage = new LayoutCoverage();
      for (const times of [1, 2]) {
        coverage.note({ ...plain, ...change }, chosen);
        const met = layoutKinds.map((other) => (other === kind || also.includes(other) ? times : 0));
        expect(layoutKinds.map((other) => coverage.count(other))).to.deep.equal(met);
        expect(String(coverage)).to.equal(`${times} cases: ${layoutKinds.map((name, i) => `${name} ${met[i]}`).join(", ")}`);
      }
    });

  it("refuses cases that are none", () => {
    const note = (change: Partial<LayoutCase>) => () => new LayoutCoverage().note({ ...plain, ...change }, [1, 1]);
    expect(note({ shards: [1, 1, 1] })).to.throw("LayoutCoverage.note: shards [1, 1, 1]: want as many for each of the 2 ranks");
    expect(note({ shards: [] })).to.throw("LayoutCoverage.note: shards []: want as many for each of the 2 ranks");
    expect(note({ padding: [0] })).to.throw("LayoutCoverage.note: padding [0]: want a number for each of 2 shards");
  });

  it("of a world without a token: no rank, shard or expert counts as the one that is empty", () => {
    const coverage = new LayoutCoverage();
    coverage.note({ ...plain, ranks: 1, expertsOver: 1, shards: [0], padding: [2], sharedState: true }, [0, 0]);
    expect(layoutKinds.map((kind) => coverage.count(kind))).to.deep.equal(layoutKinds.map(() => 0));
  });
});
