/**
 * Loads TypeScript, each version of the tree anew: what a module with `?v=3` imports from the tree carries `?v=3` too, so that one process can load
 * the library again and again, differently broken. Modules of packages are loaded once.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

let root;
/** Of a source that stays as it is between versions: its code, by its text. */
const transformed = new Map();

export function initialize(options) {
  ({ root } = options);
}

export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  const { search } = new URL(context.parentURL ?? "file:///");
  const own = resolved.url.startsWith(root) && !resolved.url.includes("/node_modules/") && !resolved.url.includes("?");
  return search && own ? { ...resolved, url: resolved.url + search } : resolved;
}

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !/\.ts(\?|$)/.test(url)) return next(url, context);
  const file = fileURLToPath(url);
  const text = await readFile(file, "utf8");
  const code = transformed.get(text) ?? transform(text, { loader: "ts", target: "es2022", sourcefile: file, sourcemap: "inline" });
  transformed.set(text, code);
  return { format: "module", source: (await code).code, shortCircuit: true };
}
