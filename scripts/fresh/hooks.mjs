/**
 * Loads TypeScript, each version of the tree anew: what a module with `?v=3` imports from the tree carries `?v=3` too, so that one process can load
 * the library again and again, differently broken. Modules of packages are loaded once.
 */
import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { threadId } from "node:worker_threads";

let root;
/** Where the code of each text is kept: threads of a test would else transform the whole library again, each with an esbuild process of its own. */
let kept;
/** False in a thread, which ends with its version: there a module has one address, whoever asks for it. */
let versions;

export function initialize(options) {
  ({ root, kept, versions } = options);
}

/** The JavaScript of a TypeScript source, without a source map: nobody reads where a broken library failed. */
async function codeOf(text) {
  const path = join(kept, createHash("sha1").update(text).digest("hex"));
  const known = await readFile(path, "utf8").catch(() => undefined);
  if (known !== undefined) return known;
  const { transform } = await import("esbuild");
  const { code } = await transform(text, { loader: "ts", target: "es2022" });
  const unfinished = `${path}.${process.pid}.${threadId}`;
  await writeFile(unfinished, code);
  await rename(unfinished, path);
  return code;
}

export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  if (!versions) return { ...resolved, url: resolved.url.replace(/\?v=\d+$/, "") };
  const { search } = new URL(context.parentURL ?? "file:///");
  const own = resolved.url.startsWith(root) && !resolved.url.includes("/node_modules/") && !resolved.url.includes("?");
  return search && own ? { ...resolved, url: resolved.url + search } : resolved;
}

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !/\.ts(\?|$)/.test(url)) return next(url, context);
  return { format: "module", source: await codeOf(await readFile(fileURLToPath(url), "utf8")), shortCircuit: true };
}
