/** The side of a thread: a rank that waits for programs and runs them. */
import { Communicator } from "./communicator.ts";
import type { Assignment, Report } from "./rankPool.ts";
import { AbortedError, SharedGroup } from "./sharedWorld.ts";
import type { ThreadProgram } from "./threads.ts";

/** Serves the thread that started this one, until it is terminated. Throws in the main thread. */
export function serveRank(): void {
  const { parentPort } = process.getBuiltinModule("node:worker_threads");
  if (!parentPort) throw new Error("serveRank: this is no worker thread; use threads(n, program)");
  parentPort.on(
    "message",
    (assignment: Assignment<ThreadProgram>) => void perform(assignment).then((report) => parentPort.postMessage(report)),
  );
  parentPort.postMessage("ready");
}

const perform = (assignment: Assignment<ThreadProgram>): Promise<Report> =>
  carryOut(assignment, async (communicator) => (await programOf(assignment.program))(communicator, assignment.program.data));

/** Runs a program as one of the ranks that share a world, and reports what came of it. Where it fails, all ranks end. */
export async function carryOut(
  { world, rank, options }: Assignment<unknown>,
  run: (communicator: Communicator) => unknown,
): Promise<Report> {
  const allRanks = Array.from(world.outboxes, (_, r) => r);
  const communicator = new Communicator(new SharedGroup(world, 0, allRanks, rank), options);
  try {
    const result: unknown = await run(communicator);
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
