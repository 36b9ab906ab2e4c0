/** The built site, served on the loopback, and a browser that refuses to ask anybody else. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { serveFolder } from "../build/serve.ts";
import { launch } from "../../test/browser/chromium.ts";

export const dist = fileURLToPath(new URL("../dist", import.meta.url));

/** Every page of the site, as paths; sources and the API apart are left to the test of links. */
export function pagesOf(): string[] {
  return readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".html") && !/^(source|api)\//.test(name) && name !== "404.html")
    .sort();
}

export interface Surroundings {
  readonly address: string;
  readonly browser: Browser;
  close(): Promise<void>;
}

export async function open({ isolated = true } = {}): Promise<Surroundings> {
  if (!existsSync(join(dist, "index.html"))) throw new Error("the site is not built: run npm run site");
  const { address, server } = await serveFolder(dist, { isolated });
  const browser = await launch();
  return {
    address,
    browser,
    async close() {
      await browser.close();
      server.close();
    },
  };
}

/** A page that collects what went wrong in it: errors, failed answers, and requests to anybody else. */
export async function newPage(
  { browser, address }: Surroundings,
  options: {
    readonly width?: number;
    readonly scheme?: "light" | "dark";
    readonly reducedMotion?: "reduce";
    readonly serviceWorkers?: "allow" | "block";
  } = {},
): Promise<{ readonly page: Page; readonly faults: string[] }> {
  const { width = 1280, scheme = "light", ...more } = options;
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme, ...more });
  page.setDefaultTimeout(240_000); // CI runs other tests beside these
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
