/**
 * Ranks as worker threads of one process: for tests, and for those without MPI. A program is a function that a module exports; every rank
 * imports the module and calls it with its communicator and the data.
 */
import type { Worker } from "node:worker_threads";
import { check, checkOptions, optional, positive, text, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import type { CommunicatorOptions } from "./communicator.ts";
import { communicatorKinds } from "./communicator.ts";
import { RankPool } from "./rankPool.ts";
import type { RankWorker } from "./rankPool.ts";

/** The program that each rank runs: an exported function of a module, and its data. */
export interface ThreadProgram {
  /** Address of the module: import.meta.url, or the href of a file URL. */
  readonly module: string;
  /** Name of the function (communicator, data) -> result, or a promise of it. */
  readonly export: string;
  /** The data that each rank gets, copied as postMessage copies. */
  readonly data?: unknown;
}

/** Options of `threads`: how long ranks wait for each other, and those of their communicator. */
export interface ThreadOptions extends CommunicatorOptions {
  /** Seconds that a rank waits for another in a collective. Default 60. */
  readonly limit?: number;
}

const aThreadCount = whole(1, 256);
const programKinds: Kinds<ThreadProgram> = {
  module: text,
  export: text,
  data: { wanted: "anything", accepts: () => true, optional: true },
};
const threadKinds: Kinds<ThreadOptions> = { ...communicatorKinds, limit: optional(positive) };

/**
 * Runs a program on n threads and returns the results in order of ranks. Where a rank throws, all end, and the error names that rank, its
 * step and its last collective.
 */
export async function threads(n: number, program: ThreadProgram, options: ThreadOptions = {}): Promise<unknown[]> {
  check("threads", "n", n, aThreadCount);
  checkOptions("threads", program, programKinds);
  checkOptions("threads", options, threadKinds); // before threads start, which takes a while
  const world = await ThreadWorld.start(n);
  try {
    return await world.run(program, options);
  } finally {
    await world.close();
  }
}

/** Threads that run programs one after the other: starting threads takes longer than most programs run. */
export class ThreadWorld {
  readonly size: number;
  readonly #workers: readonly Worker[];
  readonly #pool: RankPool<ThreadProgram>;

  private constructor(workers: readonly Worker[]) {
    this.size = workers.length;
    this.#workers = workers;
    this.#pool = new RankPool("threads", workers.map(rankIn));
  }

  /** n threads, loaded and waiting. Throws for fewer than 1 or more than 256. */
  static async start(n: number): Promise<ThreadWorld> {
    check("ThreadWorld.start", "n", n, aThreadCount);
    const workers = await Promise.all(Array.from({ length: n }, () => startWorker()));
    return new ThreadWorld(workers);
  }

  /** Runs a program on all ranks. One at a time. Rejects while it runs another program, and after it has ended. */
  async run(program: ThreadProgram, options: ThreadOptions = {}): Promise<unknown[]> {
    checkOptions("threads", program, programKinds);
    checkOptions("threads", options, threadKinds);
    const { limit = 60, ...communicator } = options;
    for (const worker of this.#workers) worker.ref();
    try {
      return await this.#pool.run(program, limit, communicator);
    } finally {
      for (const worker of this.#workers) worker.unref();
    }
  }

  /** Whether a thread has ended, so that no program can run any more. */
  get ended(): boolean {
    return this.#pool.ended;
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await this.#pool.close();
  }
}

function rankIn(worker: Worker): RankWorker<ThreadProgram> {
  return {
    assign(assignment, report, gone) {
      const exited = (code: number): void => gone(`ended with exit code ${code}`);
      worker.on("message", report);
      worker.on("exit", exited);
      worker.postMessage(assignment);
      return () => void worker.removeListener("message", report).removeListener("exit", exited);
    },
    terminate: () => worker.terminate(),
  };
}

/** A thread that has loaded this chapter and says so. What the program was started with (`--import`) is loaded in the thread too. */
async function startWorker(): Promise<Worker> {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  const address = entryOf("switchyard-moe/distributed");
  const worker = new Worker(bootstrap(address), { eval: true });
  await new Promise<void>((resolve, reject) => {
    const early = (code: number): void => reject(new Error(`threads: a thread ended with exit code ${code} before it was ready`));
    worker.on("error", reject); // later it only keeps the error from ending the process: "exit" reports the end of the thread
    worker.once("exit", early);
    worker.once("message", () => {
      worker.removeListener("exit", early);
      resolve();
    });
  });
  worker.unref();
  return worker;
}

/** The address of an entry of this package, for threads to import; by require, which transpilers to CommonJS know too. */
export function entryOf(name: string): string {
  const path = process
    .getBuiltinModule("node:module")
    .createRequire(import.meta.url)
    .resolve(name);
  return process.getBuiltinModule("node:url").pathToFileURL(path).href;
}

/** Node runs `--import` in the main thread alone, or in all: asking for a module twice does no harm. */
function bootstrap(address: string): string {
  const given = process.execArgv.flatMap((argument, i) => {
    const [name, value] = argument.split("=", 2);
    return name === "--import" ? [value ?? process.execArgv[i + 1]] : [];
  });
  const addresses = given.map((module) =>
    /^(\.|\/)/.test(module) ? `file://${process.getBuiltinModule("node:path").resolve(module)}` : module,
  );
  return `(async () => {
    for (const module of ${JSON.stringify(addresses)}) await import(module);
    (await import(${JSON.stringify(address)})).serveRank();
  })()`;
}
