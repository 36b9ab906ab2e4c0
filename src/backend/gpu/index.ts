/**
 * `switchyard-moe/backend/gpu`: the framework on gpu.js, in Node and in browsers. Nothing of gpu.js is loaded before `gpu()` is
 * called.
 */
import { WebasmMode } from "./devices/webasm.ts";
import { WebglMode } from "./devices/webgl.ts";
import { WebgpuMode } from "./devices/webgpu.ts";
import { checkOptions, oneOf, optional } from "../arguments.ts";
import type { Kinds } from "../arguments.ts";
import { GpuBackend } from "./gpuBackend.ts";
import { loadLibrary } from "./library.ts";
import { installWebgpu } from "./node.ts";
import type { Device } from "./device.ts";
import type { GpuLibrary, GpuMode } from "./library.ts";

export { GpuBackend };
export type { GpuMode };

/** Which of gpu.js's modes runs, and how. */
export interface GpuOptions {
  /** The mode of gpu.js. Default: the first of webgpu, webgl2 (in browsers) and webasm that is available. */
  readonly mode?: GpuMode;
}

const openers: Record<GpuMode, (library: GpuLibrary) => Device | Promise<Device>> = {
  webgpu: (library) => WebgpuMode.open(library),
  webgl2: (library) => WebglMode.open(library, "webgl2"),
  headlessgl: (library) => WebglMode.open(library, "headlessgl"),
  webasm: (library) => new WebasmMode(library),
};

const kinds: Kinds<GpuOptions> = { mode: optional(oneOf(...Object.keys(openers))) };

/**
 * A new gpu backend. Without a `mode` the first of webgpu, webgl2 (in browsers) and webasm that is there; `mode` and
 * `description` of the result say what really runs. Throws a BackendError where gpu.js or the mode is missing.
 */
export async function gpu(options: GpuOptions = {}): Promise<GpuBackend> {
  checkOptions("gpu", options, kinds);
  const { mode } = options;
  if (mode === undefined || mode === "webgpu") await installWebgpu();
  const library = await loadLibrary();
  return new GpuBackend(await openers[mode ?? (await bestMode(library))](library));
}

async function bestMode({ GPU }: GpuLibrary): Promise<GpuMode> {
  if (await GPU.isWebGPUAvailable()) return "webgpu";
  return GPU.isWebGL2Supported ? "webgl2" : "webasm";
}
