/** A rank as a Web Worker: it shares memory with the other ranks, waits for them as threads do, and carries out orders of the laws of layouts. */
import { LayoutRun } from "switchyard-moe/testing";
import { memoryFiles } from "../../src/distributed/memoryFiles.ts";
import type { MemoryContent } from "../../src/distributed/memoryFiles.ts";
import type { Assignment } from "../../src/distributed/rankPool.ts";
import { keepShardsIn } from "../../src/distributed/shardFiles.ts";
import { carryOut } from "../../src/distributed/threadRank.ts";
import { takePart } from "../../src/testing/layouts/program.ts";
import type { Exported, LayoutReport } from "../../src/testing/layouts/program.ts";
import * as gallery from "../../test/testing/brokenLayouts.ts";
import type { RankMessage, RankProgram } from "./layoutProtocol.ts";
import { learning } from "./layoutTraining.ts";

interface WorkerScope {
  postMessage(message: RankMessage): void;
  onmessage: ((event: { readonly data: Assignment<RankProgram> }) => void) | null;
}
const page = globalThis as unknown as WorkerScope;

/** What a rank reports, and the files that it leaves. */
export interface RankResult {
  /** null: the case needs fewer ranks. */
  readonly report: LayoutReport | null;
  readonly files: MemoryContent;
}

page.onmessage = ({ data: assignment }) => {
  void carryOut(assignment, async (world): Promise<RankResult> => {
    const { order, files, training } = assignment.program;
    keepShardsIn(memoryFiles(files));
    const load = async (named: Exported): Promise<unknown> => {
      const Run = runNamed(named.export);
      return training ? learning(Run, training, (step, loss) => world.rank === 0 && page.postMessage({ kind: "step", step, loss })) : Run;
    };
    return { report: await takePart(world, order, load), files };
  }).then((report) => page.postMessage({ kind: "report", report }));
};

function runNamed(name: string): typeof LayoutRun {
  const { ofCheckpoints: _names, ...variants } = gallery;
  const found = new Map<string, typeof LayoutRun>([...Object.entries(variants), ["LayoutRun", LayoutRun]]).get(name);
  if (!found) throw new RangeError(`there is no layout "${name}" in the gallery`);
  return found;
}

page.postMessage({ kind: "ready" });
