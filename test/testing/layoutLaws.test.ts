import { layoutLaws } from "../../src/testing/index.ts";

describe("laws of layouts", function () {
  this.timeout(300_000);
  for (const law of layoutLaws("feed-forward experts")) it(law.name, () => law.check());
});
