/** The walk through `switchyard-moe/distributed`, on a world of one rank. */
import { key } from "switchyard-moe";
import { Communicator, Replicas, ShardedExperts, alone, layoutOf } from "switchyard-moe/distributed";
import type { Transport } from "switchyard-moe/distributed";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { Linear } from "switchyard-moe/nn";
import { floats } from "./values.ts";
import type { Tables } from "./values.ts";

const init = { random: key(1) } as const;
const pass = { training: true, random: key(2) } as const;
const world = alone();
const sharded = (): ShardedExperts =>
  new ShardedExperts({ communicator: world, experts: 2, make: () => new FeedForwardExperts({ ...init, width: 3, experts: 2, hidden: 2 }) });
const router = (): SwitchRouter => new SwitchRouter({ ...init, width: 3, experts: 2 });
const layer = (): MoE => new MoE({ router: router(), experts: sharded() });
const linear = new Linear(3, 2, init);
const replicas = (): Replicas => new Replicas(linear, layoutOf(world));
const routing = () => router().route({ tokens: floats(1, 4, 3), capacityFactor: 1, pass });
const numbers = (): Float64Array => Float64Array.of(1, 2);

const transport: Transport = {
  rank: 0,
  size: 1,
  description: "nothing",
  allToAllV: () => undefined,
  allGather: () => undefined,
  broadcast: () => undefined,
  barrier: () => undefined,
  split: () => transport,
  abort: () => undefined,
};

const makers = new Map<string, () => unknown>([
  ["Communicator", () => world],
  ["F", numbers],
  ["Flat", numbers],
  ["Layout", () => layoutOf(world)],
  ["Module", () => linear],
  ["Replicas", replicas],
  ["Routing", routing],
]);

const instances = new Map<string, () => unknown>([
  ["Communicator", () => new Communicator(transport)],
  ["Replicas", replicas],
  ["ShardedExperts", sharded],
]);

const callsByHand = new Map<string, () => unknown[]>([
  ["Communicator", () => [transport]],
  ["Communicator.allToAllV", () => [numbers(), [2], [2]]],
  ["allToAllRows", () => [floats(2, 3), world, { send: [2], receive: [2] }]],
  ["afterGlobalStep", () => [layer(), world, [routing()]]],
  ["globalBalance", () => [routing(), world, 0.1]],
  ["stateBytes", () => [{ step: 0, tensors: new Map() }]],
  ["wholeState", () => [linear.state(), replicas()]],
  ["Replicas.backward", () => [linear.forward(floats()).sum()]],
  ["ShardedExperts", () => [{ communicator: world, experts: 2, make: () => new FeedForwardExperts({ ...init, width: 3, experts: 2, hidden: 2 }) }]],
  ["ShardedExperts.forward", () => { const { layout, ...made } = routing(); return [made.dispatch(floats(4, 3)), layout, pass]; }],
]); // prettier-ignore

const skipped = new Map<string, string>([
  ["mpi.*", "starts MPI, which a process can do once: test/distributed/communicator.test.ts calls it wrongly"],
  ["threads.*", "starts threads: as mpi"],
  ["ThreadWorld.*", "starts threads: as mpi"],
  ["serveRank.*", "is what a worker thread runs: it listens for a port that threads() sends"],
  ["saveShards.*", "writes where it is told: as mpi"],
  ["openShards.*", "opens what it is told: as mpi"],
  ["restoreShards.*", "reads a checkpoint: as mpi"],
]);

export const distributed: Tables = { makers, instances, callsByHand, skipped, onceFor: { Module: "Linear" } };
