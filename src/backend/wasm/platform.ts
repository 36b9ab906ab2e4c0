/** What Node and browsers offer beyond the language: the WebAssembly engine, and threads. The only place that asks where we run. */

export interface LinearMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
}

/** A compiled module; workers receive it as it is. */
export type CompiledModule = object;
export type Exported = Record<string, (...args: number[]) => number | void>;

interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => CompiledModule;
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => LinearMemory;
  readonly Instance: new (module: CompiledModule, imports: { env: { memory: LinearMemory } }) => { readonly exports: unknown };
}

interface Global {
  readonly WebAssembly?: Engine;
  readonly SharedArrayBuffer?: unknown;
  readonly crossOriginIsolated?: boolean;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly process?: {
    readonly versions?: { readonly node?: string };
    /** Where Node's permission model is on. */
    readonly permission?: { has(scope: string): boolean };
  };
  readonly Worker?: new (url: string) => BrowserWorker;
  readonly Blob?: new (parts: readonly string[], options: { type: string }) => object;
  readonly URL?: { createObjectURL(blob: object): string };
}

interface BrowserWorker {
  postMessage(message: unknown): void;
  terminate(): void;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
}

const host = globalThis as unknown as Global;

export const engine: Engine | undefined = host.WebAssembly;

/** Why threads cannot be had here; undefined where they can. */
export function noThreads(): string | undefined {
  if (host.SharedArrayBuffer === undefined) return "no SharedArrayBuffer (on a page it needs cross-origin isolation)";
  if (host.process?.permission?.has("worker") === false)
    return "Node's permission model forbids worker threads (--allow-worker allows them)";
  if (host.crossOriginIsolated === false) return "the page is not cross-origin isolated";
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return undefined;
  } catch {
    return "this thread may not block (use a worker)";
  }
}

// Node's own modules come from getBuiltinModule: an import of them would stop bundlers for browsers.

/** How many processors this program may use. */
export function processorCount(): number {
  if (host.process?.versions?.node) return process.getBuiltinModule("node:os").availableParallelism();
  return host.navigator?.hardwareConcurrency ?? 1;
}

/** A running thread. */
export interface Thread {
  stop(): void;
}

/**
 * Starts a thread that runs `source`, and sends it `data` when that has resolved. Calls `onDeath` with the reason where the thread ends without
 * being stopped. Resolves when the worker has sent its first message, which says that it is ready; rejects where that takes longer than
 * `patience` milliseconds, or where `data` rejects.
 */
export async function startThread(
  source: string,
  data: Promise<object>,
  onDeath: (reason: string) => void,
  patience: number,
): Promise<Thread> {
  return host.process?.versions?.node ? nodeThread(source, data, onDeath, patience) : browserThread(source, data, onDeath, patience);
}

/** Waits for `ready`; where that takes too long, calls `stop` and throws. */
async function inTime(ready: Promise<void>, patience: number, stop: () => void): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not answer for ${patience / 1000} s`)), patience);
  });
  try {
    await Promise.race([ready, late]);
  } catch (error) {
    stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function nodeThread(source: string, data: Promise<object>, onDeath: (reason: string) => void, patience: number): Promise<Thread> {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  // No flags of the parent: a loader given to it is not for this script.
  const worker = new Worker(source, { eval: true, execArgv: [] });
  const stop = (): void => void worker.removeAllListeners().terminate();
  const ready = new Promise<void>((resolve, reject) => {
    data.then((given) => worker.postMessage(given)).catch(reject);
    worker.once("message", () => resolve());
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`it ended with exit code ${code}`)));
  });
  await inTime(ready, patience, stop);
  let reason = "";
  worker.on("error", (error) => (reason = `: ${error.message}`));
  worker.on("exit", (code) => onDeath(`exit code ${code}${reason}`));
  worker.unref();
  return { stop };
}

async function browserThread(source: string, data: Promise<object>, onDeath: (reason: string) => void, patience: number): Promise<Thread> {
  const { Worker, Blob, URL } = host;
  if (!Worker || !Blob || !URL) throw new Error("there are no workers here");
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const stop = (): void => worker.terminate();
  const ready = new Promise<void>((resolve, reject) => {
    data.then((given) => worker.postMessage(given)).catch(reject);
    worker.onmessage = () => resolve();
    worker.onerror = ({ message = "unknown" }) => {
      onDeath(message);
      reject(new Error(message));
    };
  });
  await inTime(ready, patience, stop);
  return { stop };
}
