/** `node --import=.../fresh.mjs`, in the root of a tree: see hooks.mjs. Threads that a test starts load TypeScript through it too. */
import { register } from "node:module";
import { pathToFileURL } from "node:url";

process.setSourceMapsEnabled(true);
register("./hooks.mjs", import.meta.url, { data: { root: pathToFileURL(`${process.cwd()}/`).href } });
