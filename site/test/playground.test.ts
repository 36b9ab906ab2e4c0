/** The playground's story, as a person would live it. */
import { writeFileSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { readSafetensors } from "switchyard-moe/nn";
import type { Surroundings } from "./surroundings.ts";
import { newPage, open } from "./surroundings.ts";

const SMALL = "width=16&hidden=32&length=16&batch=8&steps=60";

/** Waits for a step; the machine may be slow. */
async function reach(page: Page, step: number): Promise<void> {
  await page.waitForFunction((wanted) => Number(document.body.dataset["step"] ?? 0) >= wanted, step, { timeout: 120_000 });
}
async function state(page: Page, wanted: string): Promise<void> {
  await page.waitForFunction((name) => document.body.dataset["state"] === name, wanted, { timeout: 120_000 });
}

describe("the playground", function () {
  this.timeout(300_000);
  let around: Surroundings;
  before(async () => {
    around = await open();
  });
  after(() => around.close());
  const at = (hash = ""): string => `${around.address}playground/index.html${hash === "" ? "" : `#${hash}`}`;

  it("trains, pauses, takes one step, and goes on", async () => {
    const { page, faults } = await newPage(around);
    await page.goto(at());
    await page.click("#run");
    await reach(page, 5);
    await page.click("#run");
    await state(page, "paused");
    const paused = Number(await page.evaluate(() => document.body.dataset["step"]));
    await page.waitForTimeout(600);
    const still = Number(await page.evaluate(() => document.body.dataset["step"]));
    expect(still - paused).to.be.at.most(1); // what was under way when it was drawn
    await page.click("#step");
    await reach(page, still + 1);
    await page.click("#run");
    await reach(page, still + 5);
    expect(await page.locator("#curve svg").count()).to.equal(1);
    expect(await page.locator("#load-a rect").count()).to.be.greaterThan(8);
    expect(faults).to.deep.equal([]);
    await page.close();
  });

  it("gives the same fingerprint when its link is opened in a new page, and another one for another seed", async () => {
    const run = async (hash: string): Promise<string | undefined> => {
      const { page } = await newPage(around);
      await page.goto(at(hash));
      await state(page, "finished");
      const mark = await page.evaluate(() => document.body.dataset["fingerprint"]);
      await page.close();
      return mark;
    };
    const first = await run(`${SMALL}&a.alpha=0.1`);
    expect(first).to.match(/^[0-9a-f]{8}$/);
    expect(await run(`${SMALL}&a.alpha=0.1`)).to.equal(first);
    expect(await run(`${SMALL}&a.alpha=0.1&seed=2`)).not.to.equal(first);
  });

  it("exports a model that Node reads, and curves", async () => {
    const { page } = await newPage(around);
    await page.goto(at(SMALL));
    await state(page, "finished");
    const [model] = await Promise.all([page.waitForEvent("download"), page.click("#export-a")]);
    const { tensors, metadata } = readSafetensors(readFileSync(await model.path()));
    expect(tensors.size).to.be.greaterThan(10);
    expect(JSON.parse(metadata["config"] ?? "{}").model.width).to.equal(16);
    const [curves] = await Promise.all([page.waitForEvent("download"), page.click("#csv")]);
    expect(
      readFileSync(await curves.path(), "utf8")
        .trim()
        .split("\n"),
    ).to.have.length(61);
    await page.close();
  });

  it("takes one's own text, Korean and emoji too, and refuses what is short or no text", async () => {
    const { page } = await newPage(around);
    await page.goto(at());
    await page.selectOption("#shared-text", "own");
    await page.fill("#own-text", "짧다");
    await page.click("#run");
    expect(await page.textContent("#status")).to.contain("at least 1,000");
    await page.fill("#own-text", "모든 사람은 태어날 때부터 자유롭다 🌏. ".repeat(60));
    await page.click("#run");
    await reach(page, 3);
    const folder = mkdtempSync(join(tmpdir(), "switchyard-"));
    const bad = join(folder, "bad.bin");
    writeFileSync(bad, Uint8Array.of(0xff, 0xfe, 0x80, 0x81));
    await page.setInputFiles("#own-file", bad);
    await page.waitForFunction(() => document.querySelector("#status")?.textContent?.includes("UTF-8"));
    await page.close();
  });

  it("says what of a link it cannot use, and what settings do not fit", async () => {
    const { page } = await newPage(around);
    await page.goto(at("widht=3&heads=x"));
    expect(await page.textContent("#status")).to.contain("widht");
    await page.fill("#shared-heads", "3");
    await page.click("#run");
    expect(await page.textContent("#status")).to.contain("does not divide");
    await page.close();
  });

  it("works by keyboard alone", async () => {
    const { page } = await newPage(around);
    await page.goto(at(SMALL.replace("steps=60", "steps=2000")));
    await reach(page, 3);
    await page.focus("#run");
    await page.keyboard.press("Enter");
    await state(page, "paused");
    await page.locator("#passage-a [role=option]").first().focus();
    await page.keyboard.press("ArrowRight");
    expect(await page.textContent("#detail-a")).to.match(/expert|slot/);
    await page.close();
  });

  it("trains with one thread where the host sends no isolation headers, and says so", async () => {
    const plain = await open({ isolated: false });
    const { page, faults } = await newPage(plain);
    await page.goto(`${plain.address}playground/index.html#${SMALL}`);
    await reach(page, 3);
    expect(await page.textContent("#engine")).to.match(/thread/);
    expect(faults).to.deep.equal([]);
    await plain.close();
  });
});
