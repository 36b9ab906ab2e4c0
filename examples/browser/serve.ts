/**
 * Builds the page and serves it: `node --import=tsx --conditions=source examples/browser/serve.ts`, then open the address it prints.
 * The headers isolate the page from others, which is what browsers ask before threads may share memory.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { loadDeclaration } from "../train/text.ts";
import type { TextFile } from "./protocol.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

interface Answer {
  readonly type: string;
  readonly body: string;
}

/** Everything there is to fetch, by path. */
async function site(): Promise<Map<string, Answer>> {
  const { outputFiles } = await build({
    entryPoints: [here("page.ts"), here("worker.ts")],
    conditions: ["source"],
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    outdir: "/",
    logLevel: "error",
  });
  const scripts = outputFiles.map(({ path, text }): [string, Answer] => [
    `/${path.split("/").at(-1)}`,
    { type: "text/javascript", body: text },
  ]);
  return new Map([
    ["/", { type: "text/html", body: readFileSync(here("index.html"), "utf8") }],
    ["/text.json", { type: "application/json", body: JSON.stringify(textFile()) }],
    ...scripts,
  ]);
}

function textFile(): TextFile {
  const { source, classes } = loadDeclaration("scripts");
  return {
    source,
    classes: classes.map(({ name, code, training }) => ({ name, code, training: Buffer.from(training).toString("base64") })),
  };
}

/** A server for the page on `port`; 0 takes a free one. */
export async function serve(port: number): Promise<Server> {
  const answers = await site();
  const server = createServer((request, response) => {
    const answer = answers.get(request.url ?? "");
    response.writeHead(answer ? 200 : 404, { ...headers, "content-type": `${answer?.type ?? "text/plain"}; charset=utf-8` });
    response.end(answer?.body ?? "there is nothing here");
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await serve(8080);
  console.log("http://127.0.0.1:8080/");
}
