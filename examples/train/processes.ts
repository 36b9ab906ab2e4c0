/**
 * A run that processes share: what each of them holds and takes, what they agree on, and what crossed the wire. Every process runs the
 * same program and calls the same of these in the same order; the first leads: it alone prints and writes what is not sharded.
 */
import {
  Replicas,
  ShardedExperts,
  SharedState,
  afterGlobalStep,
  alone,
  gatherUneven,
  layoutOf,
  mpi,
  ranksOnHost,
  underMpi,
  wholeState,
} from "switchyard-moe/distributed";
import type { Communicator, Layout } from "switchyard-moe/distributed";
import { FeedForwardExperts } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import type { Tensor } from "switchyard-moe";
import type { MakeExperts } from "./layers.ts";
import type { Sharing } from "./processOptions.ts";
import { shardsOf } from "./strategy.ts";
import type { StepParts, Strategy } from "./strategy.ts";
import type { Peers } from "./task.ts";
import { UserError } from "./userError.ts";
import { WireAccount } from "./wireAccount.ts";

/** Shards of a step go to the processes in order, equally many to each. */
export class Processes implements Peers {
  readonly sharing: Sharing;
  readonly world: Communicator;
  readonly layout: Layout;
  readonly wire: WireAccount;
  #model: { readonly replicas: Replicas; readonly shared: SharedState | null } | null = null;

  /** Those of a communicator that was made already. All of its ranks call it. */
  constructor(world: Communicator, sharing: Sharing) {
    this.sharing = sharing;
    this.world = world;
    this.layout = layoutOf(world, { expertsOver: sharing.expertsOver });
    this.wire = new WireAccount(world);
  }

  /** The processes that mpirun or srun started, this one among them; otherwise this one only. */
  static async start(sharing: Sharing): Promise<Processes> {
    const { ordered, processes } = sharing;
    const world = underMpi() ? await mpi({ ordered }) : alone({ ordered });
    if (world.size !== processes)
      throw new UserError(`--processes ${processes}: mpirun or srun started ${world.size}; leave --processes out, or start ${processes}`);
    return new Processes(world, sharing);
  }

  get rank(): number {
    return this.world.rank;
  }

  get size(): number {
    return this.world.size;
  }

  get leads(): boolean {
    return this.rank === 0;
  }

  /** "2 processes (Open MPI v4.1.4), experts over 2, data over 2". */
  get description(): string {
    const { expertsOver, ordered, sharedState } = this.sharing;
    const experts = expertsOver > 1 ? `the experts of a layer over ${expertsOver}` : "all experts in each";
    const further = [...(ordered ? ["sums in order"] : []), ...(sharedState ? ["optimiser state shared out"] : [])];
    return [this.world.description, experts, ...further].join(", ");
  }

  /** Experts of this process. */
  readonly makeExperts: MakeExperts = ({ experts, initializer = initializers.scaledTruncatedNormal(0.1), ...options }) =>
    new ShardedExperts({
      communicator: this.layout.experts,
      experts,
      make: ({ count, initializer: among }) => new FeedForwardExperts({ ...options, experts: count, initializer: among(initializer) }),
    });

  /** How steps of a model are shared. */
  strategyOf(model: Module, parts: StepParts): Strategy {
    const { layout, world } = this;
    const shards = shardsOf(parts);
    const replicas = new Replicas(model, layout, { shards: shards.length });
    const shared = this.sharing.sharedState ? new SharedState(replicas) : null;
    this.#model = { replicas, shared };
    return {
      shards: replicas.ownShards.map((shard) => shards[shard]),
      parameters: shared?.own ?? model,
      begin: (step) => {
        world.beginStep(step);
        this.wire.begin();
      },
      backward: (loss) => replicas.backward(loss),
      reduce: () => {
        replicas.reduce();
        return replicas.gradNorm();
      },
      share: () => shared?.share(),
      afterStep: (routings) => afterGlobalStep(model, world, ...routings.map((routing) => [...routing])),
      gather: (own) => {
        const all = this.allGather(Float64Array.from(own.flatMap((numbers) => [...numbers])));
        this.wire.end();
        const length = all.length / shards.length;
        return shards.map((_, shard) => all.slice(shard * length, (shard + 1) * length));
      },
    };
  }

  /** The replicas of the model that is trained. */
  get replicas(): Replicas {
    if (!this.#model) throw new ReferenceError("Processes: there is no model yet");
    return this.#model.replicas;
  }

  /** Numbers of all processes, one after the other. */
  allGather(numbers: Float64Array): Float64Array {
    return this.world.allGather(numbers);
  }

  /** The largest of what the processes say. */
  agree(code: number): number {
    return this.world.allReduce(Int32Array.of(code), "max")[0];
  }

  /** A text of each process, in order of ranks. */
  texts(own: string): string[] {
    return gatherUneven(new TextEncoder().encode(own), this.world).map((bytes) => new TextDecoder().decode(bytes));
  }

  /** Runs `act` on the first process and returns its result on all of them. Where it throws, all end. */
  led(act: () => string): string {
    return this.texts(this.leads ? act() : "")[0];
  }

  /** Tensors with the experts of all processes, as one process has them. */
  whole(state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    return wholeState(state, this.replicas);
  }
}

/** Threads of each process: the cores of this host, shared by the processes on it. */
export function threadsEach(cores: number, onHost = ranksOnHost()): number {
  return Math.max(1, Math.floor(cores / onHost));
}
