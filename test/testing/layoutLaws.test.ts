import { expect } from "chai";
import { layoutKinds, layoutLaws } from "../../src/testing/index.ts";

describe("laws of layouts", function () {
  this.timeout(300_000);
  const laws = layoutLaws("feed-forward experts");
  for (const law of laws) it(law.name, () => law.check());

  it("meet ranks and experts without tokens, padding, unequal shards, and every kind of layout", () => {
    const [{ coverage }] = laws;
    for (const kind of layoutKinds) expect(coverage.count(kind), `${kind}; ${coverage}`).to.be.at.least(1);
  });
});
