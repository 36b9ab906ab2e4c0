/** The side of a thread: a rank that waits for programs and runs them. */
import type { CommunicatorOptions } from "./communicator.ts";
import { Communicator } from "./communicator.ts";
import { AbortedError, SharedGroup } from "./sharedWorld.ts";
import type { SharedWorld } from "./sharedWorld.ts";
import type { ThreadProgram } from "./threads.ts";

export interface Assignment {
  readonly world: SharedWorld;
  readonly rank: number;
  readonly program: ThreadProgram;
  readonly options: CommunicatorOptions;
}

/** The result or the error of a program. error null: another rank ended this one. */
export interface Report {
  readonly result?: unknown;
  readonly error?: unknown;
}

/** Serves the thread that started this one, until it is terminated. Throws in the main thread. */
export function serveRank(): void {
  const { parentPort } = process.getBuiltinModule("node:worker_threads");
  if (!parentPort) throw new Error("serveRank: this is no worker thread; use threads(n, program)");
  parentPort.on("message", (assignment: Assignment) => void perform(assignment).then((report) => parentPort.postMessage(report)));
  parentPort.postMessage("ready");
}

async function perform({ world, rank, program, options }: Assignment): Promise<Report> {
  const allRanks = Array.from(world.outboxes, (_, r) => r);
  const communicator = new Communicator(new SharedGroup(world, 0, allRanks, rank), options);
  try {
    const run = await programOf(program);
    const result: unknown = await run(communicator, program.data);
    communicator.finish();
    return { result: structuredClone(result) };
  } catch (error) {
    if (error instanceof AbortedError) return { error: null };
    communicator.abort(error);
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}

type Program = (communicator: Communicator, data: unknown) => unknown;

async function programOf({ module, export: name }: ThreadProgram): Promise<Program> {
  const exports = (await import(module)) as Record<string, unknown>;
  const run = exports[name];
  if (typeof run !== "function") throw new TypeError(`threads: ${module} exports no function ${name}`);
  return run as Program;
}
