/** The program of one rank of bench/distributed.ts: "collectives", or "train BATCH STEPS ROUNDS" on the main job's small model. */
import { useBackend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { alone, mpi } from "switchyard-moe/distributed";
import type { Communicator } from "switchyard-moe/distributed";
import { configOf } from "../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../examples/train/languageWork.ts";
import { trainDefaults } from "../examples/train/options.ts";
import { Processes } from "../examples/train/processes.ts";
import { Trainer } from "../examples/train/training.ts";
import { NAMES, REPEATS, SIZES, callsOf, summarised } from "./collectives.ts";
import type { Name } from "./collectives.ts";

const [, , what, ...given] = process.argv;
const world = await mpi({ checkedCalls: 0 });
if (what === "collectives") collectives();
else await train(...(given.map(Number) as [number, number, number]));

function collectives(): void {
  for (const bytes of SIZES)
    for (const name of NAMES) {
      const { best, median } = summarised(secondsOf(name, bytes));
      if (world.rank === 0) console.log(`${name} ${bytes} ${best.toFixed(9)} ${median.toFixed(9)}`);
    }
}

function secondsOf(name: Name, bytes: number): number[] {
  const data = new Float32Array(bytes / 4).fill(1); // memory that nobody wrote is one page of zeros
  const [same, all] = [new Float32Array(data.length), new Float32Array(data.length * world.size)];
  const calls: Record<Name, () => unknown> = {
    allReduce: () => world.allReduce(data),
    allToAll: () => world.allToAll(data, same),
    allGather: () => world.allGather(data, all),
    broadcast: () => world.broadcast(data),
  };
  const seconds: number[] = [];
  for (let call = -20; call < callsOf(bytes); call++) {
    world.barrier();
    const start = performance.now();
    for (let repeat = 0; repeat < REPEATS; repeat++) calls[name]();
    if (call >= 0) seconds.push((performance.now() - start) / 1000 / REPEATS);
  }
  return seconds;
}

/** One kind of training. */
interface Run {
  readonly name: string;
  /** Every rank takes part in it, or every rank trains for itself, or the first alone while the others sleep. */
  readonly by: "all" | "each" | "one";
  readonly trainer: Trainer<never>;
  readonly processes: Processes;
  /** Of the slowest rank, and of this one. */
  readonly milliseconds: number[];
  readonly own: number[];
}

function newRun(name: string, by: Run["by"], on: Communicator, batch: number): Run {
  const sharing = { processes: on.size, expertsOver: on.size, ordered: false, sharedState: false };
  const config = configOf({ ...trainDefaults(), languages: "eng,ell,kor", batch, steps: 10_000, shards: on.size, ...sharing });
  const job = languageJob(config, corpusOf({ languages: "eng,ell,kor" }));
  const processes = new Processes(on, sharing);
  const model = job.build(processes.makeExperts);
  const trainer = new Trainer(model, job.task, config.training, processes.strategyOf(model, config.training));
  return { name, by, trainer: trainer as unknown as Trainer<never>, processes, milliseconds: [], own: [] };
}

/** Interleaved rounds: strong and weak scaling, and what one process does alone and beside another that does the same. */
async function train(batch: number, steps: number, rounds: number): Promise<void> {
  await useBackend(await wasm({ threads: 1 }));
  const n = world.size;
  const runs = [
    newRun("one process, the batch", "one", alone(), batch),
    newRun("each for itself, its part of the batch", "each", alone(), batch / n),
    newRun("each for itself, the batch", "each", alone(), batch),
    newRun("shared, the batch (strong scaling)", "all", world, batch),
    newRun("shared, a batch for each (weak scaling)", "all", world, batch * n),
  ];
  for (let round = -1; round < rounds; round++) for (const run of runs) await timed(run, steps, round >= 0);
  if (world.rank > 0) return void runs.forEach(({ by, processes }) => by === "all" && processes.wire.report());
  const told = runs.map(({ name, by, milliseconds, own, processes }) => ({ name, milliseconds: summarised(milliseconds), spread: spreadOf(own), wire: by === "all" ? processes.wire.report() : null })); // prettier-ignore
  console.log(JSON.stringify({ description: world.description, runs: told }));
}

/** The standard deviation of a rank's steps, from the median distance to their median, which a few interrupted steps do not move. */
function spreadOf(own: readonly number[]): number {
  const { median } = summarised(own);
  return 1.4826 * summarised(own.map((x) => Math.abs(x - median))).median;
}

/** Each step is timed by itself: the slowest rank's time counts, as it does for all. */
async function timed({ by, trainer, milliseconds, own: all }: Run, steps: number, counts: boolean): Promise<void> {
  for (let step = 0; step < steps; step++) {
    world.barrier();
    const start = performance.now();
    if (by !== "one" || world.rank === 0) await trainer.step();
    const own = performance.now() - start;
    if (by === "one" && world.rank > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150); // a waiting rank would take a core
    const slowest = world.allReduce(Float64Array.of(own), "max")[0];
    if (!counts) continue;
    milliseconds.push(slowest);
    all.push(own);
  }
}
