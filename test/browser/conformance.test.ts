/** The conformance suite in a browser, in every mode of gpu.js that runs there. */
import { expect } from "chai";
import type { Browser } from "playwright-core";
import { launch, program, serveBundle } from "./chromium.ts";
import type { Site } from "./chromium.ts";
import type { PageReport } from "./conformancePage.ts";

describe("conformance in Chromium", function () {
  this.timeout(180_000);
  let browser: Browser;
  let site: Site;

  before(async function () {
    if (!program && !process.env["CI"]) this.skip();
    expect(program, "Chromium's program; set CHROMIUM or install it").to.be.a("string");
    site = await serveBundle("test/browser/conformancePage.ts");
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });

  const modes = [
    ["webasm", /WebAssembly/],
    ["webgpu", /WebGPU/],
    ["webgl2", /WebGL2/],
  ] as const;
  for (const [mode, sign] of modes) {
    it(`${mode} obeys every law`, async () => {
      const page = await browser.newPage();
      const warnings: string[] = [];
      page.on("console", (message) => void (message.type() !== "log" && warnings.push(message.text())));
      await page.goto(site.address);
      await page.waitForFunction("globalThis.runConformance");
      const report: PageReport = await page.evaluate((m) => globalThis.runConformance(m), mode);
      await page.close();
      expect(report.description).to.match(sign);
      expect(report.outcomes.filter(({ state }) => state === "failed")).to.deep.equal([]);
      expect(report.outcomes.filter(({ state }) => state === "passed").length).to.be.greaterThan(125);
      expect(warnings.filter((text) => text.includes("Falling back"))).to.deep.equal([]);
    });
  }
});
