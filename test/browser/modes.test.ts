/** Every mode of gpu.js that a browser has: the conformance suite, and a training run against the reference's losses. */
import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { cpuBackend, useBackend } from "../../src/index.ts";
import { expectSameLosses } from "../parity/agreement.ts";
import { fewSteps, parityLosses } from "../parity/training.ts";
import { launch, program, serveBundle } from "./chromium.ts";
import type { Site } from "./chromium.ts";
import type { PageReport } from "./page.ts";

const modes = [
  ["webasm", /^WebAssembly/],
  ["webgpu", /^WebGPU/],
  ["webgl2", /^WebGL2/],
] as const;

describe("gpu.js in Chromium", function () {
  this.timeout(1_200_000);
  let browser: Browser;
  let site: Site;
  let want: number[];
  const warnings: string[] = [];

  before(async function () {
    if (!program && !process.env["CI"]) this.skip();
    expect(program, "Chromium's program; set CHROMIUM or install it").to.be.a("string");
    site = await serveBundle("test/browser/page.ts");
    browser = await launch();
    await useBackend(cpuBackend());
    want = await parityLosses(fewSteps);
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });

  async function open(): Promise<Page> {
    const page = await browser.newPage();
    page.setDefaultTimeout(240_000); // CI runs other tests beside these
    page.on("console", (message) => void (message.type() !== "log" && warnings.push(message.text())));
    await page.goto(site.address);
    await page.waitForFunction("globalThis.runConformance");
    return page;
  }

  for (const [mode, sign] of modes) {
    it(`${mode} obeys every law`, async () => {
      const page = await open();
      const report: PageReport = await page.evaluate((m) => globalThis.runConformance(m), mode);
      await page.close();
      expect(report.description).to.match(sign);
      expect(report.outcomes.filter(({ state }) => state === "failed")).to.deep.equal([]);
      expect(report.outcomes.filter(({ state }) => state === "passed").length).to.be.greaterThan(125);
    });

    it(`${mode} trains to the reference's losses`, async () => {
      const page = await open();
      expectSameLosses(mode, await page.evaluate((m) => globalThis.runParity(m), mode), want);
      await page.close();
    });
  }

  for (const [mode, thing] of [
    ["webgpu", "WebGPU device"],
    ["webgl2", "WebGL context"],
  ] as const) {
    it(`${mode}: a lost device is an error with advice, not zeros`, async () => {
      const page = await open();
      const [before, after] = await page.evaluate((m) => globalThis.runLoss(m), mode);
      await page.close();
      expect(before).to.equal("");
      expect(after).to.include(`the ${thing} was lost`).and.to.include("make a new backend");
    });
  }

  it("never fell back to another mode", () => {
    expect(warnings.filter((text) => /fall(ing)? back/i.test(text))).to.deep.equal([]);
  });
});
