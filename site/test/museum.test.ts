/** The museum: laws refute bugs in the page, and judge a router that is written there. */
import { expect } from "chai";
import { axeFinds } from "./axe.ts";
import { PATIENCE, newPage, open } from "./surroundings.ts";
import { trainingKorean } from "../app/bugTrainingStrings.ts";
import { museumEnglish } from "../app/museumStrings.ts";
import type { Surroundings } from "./surroundings.ts";

describe("the museum", function () {
  this.timeout(1_800_000);
  let around: Surroundings;
  before(async () => {
    around = await open({ gpu: false });
  });
  // A failed test must not leave a page behind that goes on training.
  afterEach(() => Promise.all(around.browser.contexts().map((context) => context.close())));
  after(() => around.close());

  it("refutes bugs, and finds nothing in the right code", async () => {
    const { page, faults } = await newPage(around);
    await page.goto(`${around.address}museum/index.html`);
    const rooms = page.locator(".room");
    const count = await rooms.count();
    expect(count).to.be.at.least(30);
    for (const [index, which, verdict] of [
      [0, "broken", "refuted"],
      [3, "broken", "refuted"],
      [count - 1, "broken", "refuted"],
      [0, "right", "kept"],
    ] as const) {
      const room = rooms.nth(index);
      await room.locator(`[data-which=${which}]`).click();
      await page.waitForFunction((at) => document.querySelectorAll<HTMLElement>(".room")[at]?.dataset["verdict"], index, {
        timeout: PATIENCE,
      });
      expect(await room.getAttribute("data-verdict"), `room ${index}, ${which}`).to.equal(verdict);
    }
    expect(faults).to.deep.equal([]);
    await page.close();
  });

  it("trains a bug in its room: the loss of both, what betrays it, and what ended it; the room that is left says so", async () => {
    const { page, faults } = await newPage(around, { reducedMotion: "reduce" });
    await page.goto(`${around.address}museum/index.html`);
    const room = (title: string) => page.locator(`[data-bug="${title}"]`);
    const state = (title: string, wanted: string) =>
      page.waitForFunction(
        ([bug, is]) => document.querySelector<HTMLElement>(`[data-bug="${bug}"] .twins`)?.dataset["state"] === is,
        [title, wanted],
      );
    const [left, never, nan] = ["One slot too few", "The capacity that was never enforced", "Zero times infinity"];
    await room(left).locator("[data-train]").click();
    await room(left)
      .getByText(/^Step [1-9]\d* of/)
      .waitFor();
    await room(never).locator("[data-train]").click();
    await state(left, "stopped");
    expect(await room(left).locator(".said").innerText()).to.match(/^Stopped after \d+ steps?, because/);
    await room(never)
      .getByText(/^Step \d{2} of/)
      .waitFor();
    await room(never).locator("[data-train]").press("Enter"); // now it stops
    await state(never, "stopped");
    const said = await room(never).locator(".said").innerText();
    const [, right, broken] = /computes: (\d+) without the bug, ([\d.]+) with it/.exec(said) ?? [];
    expect(Number(right)).to.equal(80);
    expect(Number(broken)).to.be.greaterThan(100);
    expect(await room(never).locator("desc").first().textContent()).to.match(/^without the bug: bits per byte \d\.\d+, step \d+; with/);
    await room(nan).locator("[data-train]").click();
    await state(nan, "finished");
    expect(await room(nan).locator(".said").innerText()).to.contain("In step 1 the loss with the bug is no number any more");
    expect(page.workers()).to.have.length(0);
    expect(faults).to.deep.equal([]);
    expect(await axeFinds(page)).to.deep.equal([]);
    await page.close();
  });

  it("says why a bug cannot be trained, and trains it when asked again", async () => {
    const { page } = await newPage(around);
    await page.goto(`${around.address}ko/museum/index.html`);
    const room = page.locator(".room").first();
    const said = room.locator(".said");
    for (const missing of ["text.json", "bugTrainingWorker.js"]) {
      await page.route(`**/${missing}`, (route) => route.fulfill({ status: 404, body: "" }));
      await room.locator("[data-train]").click();
      await said.getByText(new RegExp(`^${trainingKorean.failed.split("{")[0]}.*${missing}`)).waitFor();
      await page.unroute(`**/${missing}`);
    }
    await room.locator("[data-train]").click();
    await room.getByText(/^120스텝 가운데 [1-9]/).waitFor();
    await page.close();
  });

  it("judges a router of one's own: the lesson's keeps all laws, one that lets everybody in breaks some", async () => {
    const { page } = await newPage(around);
    await page.goto(`${around.address}museum/index.html`);
    const judge = async (): Promise<[number, number]> => {
      await page.evaluate(() => (document.body.dataset["judged"] = ""));
      await page.click("#judge");
      await page.waitForFunction(() => document.body.dataset["judged"], null, { timeout: PATIENCE });
      const [kept = 0, all = 0] = (await page.evaluate(() => document.body.dataset["judged"] ?? "")).split("/").map(Number);
      return [kept, all];
    };
    const [kept, all] = await judge();
    expect(kept).to.equal(all);
    const code = await page.inputValue("#own-router");
    await page.fill(
      "#own-router",
      `${code.replace("export default (setting: RouterSetting) => new MyRouter(setting);", "")}\nclass Wrong extends MyRouter { override choose(...given: Parameters<MyRouter["choose"]>) { const choice = super.choose(...given); return { ...choice, gate: choice.gate.div(choice.gate) }; } }\nexport default (setting: RouterSetting) => new Wrong(setting);`,
    );
    const [keptThen] = await judge();
    expect(keptThen).to.be.lessThan(all);
    await page.fill("#own-router", "this is no program");
    await page.click("#judge");
    await page.waitForFunction(() => /unexpected|missing|token|export/i.test(document.querySelector("#own-state")?.textContent ?? ""));
    await page.close();
  });

  it("ends a router that never comes to an end", async () => {
    const { page } = await newPage(around);
    await page.clock.install();
    await page.goto(`${around.address}museum/index.html`);
    await page.fill("#own-router", "export default () => { for (;;); };");
    await page.click("#judge");
    await page.waitForFunction((said) => document.querySelector("#own-state")?.textContent === said, museumEnglish.looking);
    const ended = page.workers()[0]?.waitForEvent("close");
    await page.clock.fastForward(61_000);
    await page.waitForFunction(() => /longer than 60 seconds/.test(document.querySelector("#own-state")?.textContent ?? ""));
    await ended;
    await page.close();
  });
});
