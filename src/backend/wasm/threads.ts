/**
 * Threads over one memory.
 *
 * A job is a kernel, its arguments and a number of items, cut into chunks. Each thread, the calling one too, claims the next chunk when it is
 * free, until none is left. What an item computes depends on its number alone, so results depend neither on the thread that computed it nor
 * on the number of threads.
 *
 * Threads communicate through a few words at the start of the memory. The *ticket* holds the job's number and the next chunk; one
 * compare-and-exchange claims a chunk and at the same time proves that the job's description, read just before, still stands: a new
 * job is only written when every chunk of the last is done. A worker without work spins briefly (the next kernel of a step is
 * microseconds away), then sleeps in Atomics.wait, which costs nothing.
 */
import { BackendError } from "../backend.ts";
import { startThread } from "./platform.ts";
import type { CompiledModule, Exported, LinearMemory, Thread } from "./platform.ts";

/** Words of the control block. */
export const TICKET = 16;
const DONE = 32,
  CHUNKS = 48,
  KERNEL = 49,
  ITEMS = 50,
  ARGUMENTS = 51,
  FAILED = 52,
  BUSY = 64;
/** Arguments as float64, which holds every i32 and f32, after the words. */
const ARGUMENT_BYTES = 1024;
/** The heap begins behind the control block. */
export const CONTROL_BYTES = 2048;

export const MAXIMUM_THREADS = 64;
const CHUNK_BITS = 12;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
/** Chunks for each thread: enough that a late one does not hold up the rest. More of them where a chunk is long, so that threads end together. */
const CHUNKS_PER_THREAD = 3;
const CHUNKS_OF_LONG_JOBS = 12;
/** Nanoseconds, roughly, from which a job is long. */
const LONG = 500_000;
/** Nanoseconds of work below which waking other threads costs more than they save. */
const PARALLEL_FROM = 20_000;
/** Turns of waiting before sleep, some 100 microseconds: the next kernel of a step is there by then, and waking takes as long. */
const SPINS = 50_000;
/** Milliseconds after which a worker that does not answer counts as failed. A chunk takes a few. */
const PATIENCE = 60_000;

/** Plain JavaScript, because a worker gets it as text. It claims and runs chunks as `run` below does. */
const workerSource = `
const begin = ({ module, memory, thread }, ready) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.thread.value = thread;
  const kernels = Object.values(exports);
  const words = new Int32Array(memory.buffer, 0, ${CONTROL_BYTES / 4});
  const given = new Float64Array(memory.buffer, ${ARGUMENT_BYTES}, ${(CONTROL_BYTES - ARGUMENT_BYTES) / 8});
  ready();
  for (;;) {
    const ticket = Atomics.load(words, ${TICKET});
    const chunk = ticket & ${CHUNK_MASK};
    const chunks = Atomics.load(words, ${CHUNKS});
    if (chunk >= chunks) {
      let spins = ${SPINS};
      while (spins-- && Atomics.load(words, ${TICKET}) === ticket);
      if (spins < 0) Atomics.wait(words, ${TICKET}, ticket);
      continue;
    }
    const kernel = kernels[words[${KERNEL}]], items = words[${ITEMS}];
    const args = Array.from(given.subarray(0, words[${ARGUMENTS}]));
    words[${BUSY} + thread] = 1;
    if (Atomics.compareExchange(words, ${TICKET}, ticket, ticket + 1) === ticket) {
      try {
        kernel(...args, Math.floor(items * chunk / chunks), Math.floor(items * (chunk + 1) / chunks));
      } catch (error) {
        Atomics.store(words, ${FAILED}, thread);
      }
      if (Atomics.add(words, ${DONE}, 1) + 1 === chunks) Atomics.notify(words, ${DONE});
    }
    words[${BUSY} + thread] = 0;
  }
};
if (typeof require === "function") {
  const { parentPort } = require("node:worker_threads");
  parentPort.once("message", (data) => begin(data, () => parentPort.postMessage("ready")));
} else onmessage = ({ data }) => begin(data, () => postMessage("ready"));
`;

/** Says that threads did not start, and why. */
export class ThreadsError extends BackendError {
  readonly reason: string;

  constructor(reason: string) {
    super(`wasm: ${reason}`);
    this.reason = reason;
  }
}

/** The calling thread and its workers: each has an instance of the module, all share the memory. */
export class Threads {
  readonly count: number;
  readonly #kernels: Exported;
  readonly #numberOf: ReadonlyMap<string, number>;
  readonly #words: Int32Array;
  readonly #arguments: Float64Array;
  readonly #threads: Thread[] = [];
  readonly #patience: number;
  #job = 0;
  #death: string | undefined;

  private constructor(kernels: Exported, memory: LinearMemory, count: number, patience: number) {
    this.count = count;
    this.#patience = patience;
    this.#kernels = kernels;
    this.#numberOf = new Map(Object.keys(kernels).map((name, i) => [name, i]));
    this.#words = new Int32Array(memory.buffer, 0, CONTROL_BYTES / 4);
    this.#arguments = new Float64Array(memory.buffer, ARGUMENT_BYTES, (CONTROL_BYTES - ARGUMENT_BYTES) / 8);
  }

