/** Every page of the site: it loads without a fault, leads only to what is there, fits a phone, and can be used by everyone. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, posix } from "node:path";
import { expect } from "chai";
import type { Surroundings } from "./surroundings.ts";
import { dist, newPage, open, pagesOf } from "./surroundings.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

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
  this.timeout(900_000);
  let around: Surroundings;
  before(async () => {
    around = await open();
  });
  after(() => around.close());

  it("exist in both languages", () => {
    const pages = pagesOf();
    const english = pages.filter((page) => !page.startsWith("ko/"));
    expect(english.length).to.be.greaterThan(40);
    expect(pages.filter((page) => page.startsWith("ko/")).map((page) => page.slice(3))).to.deep.equal(english);
  });

  it("load without errors, ask nobody else, and fit a phone and a desk", async () => {
    const { page, faults } = await newPage(around);
    const wrong: string[] = [];
    for (const path of pagesOf()) {
      await page.goto(around.address + path, { waitUntil: "load" });
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) wrong.push(`${path}: ${over} pixels wider than ${width}`);
      }
      wrong.push(...faults.splice(0).map((fault) => `${path}: ${fault}`));
    }
    expect(wrong).to.deep.equal([]);
    await page.close();
  });

  for (const scheme of ["light", "dark"] as const)
    it(`have nothing that axe finds wrong, in ${scheme} colours`, async () => {
      const { page } = await newPage(around, { scheme });
      const wrong: string[] = [];
      for (const path of looked) {
        await page.goto(around.address + path, { waitUntil: "load" });
        await page.evaluate(axe);
        wrong.push(...(await page.evaluate(violationsFound)).map((found) => `${path}: ${found}`));
      }
      expect(wrong).to.deep.equal([]);
      await page.close();
    });
});

/** Run in the page, in which axe was loaded. The tree of the API is drawn by TypeDoc's own script, with links in its folds. */
async function violationsFound(): Promise<string[]> {
  interface Axe {
    run(context: {
      readonly exclude: readonly string[];
    }): Promise<{ readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[] }>;
  }
  const { violations } = await (window as unknown as { readonly axe: Axe }).axe.run({ exclude: ["#tsd-nav-container"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
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
