/** `node --import=.../fresh.mjs`, in the root of a tree: see hooks.mjs. Threads that a test starts load TypeScript through it too. */
import { mkdirSync } from "node:fs";
import { register } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";

const kept = resolve("runs/transformed");
mkdirSync(kept, { recursive: true });
register("./hooks.mjs", import.meta.url, { data: { root: pathToFileURL(`${process.cwd()}/`).href, kept, versions: isMainThread } });
