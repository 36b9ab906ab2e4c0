/**
 * Ranks that stay from program to program, whatever they live in: threads of Node (threads.ts), or Web Workers where there is no Node. One
 * who drives them gives each an assignment and waits for the reports of all.
 */
import type { CommunicatorOptions } from "./communicator.ts";
import { abortMessage, abortWorld, newOutboxes, newSharedWorld } from "./sharedWorld.ts";
import type { SharedWorld } from "./sharedWorld.ts";

/** What a rank is to do, as it is sent to it. */
export interface Assignment<P> {
  readonly world: SharedWorld;
  readonly rank: number;
  readonly program: P;
  readonly options: CommunicatorOptions;
}

/** The result or the error of a program. error null: another rank ended this one. */
export interface Report {
  readonly result?: unknown;
  readonly error?: unknown;
}

/** What a rank lives in. */
export interface RankWorker<P> {
  /**
   * Sends an assignment. Calls `report` with what comes back; or `gone`, with words such as "ended with exit code 1", where the worker ends
   * before that. Returns what stops listening.
   */
  assign(assignment: Assignment<P>, report: (report: Report) => void, gone: (how: string) => void): () => void;
  terminate(): unknown;
}

/** Ranks that run programs one after the other: starting workers takes longer than most programs run. */
export class RankPool<P> {
  readonly size: number;
  readonly #name: string;
  readonly #workers: readonly RankWorker<P>[];
  readonly #outboxes: SharedArrayBuffer[];
  #busy = false;
  #ended: string | null = null;

  /** Workers that are loaded and waiting; `name` begins the errors; `most`: bytes that a rank can send at once. */
  constructor(name: string, workers: readonly RankWorker<P>[], most?: number) {
    this.size = workers.length;
    this.#name = name;
    this.#workers = workers;
    this.#outboxes = newOutboxes(workers.length, most);
  }

  /** Runs a program on all ranks; `limit`: seconds that a rank waits for another. Rejects while it runs another one, and after it has ended. */
  async run(program: P, limit: number, options: CommunicatorOptions): Promise<unknown[]> {
    if (this.#ended !== null) throw new Error(`${this.#name}: ${this.#ended}; start a new world`);
    if (this.#busy) throw new Error(`${this.#name}: this world already runs a program; await it first`);
    this.#busy = true;
    const world = newSharedWorld(this.#outboxes, limit);
    try {
      const reports = this.#workers.map((worker, rank) => this.#outcome(worker, { world, rank, program, options }));
      return resultsOf(await Promise.all(reports), world);
    } finally {
      this.#busy = false;
    }
  }

  /** Whether a worker has ended, so that no program can run any more. */
  get ended(): boolean {
    return this.#ended !== null;
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    this.#ended ??= "it was closed";
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** What one rank reports. A worker that ends ends the run; one that does not hear of its end within seconds is terminated. */
  #outcome(worker: RankWorker<P>, assignment: Assignment<P>): Promise<Report> {
    const { world, rank } = assignment;
    return new Promise((resolve) => {
      const settle = (report: Report): void => {
        clearInterval(watch);
        stop();
        resolve(report);
      };
      const gone = (how: string): void => {
        this.#ended = `rank ${rank} ${how}`;
        abortWorld(world, `rank ${rank} of ${this.size} ${how}`);
        settle({ error: null });
      };
      const watch = watched(world, () => void worker.terminate());
      const stop = worker.assign(assignment, settle, gone);
    });
  }
}

/** Seconds between the end of a run and that of workers which did not notice. */
const PATIENCE = 5;

/** Asks once a second whether the run was ended. */
function watched(world: SharedWorld, late: () => void): ReturnType<typeof setInterval> {
  let seconds = 0;
  const watch = setInterval(() => {
    if (abortMessage(world) !== undefined && ++seconds > PATIENCE) late();
  }, 1000);
  return watch;
}

function resultsOf(reports: readonly Report[], world: SharedWorld): unknown[] {
  const message = abortMessage(world);
  const guilty = reports.find((report) => report.error);
  if (message !== undefined) throw new Error(message, { cause: guilty?.error ?? undefined });
  return reports.map(({ result }) => result);
}
