/**
 * Loads TypeScript in every thread of a program: `node --import=./scripts/typescript.mjs`. Node strips types itself from 22.18 on, in a
 * third less time than tsx takes. Before, tsx does it; it registers itself in the main thread, and not on every version of Node do worker threads inherit that.
 */
import { isMainThread } from "node:worker_threads";

if (!process.features.typescript) {
  await import("tsx");
  if (!isMainThread) (await import("tsx/esm/api")).register();
}
