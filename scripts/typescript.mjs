/**
 * Loads TypeScript in every thread of a program: `node --import=./scripts/typescript.mjs`. tsx registers itself in the main thread, and
 * not on every version of Node do worker threads inherit that.
 */
import { isMainThread } from "node:worker_threads";
import "tsx";
import { register } from "tsx/esm/api";

if (!isMainThread) register();
