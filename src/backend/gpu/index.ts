/**
 * `switchyard-moe/backend/gpu`: the framework on gpu.js, in Node and in browsers. Nothing of gpu.js is loaded before `gpu()` is
 * called.
 */
import { BackendError } from "../backend.ts";
import { WebasmDevice } from "./devices/webasm.ts";
import { GpuBackend } from "./gpuBackend.ts";
import { loadLibrary } from "./library.ts";
import type { Device } from "./device.ts";
import type { GpuLibrary, GpuMode } from "./library.ts";

export { GpuBackend };
export type { GpuMode };

export interface GpuOptions {
  /** Which road through gpu.js to take; an error where it is not there. Default: the first that is. */
  readonly mode?: GpuMode;
}

const openers: Partial<Record<GpuMode, (library: GpuLibrary) => Promise<Device>>> = {
  webasm: async (library) => new WebasmDevice(library),
};

/**
 * A new gpu backend. Without a `mode` the first of webgpu, webgl2 (in browsers) and webasm that is there; `description` says which.
 * Throws a BackendError where gpu.js or the mode is missing.
 */
export async function gpu({ mode }: GpuOptions = {}): Promise<GpuBackend> {
  const library = await loadLibrary();
  const open = openers[mode ?? "webasm"];
  if (!open) throw new BackendError(`gpu: mode "${mode}" is not served here`);
  return new GpuBackend(await open(library));
}

