/** Breakages of many processes: collectives, sharded experts, checkpoints, and the main job on them. */
import type { Sabotage } from "./sabotage.ts";

const laws = "test/testing/layoutLaws.test.ts";
const job = "test/train/processes.test.ts";
const wire = "test/bench/costModel.test.ts";
const commands = "test/distributed/commands.test.ts";
const at = (name: string): string => `src/distributed/${name}.ts`;
const train = (name: string): string => `examples/train/${name}.ts`;

export const distributed: readonly Sabotage[] = [
  {
    what: "distributed: seated tokens of other ranks are taken for one's own",
    file: at("shardedExperts"),
    from: "const start = total(received.slice(0, r));",
    to: "const start = 0;",
    test: laws,
    title: "with ordered sums they are the same bits in float32",
  },
  {
    what: "distributed: a checkpoint loads the optimiser of the first ranks",
    file: at("openShards"),
    from: "checkpoint.read(name, group.rank * rows, (group.rank + 1) * rows)",
    to: "checkpoint.read(name, (name === of ? group.rank : 0) * rows, (name === of ? group.rank + 1 : 1) * rows)",
    test: laws,
    title: "a checkpoint of one layout goes on at another",
  },
  {
    what: "distributed: old saves go before the new one is whole",
    file: at("checkpoint"),
    from: "  const shared = world.broadcast(new TextEncoder().encode(name));",
    to: "  if (world.rank === 0) for (const old of savesIn(folder)) files.remove(files.join(folder, old));\n  const shared = world.broadcast(new TextEncoder().encode(name));",
    test: commands,
    title: "a failure loses nothing that was saved",
  },
  {
    what: "distributed: bytes of an all-reduce are counted once",
    file: at("communicator"),
    from: "2 * data.byteLength * (1 - 1 / this.size)",
    to: "data.byteLength * (1 - 1 / this.size)",
    test: wire,
    title: "is what was measured",
  },
  {
    what: "distributed: every shard learns from the first rows of the batch",
    file: train("training"),
    from: "return { from: Math.floor((index * batch) / shards), to: Math.floor(((index + 1) * batch) / shards) };",
    to: "return { from: 0, to: Math.floor(((index + 1) * batch) / shards) - Math.floor((index * batch) / shards) };",
    test: job,
    title: "cut a batch into rows",
  },
  {
    what: "distributed: a run in shards forgets its step when it is resumed",
    file: train("run"),
    from: "restoreShards(source, trainer.model, processes.replicas, trainer.optimizer)",
    to: "restoreShards(source, trainer.model, processes.replicas)",
    test: job,
    title: "is interrupted and resumed with the same bits",
  },
  {
    what: "distributed: more processes than shards are not refused",
    file: train("processOptions"),
    from: "if ((parts * accumulate) % processes !== 0)",
    to: "if (parts * accumulate < 0)",
    test: job,
    title: "refuse --processes 4 --shards 6",
  },
  {
    what: "distributed: a missing mpirun is told as it comes",
    file: train("launch"),
    from: 'error.code === "ENOENT" ? "is not installed" :',
    to: 'error.code === "ENOSUCH" ? "is not installed" :',
    test: job,
    title: "says how MPI is installed",
  },
  {
    what: "distributed: files in memory are the writer's own bytes",
    file: at("memoryFiles"),
    from: ": bytes.slice()",
    to: ": bytes",
    test: "test/distributed/shardFiles.test.ts",
  },
  {
    what: "distributed: who drives the ranks goes on listening to them",
    file: at("rankPool"),
    from: "        stop();\n",
    to: "",
    test: "test/distributed/rankPool.test.ts",
  },
];
