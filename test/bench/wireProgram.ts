/** What thread ranks run for the formula of the wire: two steps of the main job's model, and what a rank sent in one. */
import type { Communicator } from "switchyard-moe/distributed";
import { configOf } from "../../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { Processes } from "../../examples/train/processes.ts";
import { Trainer } from "../../examples/train/training.ts";
import type { WireSizes } from "../../bench/costModel.ts";

export interface WireCase {
  readonly ranks: number;
  readonly expertsOver: number;
  readonly group: "batch" | "sequence";
  readonly factor: number;
  readonly accumulate: number;
}

export interface WireFound {
  readonly sent: Readonly<Record<string, number>>;
  readonly sizes: WireSizes;
}

const [BATCH, LENGTH, EXPERTS, WIDTH] = [8, 16, 4, 8] as const;

/** Ranks that the case does not need answer null. */
export async function wireProgram(all: Communicator, data: unknown): Promise<WireFound | null> {
  const { ranks, expertsOver, group, factor, accumulate } = data as WireCase;
  const takesPart = all.rank < ranks;
  const world = all.split(takesPart ? 0 : 1);
  if (!takesPart) return null;
  const sharing = { processes: ranks, expertsOver, shards: ranks, ordered: false, sharedState: false };
  const small = { width: WIDTH, heads: 2, hidden: 12, experts: EXPERTS, length: LENGTH, batch: BATCH, zLoss: 0.1, steps: 2 };
  const config = configOf({ ...trainDefaults(), ...small, ...sharing, group, capacityFactor: factor, accumulate, languages: "eng" });
  const job = languageJob(config, corpusOf({ languages: "eng" }));
  const processes = new Processes(world, sharing);
  const model = job.build(processes.makeExperts);
  const trainer = new Trainer(model, job.task, config.training, processes.strategyOf(model, config.training));
  const { auxiliary } = await trainer.step();
  await trainer.step();
  const of = (by: "all" | "experts"): number[] => processes.replicas.held.flatMap((held) => (held.by === by ? [held.parameter.size] : []));
  const total = (sizes: readonly number[]): number => sizes.reduce((sum, n) => sum + n, 0);
  const sequences = BATCH / ranks;
  const groups = group === "batch" ? 1 : sequences;
  const tokens = (sequences * LENGTH) / groups;
  const layers = config.model.layers;
  return {
    sent: Object.fromEntries((processes.wire.report()?.rows ?? []).map(({ name, bytes }) => [name, bytes])),
    sizes: {
      ranks,
      expertsOver,
      experts: EXPERTS,
      sparseLayers: layers,
      capacity: groups * Math.ceil((tokens * factor) / EXPERTS),
      groups,
      width: WIDTH,
      shards: accumulate,
      shared: total(of("all")),
      sharded: total(of("experts")),
      expertTensors: of("experts").length / layers,
      auxiliary: Object.keys(auxiliary).length,
    },
  };
}
