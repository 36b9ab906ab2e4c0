/** The example page from end to end: train, switch the backend, stop. */
import { mkdirSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { serve } from "../../examples/browser/serve.ts";
import { launch, program } from "./chromium.ts";

describe("the page in examples/browser", function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: Server;
  let page: Page;
  const complaints: string[] = [];

  before(async function () {
    if (!program && !process.env["CI"]) this.skip();
    expect(program, "Chromium's program; set CHROMIUM or install it").to.be.a("string");
    [server, browser] = await Promise.all([serve(0), launch()]);
    page = await browser.newPage();
    page.on("pageerror", (error) => void complaints.push(error.message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  /** Chooses a backend, trains a few steps, and answers with the loss of the first and of the latest. */
  async function train(backend: string, steps: number): Promise<[first: number, latest: number]> {
    await page.selectOption("#backend", backend);
    await page.click("#start");
    await page.waitForSelector(`body[data-backend="${backend}"]:not([data-first=""])`, { state: "attached", timeout: 60_000 });
    await page.waitForFunction(`Number(document.body.dataset.step) >= ${steps}`, undefined, { timeout: 60_000 });
    const [first, latest] = [await page.getAttribute("body", "data-first"), await page.getAttribute("body", "data-bits")];
    return [Number(first), Number(latest)];
  }

  it("trains on the reference backend, and the loss falls", async () => {
    const [first, latest] = await train("cpu", 12);
    expect(latest).to.be.lessThan(first);
    expect(await page.textContent("#status")).to.match(/TypeScript.*parameters/);
  });

  it("draws the loss and the load of every expert", async () => {
    const points = (await page.getAttribute("#loss polyline", "points"))?.split(" ") ?? [];
    expect(points.length).to.be.at.least(12);
    expect(await page.locator("#load div").count()).to.equal(2);
    expect(await page.locator("#load span").count()).to.equal(16);
    mkdirSync("coverage", { recursive: true });
    await page.screenshot({ path: "coverage/browser-page.png", fullPage: true });
  });

  it("switches to WebAssembly, and to the GPU", async () => {
    const [first] = await train("wasm", 3);
    // The server's headers isolate the page, so its worker may share memory with threads of its own.
    const cores = await page.evaluate<number>("navigator.hardwareConcurrency");
    const status = (await page.textContent("#status")) ?? "";
    const threads = Number(/WebAssembly SIMD.*, (\d+) thread/.exec(status)?.[1]);
    expect(threads, status).to.be.within(Math.min(2, cores), cores);
    const [firstOnGpu] = await train("gpu", 3);
    expect(await page.textContent("#status")).to.match(/WebGPU|WebGL2/);
    expect(firstOnGpu).to.be.closeTo(first, 1e-3);
  });

  it("stops when asked", async () => {
    await page.click("#stop");
    await page.waitForSelector('body[data-status="stopped"]', { state: "attached", timeout: 30_000 });
    const step = await page.getAttribute("body", "data-step");
    await page.waitForTimeout(300);
    expect(await page.getAttribute("body", "data-step")).to.equal(step);
    expect(complaints).to.deep.equal([]);
  });
});
