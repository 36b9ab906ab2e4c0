/** A headless Chromium, and a server for bundles of this repository's sources, with the headers that isolate a page. */
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

/** First the build without windows: it takes a quarter less of the processor for a page. */
const places = [
  process.env["CHROMIUM"],
  "/usr/lib/chromium/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** The browser's program, or undefined where none is installed. */
export const program: string | undefined = places.find((place) => place !== undefined && existsSync(place));

/** Without `gpu` pages are drawn by the processor, which is quicker than a GPU that the processor plays. */
export function launch({ gpu = true } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: program ?? "chromium",
    args: ["--no-sandbox", gpu ? "--enable-unsafe-webgpu" : "--disable-gpu", "--disable-background-networking"],
  });
}

const isolation = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

export interface Site {
  readonly address: string;
  close(): void;
}

/** Serves one page that loads the bundle of `entry`. */
export async function serveBundle(entry: string): Promise<Site> {
  const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false, minify: true, logLevel: "error" });
  const script = outputFiles[0].text;
  const server = createServer((request, response) => {
    const isScript = request.url?.endsWith(".js");
    response.writeHead(200, { ...isolation, "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : '<!doctype html><meta charset="utf-8"><script type="module" src="/bundle.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => void server.close() };
}