  /**
   * `count` threads, the caller's among them, each with its own instance of `module`, that of the caller with the exports `kernels`. Workers take as
   * long to start as the module to be made, so they start at once. `patience`: milliseconds for a job.
   */
  static async start(
    module: Promise<CompiledModule>,
    kernels: Promise<Exported>,
    memory: LinearMemory,
    count: number,
    patience = PATIENCE,
  ): Promise<Threads> {
    const others = Array.from({ length: count - 1 }, (_, i) => {
      const data = module.then((compiled) => ({ module: compiled, memory, thread: i + 1 }));
      const died = (reason: string): void => void (threads.#death ??= `worker ${i + 1} died (${reason})`);
      return startThread(workerSource, data, died, PATIENCE);
    });
    const started = Promise.allSettled(others);
    const threads = new Threads(await kernels, memory, count, patience);
    for (const [i, start] of (await started).entries()) {
      if (start.status === "fulfilled") threads.#threads.push(start.value);
      else threads.#death ??= `worker ${i + 1} of ${count - 1} did not start: ${String(start.reason)}`;
    }
    const reason = threads.#death;
    if (reason === undefined) return threads;
    threads.stop();
    throw new ThreadsError(reason);
  }

  /** Runs items 0..items-1 of a kernel and returns when all are done: on all threads where its `work`, in nanoseconds, is more than waking them takes. */
  run(name: string, items: number, given: readonly number[], work: number): void {
    if (this.#death) throw new BackendError(`wasm: ${this.#death}; make a new backend`);
    const chunks = Math.min(items, this.count * (work < LONG ? CHUNKS_PER_THREAD : CHUNKS_OF_LONG_JOBS));
    if (work < PARALLEL_FROM || this.count === 1 || chunks < 2) return void this.#kernels[name](...given, 0, items);
    this.#publish(name, items, chunks, given);
    try {
      this.#work(name, items, chunks, given);
      this.#finish(name, chunks);
    } catch (error) {
      // A job that is not finished can have no successor.
      this.#death ??= error instanceof BackendError ? error.message : `kernel ${name} failed (${String(error)})`;
      this.stop();
      throw new BackendError(`wasm: ${this.#death}`, { cause: error });
    }
  }

  /** Calls an exported function on this thread and returns its result. */
  ask(name: string, ...given: number[]): number {
    if (this.#death) throw new BackendError(`wasm: ${this.#death}; make a new backend`);
    return Number(this.#kernels[name](...given));
  }

  #publish(name: string, items: number, chunks: number, given: readonly number[]): void {
    const words = this.#words;
    this.#job = (this.#job + 1) & (0x7fffffff >> CHUNK_BITS);
    // Close the last job's ticket first: a worker that reads the old ticket together with the new job's chunks must not claim any.
    Atomics.store(words, TICKET, (this.#job << CHUNK_BITS) | CHUNK_MASK);
    Atomics.store(words, CHUNKS, chunks);
    words[KERNEL] = this.#numberOf.get(name) ?? -1;
    words[ITEMS] = items;
    words[ARGUMENTS] = given.length;
    words[DONE] = 0;
    this.#arguments.set(given);
    Atomics.store(words, TICKET, this.#job << CHUNK_BITS);
    Atomics.notify(words, TICKET);
  }

  #work(name: string, items: number, chunks: number, given: readonly number[]): void {
    const words = this.#words;
    const kernel = this.#kernels[name];
    for (let chunk = claim(words); chunk < chunks; chunk = claim(words)) {
      kernel(...given, Math.floor((items * chunk) / chunks), Math.floor((items * (chunk + 1)) / chunks));
      Atomics.add(words, DONE, 1);
    }
  }

  /** Waits for what others claimed. */
  #finish(name: string, chunks: number): void {
    const words = this.#words;
    for (let spins = SPINS; spins > 0; spins--) if (Atomics.load(words, DONE) === chunks) return this.#check(name);
    const start = Date.now();
    for (let done = Atomics.load(words, DONE); done < chunks; done = Atomics.load(words, DONE)) {
      Atomics.wait(words, DONE, done, Math.min(100, this.#patience));
      if (Date.now() - start > this.#patience) this.#giveUp(name);
    }
    this.#check(name);
  }

  #check(name: string): void {
    const worker = Atomics.load(this.#words, FAILED);
    if (worker > 0) throw new BackendError(`worker ${worker} failed in kernel ${name}`);
  }

  #giveUp(name: string): never {
    const busy = Array.from({ length: this.count - 1 }, (_, i) => i + 1).filter((thread) => this.#words[BUSY + thread] !== 0);
    throw new BackendError(`worker ${busy.join(", ")} has not come back from kernel ${name} for ${this.#patience / 1000} s`);
  }

  /** Ends the workers. */
  stop(): void {
    for (const thread of this.#threads.splice(0)) thread.stop();
    this.#death ??= "the backend was closed";
  }
}

/** Claims the next chunk of the job and returns its number; where none is left, the ticket stays and CHUNK_MASK is returned. */
function claim(words: Int32Array): number {
  for (;;) {
    const ticket = Atomics.load(words, TICKET);
    if ((ticket & CHUNK_MASK) >= words[CHUNKS]) return CHUNK_MASK;
    if (Atomics.compareExchange(words, TICKET, ticket, ticket + 1) === ticket) return ticket & CHUNK_MASK;
  }
}
