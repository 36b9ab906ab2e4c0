/**
 * The part of gpu.js 2.24.1 that this backend uses, as types of our own: the package is an optional peer, and its own
 * declarations leave out what we need (`setLoopMaxIterations`, handles, what a kernel really ran on).
 */
import { BackendError } from "../backend.ts";

/** How gpu.js runs kernels. */
export type GpuMode = "webgpu" | "webgl2" | "webasm" | "headlessgl";

/** What a kernel answers with: a typed array, a handle to device memory, or the promise of one. */
export type Result = object;

export interface GpuKernel {
  (...args: readonly unknown[]): Result;
  readonly kernel: RunningKernel;
  setLoopMaxIterations(n: number): GpuKernel;
  destroy(): void;
}

/** The kernel class behind a kernel function; known after the first call. */
export interface RunningKernel {
  readonly constructor: { readonly mode: string; readonly name: string };
  readonly fallbackReason?: string;
  /** Shapes a flat result into rows; we want it flat. */
  _shapeOutput?: (data: Float32Array) => Float32Array;
  readonly compiledSource?: string;
  readonly compiledFragmentShader?: string;
}

export interface KernelSettings {
  readonly output: readonly number[];
  readonly pipeline: true;
  readonly immutable: true;
  readonly precision: "single";
  readonly tactic: "precision";
  readonly optimizeFloatMemory?: boolean;
}

export interface GpuInstance {
  createKernel(source: string, settings: KernelSettings): GpuKernel;
  destroy(): Promise<void>;
}

export interface GpuLibrary {
  readonly GPU: {
    new (settings: { mode: GpuMode }): GpuInstance;
    isWebGPUAvailable(): Promise<boolean>;
    readonly isGPUSupported: boolean;
    readonly isWebGL2Supported: boolean;
    readonly isHeadlessGLSupported: boolean;
    readonly isSinglePrecisionSupported: boolean;
  };
  readonly Input: new (data: Float32Array, size: readonly number[]) => object;
  readonly WebGPUBufferResult: new (settings: object) => Result;
}

/** gpu.js, loaded when it is asked for. */
export async function loadLibrary(): Promise<GpuLibrary> {
  try {
    const library: { default?: unknown; GPU?: unknown } = await import("gpu.js");
    return (library.GPU ? library : library.default) as GpuLibrary;
  } catch (cause) {
    throw new BackendError('gpu: the package "gpu.js" could not be loaded; the gpu backend needs gpu.js 2.24.1 beside switchyard-moe', {
      cause,
    });
  }
}
