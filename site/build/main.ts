/** Assembles the pages, builds them with VitePress, adds the source pages and the API, and serves the result where asked. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vitepress";
import { writeApi } from "./api.ts";
import { answersOf } from "./answers.ts";
import { casesMet } from "./laws.ts";
import { writeApp } from "./app.ts";
import { writePages } from "./pages.ts";
import { serveFolder } from "./serve.ts";
import { writeSourcePages } from "./sourcePages.ts";

const site = fileURLToPath(new URL("..", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));
const out = join(site, "dist");

const api = join(site, ".cache/api");
const answers = answersOf(root); // runs beside TypeDoc
writePages(root, site, { api: await writeApi(root, api), answers: await answers, met: casesMet(root) });
await build(site);
cpSync(api, join(out, "api"), { recursive: true });
await writeApp(root, out);
const sources = writeSourcePages(root, out);
console.log(`site: ${sources.length} source files; built in site/dist`);
if (process.argv.includes("--serve")) {
  const { address } = await serveFolder(out);
  console.log(address);
}
