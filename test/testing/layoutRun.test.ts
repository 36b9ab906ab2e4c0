/** What laws of layouts and their runs refuse, and which parts a run has. */
import { expect } from "chai";
import { alone } from "switchyard-moe/distributed";
import { LayoutRun, layoutLaws } from "switchyard-moe/testing";
import type { LayoutCase } from "switchyard-moe/testing";
import { SharedState } from "../../src/distributed/index.ts";
import { feedForwardExperts } from "../../src/testing/layouts/cases.ts";

const c: LayoutCase = { seed: 4, ranks: 1, expertsOver: 1, expertsEach: 2, router: "switch", factor: 1.25, shards: [2], padding: [1], balance: "rank", sharedState: false }; // prettier-ignore
const newRun = (given: Partial<LayoutCase> = {}, precision: "float32" | "float64" = "float64"): LayoutRun =>
  new LayoutRun({ ...c, ...given }, alone(), precision, feedForwardExperts);

describe("laws of layouts, before they run", () => {
  it("refuse what is no module with its export", () => {
    expect(() => layoutLaws("mine", { module: "a" } as never)).to.throw(
      "make { module }: want null, or an object with module, export and local",
    );
    expect(() => layoutLaws("mine", null, { variant: { module: "a" } as never })).to.throw(
      "variant { module }: want null, or an object with module and export",
    );
    expect(() => layoutLaws("mine", null, { variant: { module: "a", export: "b" } })).to.not.throw();
    expect(() => layoutLaws("mine", null, { ranks: [0] })).to.throw("layoutLaws: ranks [0]");
    expect(() => layoutLaws("mine", null, { round: 1 } as never)).to.throw("layoutLaws: there is no option round; did you mean");
  });

  it("refuse a run of no case and of no precision", () => {
    expect(() => newRun({}, "float16" as never)).to.throw('LayoutRun: precision "float16": want "float32" or "float64"');
    expect(() => newRun({ router: "lottery" as never })).to.throw('LayoutRun: router "lottery"');
    expect(() => new LayoutRun(c, {} as never, "float64", feedForwardExperts)).to.throw("LayoutRun: world");
    expect(() => new LayoutRun(c, alone(), "float64", 3 as never)).to.throw("LayoutRun: make 3");
  });

  it("share the optimiser's state out where the case says so, and only there", () => {
    expect(newRun().shared).to.equal(null);
    expect(newRun({ sharedState: true }).shared).to.be.instanceOf(SharedState);
  });

  it("report as many steps as were made", () => {
    const { losses, norms, outputs } = newRun().run(2);
    expect([losses.length, norms.length]).to.deep.equal([2, 2]);
    expect(Object.keys(outputs).length).to.equal(2);
  });
});
