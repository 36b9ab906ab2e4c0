/** The built site, served on the loopback, and one browser for all tests that need a GPU and one for the others. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { korean } from "../build/words.ts";
import { serveFolder } from "../build/serve.ts";
import { launch } from "../../test/browser/chromium.ts";

export const dist = fileURLToPath(new URL("../dist", import.meta.url));
/** CI runs other tests beside these, and a slow machine must not fail a right page. */
export const PATIENCE = 240_000;

/** Every page of the site, as paths; sources and the API apart are left to the test of links. */
export function pagesOf(): string[] {
  return readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".html") && !/^(source|api)\//.test(name) && name !== "404.html")
    .sort();
}

/** Whether a Korean page shows the English text, of which the English page was looked at. */
export function fallsBack(path: string): boolean {
  return path.startsWith("ko/") && readFileSync(join(dist, path), "utf8").includes(korean.englishOnly);
}

export interface Surroundings {
  readonly address: string;
  readonly browser: Browser;
  close(): void;
}

const browsers = new Map<boolean, Promise<Browser>>();
const servers = new Set<Server>();
// All of them, whatever a test that failed has left open: a server that listens keeps the process.
after(async () => {
  for (const browser of browsers.values()) await (await browser).close();
  for (const server of servers) server.close().closeAllConnections();
});

export async function open({ isolated = true, gpu = true } = {}): Promise<Surroundings> {
  if (!existsSync(join(dist, "index.html"))) throw new Error("the site is not built: run npm run site");
  const { address, server } = await serveFolder(dist, { isolated });
  servers.add(server);
  const browser = browsers.get(gpu) ?? launch({ gpu });
  browsers.set(gpu, browser);
  return { address, browser: await browser, close: () => void server.close() };
}

/** A page that collects what went wrong in it: errors, failed answers, and requests to anybody else. */
export async function newPage(
  { browser, address }: Surroundings,
  options: { readonly reducedMotion?: "reduce"; readonly serviceWorkers?: "allow" | "block" } = {},
): Promise<{ readonly page: Page; readonly faults: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light", ...options });
  page.setDefaultTimeout(PATIENCE);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(address) && !/^(data|blob):/.test(request.url())) faults.push(`asked ${request.url()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) faults.push(`${response.status()} ${response.url()}`);
  });
  return { page, faults };
}

/** The colours that a reader chooses by the system or by the page's own button. */
export async function colours(page: Page, scheme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme: scheme });
  await page.evaluate((dark) => document.documentElement.classList.toggle("dark", dark), scheme === "dark");
  // Colours that are still on their way are neither of the two.
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {}))).then(() => {}));
}
