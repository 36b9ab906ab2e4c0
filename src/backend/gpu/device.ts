/** What the modes of gpu.js have in common for us: flat float32 memory, and kernels compiled from source. */
import { BackendError } from "../backend.ts";
import type { GpuInstance, GpuKernel, GpuMode } from "./library.ts";

/** Whole numbers are float32s: exact up to here, and so are indices. */
export const maxElements = 2 ** 24;

/** Device memory. Only the device that made it can open it. */
export type Handle = object;

/** A kernel to compile: JavaScript source in gpu.js's dialect, and the threads to run it on, innermost axis first. */
export interface Program {
  readonly source: string;
  readonly threads: readonly number[];
  /** Rows of each matrix of the result, where lanes are rows. */
  readonly rows?: number;
  /** A thread returns four results: of neighbouring columns, side by side in memory, or of four rows, the last of which may be beyond. */
  readonly lanes?: "columns" | "rows";
}

export interface CompiledKernel {
  /** Runs at once, or as soon as the kernel is compiled. */
  run(inputs: readonly Handle[], scalars: readonly number[]): Handle | Promise<Handle>;
  /** The WGSL or GLSL that runs; undefined where there is none, or before the first run. */
  shader(): string | undefined;
  destroy(): void;
}

/** Results of one thread. */
export function lanesOf({ lanes }: Program): 1 | 4 {
  return lanes ? 4 : 1;
}

/** What bounds a launch. */
export interface Limits {
  /** Array arguments of one kernel. */
  readonly arrays: number;
  /** Elements of one array. */
  readonly elements: number;
  /** Elements along each side of a two-axis result. */
  readonly side: number;
  /** Compiled kernels alive at once. */
  readonly kernels: number;
  /** Elements that several results of one launch may have: beyond, a launch for each costs less than computing what they share again. */
  readonly together: number;
}

export interface Device {
  readonly mode: GpuMode;
  /** Mode and adapter, for people. */
  readonly description: string;
  /** Results are there when `run` returns. */
  readonly synchronous: boolean;
  /** Math.* are the host's own, correctly rounded or nearly so; else the shader language's, which promises little. */
  readonly hostMath: boolean;
  /** Which four results a thread of a matrix product best computes. */
  readonly lanes: "columns" | "rows";
  readonly limits: Limits;
  compile(program: Program): CompiledKernel;
  upload(data: Float32Array): Handle | Promise<Handle>;
  /** A copy of the first n elements. */
  read(handle: Handle, n: number): Float32Array | Promise<Float32Array>;
  free(handle: Handle): void;
  /** Waits until freed memory has really been given back. */
  settle(): void | Promise<void>;
  destroy(): Promise<void>;
}

/** A gpu.js kernel for `program`. */
export function createKernel(gpu: GpuInstance, { source, threads }: Program, more: { optimizeFloatMemory?: boolean } = {}): GpuKernel {
  const settings = { output: threads, pipeline: true, immutable: true, precision: "single", tactic: "precision", ...more } as const;
  // Why: the default stops every loop without a constant bound after 1000 turns, silently.
  return gpu.createKernel(source, settings).setLoopMaxIterations(1 << 30);
}

/** gpu.js falls back to slower modes with a warning at most; here that is an error. */
export function assertMode(kernel: GpuKernel, wanted: string): void {
  const { constructor, fallbackReason } = kernel.kernel;
  if (constructor.mode === wanted && !fallbackReason) return;
  throw new BackendError(
    `the kernel ran in mode "${constructor.mode}" instead of "${wanted}": ${fallbackReason ?? "gpu.js gave no reason"}`,
  );
}
