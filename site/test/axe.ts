/** What axe finds wrong in a page that stands in the browser, in light and dark. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { colours } from "./surroundings.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** One line for each rule that is broken. Leaves the page in light. */
export async function axeFinds(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const wrong: string[] = [];
  for (const scheme of ["dark", "light"] as const) {
    await colours(page, scheme);
    wrong.push(...(await page.evaluate(violationsFound, scheme === "dark")).map((found) => `${scheme}: ${found}`));
  }
  return wrong;
}

/** Run in the page, in which axe was loaded. In the other scheme nothing but colours is another. The tree of the API is drawn by TypeDoc's own script, with links in its folds. */
async function violationsFound(coloursOnly: boolean): Promise<string[]> {
  interface Axe {
    run(
      context: { readonly exclude: readonly string[] },
      options: { readonly runOnly?: readonly string[]; readonly resultTypes: readonly string[] },
    ): Promise<{ readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[] }>;
  }
  const { violations } = await (window as unknown as { readonly axe: Axe }).axe.run(
    { exclude: ["#tsd-nav-container"] },
    { resultTypes: ["violations"], ...(coloursOnly && { runOnly: ["color-contrast", "link-in-text-block"] }) },
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
}
