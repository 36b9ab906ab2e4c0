/** `switchyard-moe/backend/wasm`: the fast CPU backend. */
import { checkOptions, flag, optional, whole } from "../arguments.ts";
import type { Kinds } from "../arguments.ts";
import { BackendError } from "../backend.ts";
import { GuardedHeap } from "./guardedHeap.ts";
import { Heap, MAXIMUM_PAGES, PAGE } from "./memory.ts";
import { hasRelaxedSimd, hasSimd, kernelModule } from "./module.ts";
import type { ModuleOptions } from "./module.ts";
import { engine, noThreads, processorCount } from "./platform.ts";
import type { CompiledModule, Exported } from "./platform.ts";
import { CONTROL_BYTES, MAXIMUM_THREADS, Threads, ThreadsError } from "./threads.ts";
import { WasmBackend } from "./wasmBackend.ts";

export { WasmBackend };

/** How many threads compute, and how much memory they may share. */
export interface WasmOptions {
  /** Threads, the caller's among them; by default one for each processor, and one where the caller may not block. */
  readonly threads?: number;
  /** Processors that are left to others, such as the page around a worker, where `threads` is not given. Default 0. */
  readonly spare?: number;
  /** Leaves out relaxed SIMD, whose rounding may differ between processors: results are then the same on every machine. */
  readonly deterministic?: boolean;
  /** Bytes that the memory may grow to: 4 GiB unless said otherwise, which is also the most that one memory can hold. */
  readonly maximumBytes?: number;
  /**
   * For tests of kernels: red zones around each block, poison in what is not written yet and in what was freed, and a check after each launch
   * that throws a BackendError naming the kernel that wrote outside its arrays. Slow.
   */
  readonly guarded?: boolean;
}

/** 16 MiB: enough for small programs, and quickly grown. */
const INITIAL_PAGES = 256;

const kinds: Kinds<WasmOptions> = {
  threads: optional(whole(1, MAXIMUM_THREADS)),
  spare: optional(whole()),
  deterministic: optional(flag),
  maximumBytes: optional(whole(INITIAL_PAGES * PAGE, MAXIMUM_PAGES * PAGE)),
  guarded: optional(flag),
};

/**
 * A new WebAssembly backend, with a memory and threads of its own. Without `threads` it takes one thread where more cannot be had, and
 * `description` says why. Throws a BackendError where there is no WebAssembly SIMD, where the memory cannot be had, where more than one thread
 * is asked for and cannot be had, or where both `threads` and `spare` are given; the message says why.
 */
export async function wasm(options: WasmOptions = {}): Promise<WasmBackend> {
  checkOptions("wasm", options, kinds);
  if (!engine || !hasSimd()) throw new BackendError(`wasm: this engine has no WebAssembly${engine ? " SIMD" : ""}; use the cpu backend`);
  const { threads: wanted, spare = 0 } = options;
  if (wanted !== undefined && spare > 0) throw new BackendError(`wasm: threads: ${wanted} and spare: ${spare}: give one of them`);
  const obstacle = noThreads();
  if (wanted !== undefined && wanted > 1 && obstacle) throw new BackendError(`wasm: threads: ${wanted} were asked for, but ${obstacle}`);
  const threads = wanted ?? (obstacle ? 1 : Math.min(Math.max(1, processorCount() - spare), MAXIMUM_THREADS));
  try {
    return await open(engine, options, threads, wanted === undefined ? obstacle : undefined);
  } catch (error) {
    if (wanted !== undefined || threads === 1 || !(error instanceof ThreadsError)) throw error;
    return open(engine, options, 1, error.reason);
  }
}

/** `obstacle`: why there is one thread only, for the description. */
async function open(
  wasmEngine: NonNullable<typeof engine>,
  options: WasmOptions,
  threads: number,
  obstacle: string | undefined,
): Promise<WasmBackend> {
  const modern = hasRelaxedSimd();
  const relaxed = modern && !options.deterministic;
  const maximum = Math.floor((options.maximumBytes ?? MAXIMUM_PAGES * PAGE) / PAGE);
  const limits = { initial: INITIAL_PAGES, maximum, shared: threads > 1 };
  const memory = newMemory(wasmEngine, limits);
  // Not now, but when the workers have been asked to start.
  const module = Promise.resolve().then(() => compiled(wasmEngine, { memory: limits, modern, relaxed }));
  const kernels = module.then((made) => new wasmEngine.Instance(made, { env: { memory } }).exports as Exported);
  const pool = await Threads.start(module, kernels, memory, threads);
  const heap = new (options.guarded ? GuardedHeap : Heap)(memory, CONTROL_BYTES, maximum);
  return new WasmBackend(heap, pool, describe(threads, relaxed, obstacle));
}

const modules = new Map<string, CompiledModule>();

/** One module for all backends with the same options. */
function compiled({ Module }: NonNullable<typeof engine>, options: ModuleOptions): CompiledModule {
  const key = JSON.stringify(options);
  const module = modules.get(key) ?? new Module(kernelModule(options));
  modules.set(key, module);
  return module;
}

function newMemory({ Memory }: NonNullable<typeof engine>, limits: { initial: number; maximum: number; shared: boolean }) {
  try {
    return new Memory(limits);
  } catch (error) {
    throw new BackendError(`wasm: the engine gives no memory of up to ${limits.maximum} pages: ${String(error)}`);
  }
}

function describe(threads: number, relaxed: boolean, obstacle: string | undefined): string {
  const instructions = relaxed ? "WebAssembly SIMD with fused multiply-add" : "WebAssembly SIMD";
  const count = threads === 1 ? "1 thread" : `${threads} threads`;
  return `${instructions}, ${count}${obstacle ? `: ${obstacle}` : ""}`;
}
