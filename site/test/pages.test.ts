/** Every page of the site: it loads without a fault, leads only to what is there, fits a phone, and can be used by everyone. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { axeFinds } from "./axe.ts";
import type { Surroundings } from "./surroundings.ts";
import { colours, dist, fallsBack, newPage, open, pagesOf } from "./surroundings.ts";

const pictured = process.env["SCREENSHOTS"];

/** A page of each kind. */
const looked = [
  "index.html",
  "guide/3-switch.html",
  "guide/2-gates.html",
  "ko/guide/5-balance.html",
  "questions.html",
  "ko/use.html",
  "lessons/04-switch.html",
  "ko/docs/concepts.html",
  "playground/index.html",
  "ko/museum/index.html",
  "source/src/moe/capacity.ts.html",
  "api/index.html",
  "api/classes/switchyard-moe_moe.SwitchRouter.html",
];

describe("the site's pages", function () {
  this.timeout(1_800_000);
  let around: Surroundings;
  before(async () => {
    around = await open({ gpu: false });
  });
  after(() => around.close());

  it("exist in both languages", () => {
    const pages = pagesOf();
    const english = pages.filter((page) => !page.startsWith("ko/"));
    expect(english.length).to.be.greaterThan(40);
    expect(pages.filter((page) => page.startsWith("ko/")).map((page) => page.slice(3))).to.deep.equal(english);
  });

  // One visit for all that is looked at, because loading a page takes longer than looking; two tabs, because each waits for much of its time.
  it("load without errors, ask nobody else, fit a phone and a desk, and have nothing that axe finds wrong in light and dark", async () => {
    const wrong: string[] = [];
    const visited = [...new Set([...pagesOf().filter((path) => !fallsBack(path)), ...looked])];
    const left = visited.values();
    const visit = async (): Promise<void> => {
      const { page, faults } = await newPage(around);
      for (const path of left) {
        await page.goto(around.address + path, { waitUntil: "load" });
        const found = [
          ...(await emptyWidgets(page)),
          ...(await tooWide(page, path)),
          ...(looked.includes(path) ? await axeAtDesk(page) : []),
          ...faults.splice(0),
        ];
        wrong.push(...found.map((fault) => `${path}: ${fault}`));
      }
      await page.close();
    };
    await Promise.all([visit(), visit()]);
    expect(visited.length).to.be.greaterThan(60);
    expect(wrong).to.deep.equal([]);
  });

  it("let a reader send tokens to other experts: the tables of dispatch and combine follow", async () => {
    for (const [path, dropped, empty] of [
      ["guide/6-capacity.html", "dropped", "empty"],
      ["ko/guide/6-capacity.html", "버려짐", "비어 있음"],
    ]) {
      const { page, faults } = await newPage(around);
      await page.goto(around.address + path, { waitUntil: "load" });
      const widget = page.locator("sy-dispatch");
      const rows = async () => (await widget.locator("tbody tr").allTextContents()).map((row) => row.trim());
      await widget.locator("tbody tr").first().waitFor();
      expect(await rows()).to.deep.equal(["000", "112", "00", `1${dropped}`, "21", `3${dropped}`]);
      for (const token of [2, 3]) await widget.locator("select").nth(token).selectOption("0");
      expect(await rows()).to.deep.equal(["000", `11${empty}`, "00", `1${dropped}`, `2${dropped}`, `3${dropped}`]);
      await widget.locator("input").fill("4");
      expect((await rows()).slice(-4)).to.deep.equal(["00", "11", "22", "33"]);
      expect(faults).to.deep.equal([]);
      await page.close();
    }
  });
});

async function axeAtDesk(page: Page): Promise<string[]> {
  await page.setViewportSize({ width: 1280, height: 900 });
  return axeFinds(page);
}

/** Widths at which the page must be scrolled sideways. Keeps pictures of it where SCREENSHOTS names a folder. */
async function tooWide(page: Page, path: string): Promise<string[]> {
  const wrong: string[] = [];
  // First as it stands, for each change lays the page out anew.
  const asItIs = page.viewportSize()?.width;
  for (const width of [390, 1280].toSorted((a, b) => Number(b === asItIs) - Number(a === asItIs))) {
    if (width !== page.viewportSize()?.width) await page.setViewportSize({ width, height: 900 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (over > 0) wrong.push(`${over} pixels wider than ${width}`);
    if (pictured !== undefined) await keepPictures(page, join(pictured, `${path.replaceAll("/", "-").replace(".html", "")}-${width}`));
  }
  return wrong;
}

/** Instruments of the guide that draw nothing; their script comes after the page. */
async function emptyWidgets(page: Page): Promise<string[]> {
  const here = await page.evaluate(() => [...document.querySelectorAll(".vp-doc *")].some(({ localName }) => localName.startsWith("sy-")));
  if (!here) return [];
  const drawn = () => [...document.querySelectorAll(".vp-doc *")].every((element) => !element.localName.startsWith("sy-") || element.querySelector(".widget-picture :is(svg, table)")); // prettier-ignore
  return page.waitForFunction(drawn, null, { timeout: 60_000 }).then(() => [], () => ["an instrument draws nothing"]); // prettier-ignore
}

async function keepPictures(page: Page, name: string): Promise<void> {
  for (const scheme of ["light", "dark"] as const) {
    await colours(page, scheme);
    await page.screenshot({ path: `${name}-${scheme}.png`, fullPage: true });
  }
  await colours(page, "light");
}

describe("the site's links", () => {
  /** What a page has for links with "#". */
  const anchors = new Map<string, Set<string>>();
  const anchorsOf = (file: string): Set<string> => {
    let known = anchors.get(file);
    if (!known)
      anchors.set(
        file,
        (known = new Set([...readFileSync(join(dist, file), "utf8").matchAll(/\bid="([^"]+)"/g)].map(([, id = ""]) => id))),
      );
    return known;
  };

  it("lead to pages and anchors that are there", () => {
    const broken: string[] = [];
    const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html") && name !== "404.html");
    for (const file of files)
      for (const [, href = ""] of readFileSync(join(dist, file), "utf8").matchAll(/<a[^>]*\shref="([^"]+)"/g)) {
        if (/^(https?:|mailto:)/.test(href)) continue;
        const [path = "", hash] = href.replaceAll("&amp;", "&").split("#");
        const target = path === "" ? file : path.startsWith("/") ? path.slice(1) : posix.join(dirname(file), path);
        const found = [target, `${target}.html`, posix.join(target, "index.html")].find(
          (name) => name.endsWith(".html") && existsSync(join(dist, name)),
        );
        if (!found && !existsSync(join(dist, decodeURIComponent(target)))) broken.push(`${file}: ${href}`);
        else if (found?.endsWith("playground/index.html"))
          continue; // after "#" stand settings
        else if (found && hash && !anchorsOf(found).has(decodeURIComponent(hash))) broken.push(`${file}: ${href}`);
      }
    expect(broken.slice(0, 20)).to.deep.equal([]);
  });
});
