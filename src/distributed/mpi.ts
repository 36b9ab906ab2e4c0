/** Ranks as processes under MPI, as on clusters. Every process of `mpirun` or `srun` calls `mpi()` and is one rank. */
import { check, checkOptions, having } from "../autograd/arguments.ts";
import { Communicator, communicatorKinds } from "./communicator.ts";
import type { CommunicatorOptions } from "./communicator.ts";
import type { Flat, Reduction } from "./flat.ts";
import type { Handle, MpiLibrary } from "./mpiLibrary.ts";
import { openMpi, typeOf } from "./mpiLibrary.ts";
import type { Transport } from "./transport.ts";

let world: (Required<CommunicatorOptions> & { readonly communicator: Promise<Communicator> }) | undefined;

/**
 * Returns the communicator of all processes. A second call returns the same one; an option that it gives must be that of the first. Needs
 * the package koffi and an installed Open MPI or MPICH; without them it throws an Error that says how to get them. A process that was not
 * started by mpirun is a world of one.
 *
 * MPI ends with the process. A process that ends with an error, or while others still call collectives, ends all of them, and
 * says on stderr which rank, step and collective it was. Collectives block the event loop.
 */
export function mpi(options: CommunicatorOptions = {}): Promise<Communicator> {
  checkOptions("mpi", options, communicatorKinds);
  const { ordered = world?.ordered ?? false, checkedCalls = world?.checkedCalls ?? 1000 } = options;
  world ??= { ordered, checkedCalls, communicator: start(options) };
  if (world.ordered !== ordered || world.checkedCalls !== checkedCalls)
    throw new RangeError(
      `mpi: called with ordered ${ordered} and checkedCalls ${checkedCalls}, before with ${world.ordered} and ` +
        `${world.checkedCalls}: want the same; inOrder() makes an ordered communicator of another`,
    );
  return world.communicator;
}

const anEnvironment = having("the variables of an environment");

/**
 * Ranks that share this host, as the launcher says; 1 where no launcher says it. Throws for an environment that is no object of strings.
 */
export function ranksOnHost(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  check("ranksOnHost", "environment", environment, anEnvironment);
  const { OMPI_COMM_WORLD_LOCAL_SIZE: openMpi, MPI_LOCALNRANKS: mpich, SLURM_NTASKS_PER_NODE: slurm } = environment;
  return Math.max(1, Number(openMpi ?? mpich ?? slurm ?? 1) || 1);
}

/**
 * Whether a launcher such as mpirun or srun started this process, alone or as one of several. Throws for an environment that is no object
 * of strings.
 */
export function underMpi(environment: Readonly<Record<string, string | undefined>> = process.env): boolean {
  check("underMpi", "environment", environment, anEnvironment);
  return startedRanks(environment) !== null;
}

/**
 * Which of how many processes this is, as the launcher says before MPI has begun; null: no launcher started it. Throws for an environment
 * that is no object of strings.
 */
export function startedRanks(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly rank: number; readonly size: number } | null {
  check("startedRanks", "environment", environment, anEnvironment);
  const { OMPI_COMM_WORLD_SIZE: openMpi, OMPI_COMM_WORLD_RANK, PMI_SIZE: mpich, PMI_RANK, SLURM_STEP_ID } = environment;
  const slurm = SLURM_STEP_ID === undefined ? undefined : environment["SLURM_NTASKS"];
  const size = Number(openMpi ?? mpich ?? slurm ?? 0);
  return size > 0 ? { size, rank: Number(OMPI_COMM_WORLD_RANK ?? PMI_RANK ?? environment["SLURM_PROCID"] ?? 0) } : null;
}

async function start(options: CommunicatorOptions): Promise<Communicator> {
  const library = await openMpi();
  const begun = new Int32Array(1);
  library.call("MPI_Initialized", begun);
  if (!begun[0]) library.call("MPI_Init", null, null);
  const communicator = new Communicator(new MpiGroup(library, library.handles.world), options);
  process.on("uncaughtExceptionMonitor", (error) => communicator.abort(error));
  process.on("exit", (code) => finish(library, communicator, code));
  return communicator;
}

/** The last thing a process does. */
function finish(library: MpiLibrary, communicator: Communicator, code: number): void {
  if (code !== 0) communicator.abort(new Error(`it ended with exit code ${code}`));
  try {
    communicator.finish();
  } catch (error) {
    communicator.abort(error);
  }
  library.call("MPI_Finalize");
}

class MpiGroup implements Transport {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  readonly #library: MpiLibrary;
  readonly #group: Handle;

  constructor(library: MpiLibrary, group: Handle) {
    this.#library = library;
    this.#group = group;
    const numbers = new Int32Array(2);
    library.call("MPI_Comm_rank", group, numbers);
    library.call("MPI_Comm_size", group, numbers.subarray(1));
    [this.rank, this.size] = numbers;
    this.description = `${library.version}, ${this.size} ${this.size === 1 ? "process" : "processes"}`;
  }

  allToAllV(send: Flat, sendCounts: readonly number[], receive: Flat, receiveCounts: readonly number[]): void {
    const type = typeOf(this.#library, send);
    const sent = spread(sendCounts);
    const received = receiveCounts === sendCounts ? sent : spread(receiveCounts);
    const from = send.length > 0 ? send : nothingSent;
    const to = receive.length > 0 ? receive : nothingReceived;
    this.#library.call("MPI_Alltoallv", from, sent.counts, sent.starts, type, to, received.counts, received.starts, type, this.#group);
  }

  allGather(send: Flat, receive: Flat): void {
    if (receive.length === 0) return; // every rank sends equally many: none
    const type = typeOf(this.#library, send);
    this.#library.call("MPI_Allgather", send, send.length, type, receive, send.length, type, this.#group);
  }

  broadcast(data: Flat, root: number): void {
    this.#library.call("MPI_Bcast", data, data.length, typeOf(this.#library, data), root, this.#group);
  }

  allReduce(data: Flat, how: Reduction): void {
    const { inPlace, operations } = this.#library.handles;
    this.#library.call("MPI_Allreduce", inPlace, data, data.length, typeOf(this.#library, data), operations[how], this.#group);
  }

  barrier(): void {
    this.#library.call("MPI_Barrier", this.#group);
  }

  split(color: number, key: number): Transport {
    const { place, read } = this.#library.newHandle();
    this.#library.call("MPI_Comm_split", this.#group, color, key, place);
    return new MpiGroup(this.#library, read());
  }

  abort(message: string): void {
    process.getBuiltinModule("node:fs").writeSync(2, `${message}\n`);
    this.#library.call("MPI_Abort", this.#library.handles.world, 1);
  }
}

/** Passed instead of empty arrays: koffi passes an empty array as a null pointer, and MPICH refuses two equal pointers as one buffer. */
const [nothingSent, nothingReceived] = [new Float32Array(1), new Float32Array(1)];

interface Spread {
  readonly counts: Int32Array;
  readonly starts: Int32Array;
}

const spreads = new WeakMap<readonly number[], Spread>();

/** Counts as the library reads them, and the start of each part; kept for frozen counts, which cannot change. */
function spread(numbers: readonly number[]): Spread {
  const known = spreads.get(numbers);
  if (known) return known;
  const [counts, starts] = [Int32Array.from(numbers), new Int32Array(numbers.length)];
  for (let r = 1; r < counts.length; r++) starts[r] = starts[r - 1] + counts[r - 1];
  if (Object.isFrozen(numbers)) spreads.set(numbers, { counts, starts });
  return { counts, starts };
}
