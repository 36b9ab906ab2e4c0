import { expect } from "chai";
import { BrokenLayout, layoutLaws } from "../../src/testing/index.ts";
import * as broken from "./brokenLayouts.ts";

const module = new URL("brokenLayouts.ts", import.meta.url).href;

describe("broken layouts", function () {
  this.timeout(300_000);
  for (const name of Object.keys(broken))
    it(`${name} is refuted by the law of one process`, async () => {
      const [law] = layoutLaws("broken", null, { variant: { module, export: name }, runs: 60, ranks: [2], seed: 3, shrink: false });
      const fault = await law.check().then(
        () => null,
        (error: unknown) => error,
      );
      expect(fault).to.be.instanceOf(BrokenLayout);
    });
});
