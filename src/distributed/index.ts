/** `switchyard-moe/distributed`: experts and data over many processes, by MPI or by threads. */

// Ranks and what connects them
export { Communicator } from "./communicator.ts";
export type { CommunicatorOptions } from "./communicator.ts";
export type { Flat, Reduction } from "./flat.ts";
export { Traffic } from "./traffic.ts";
export type { CollectiveTraffic } from "./traffic.ts";
export type { Transport } from "./transport.ts";
export { alone } from "./alone.ts";
export { mpi, ranksOnHost, startedRanks, underMpi } from "./mpi.ts";
export { installation } from "./mpiLibrary.ts";
export { ThreadWorld, threads } from "./threads.ts";
export type { ThreadOptions, ThreadProgram } from "./threads.ts";
export { serveRank } from "./threadRank.ts";

// Collectives that gradients cross
export { allGatherRows, allReduceSum, allToAllRows, broadcastFrom, reduceScatterRows } from "./collectives.ts";
export type { RowCounts } from "./collectives.ts";

// Which rank holds what
export { layoutOf } from "./layout.ts";
export type { Layout, LayoutOptions } from "./layout.ts";
export { ShardedExperts } from "./shardedExperts.ts";
export type { ExpertShare, ShardedExpertsOptions, SourceGradients } from "./shardedExperts.ts";
export { Replicas, globalSum } from "./replicas.ts";
export type { Held, ReplicasOptions } from "./replicas.ts";
export { SharedState, stateBytes } from "./sharedState.ts";
export { afterGlobalStep, gatherUneven, globalBalance } from "./globalRouting.ts";

// Checkpoints
export { saveShards, wholeState } from "./checkpoint.ts";
export type { ShardedSave } from "./checkpoint.ts";
export { openShards, restoreShards } from "./openShards.ts";
export type { ShardedCheckpoint } from "./openShards.ts";
