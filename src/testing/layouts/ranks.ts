/** What carries out the orders of a law of layouts: threads of this process, or the processes of mpirun. A page has Web Workers for it. */
import { ThreadWorld, gatherUneven } from "../../distributed/index.ts";
import type { Communicator } from "../../distributed/index.ts";
import { entryOf } from "../../distributed/threads.ts";
import { layoutProgram } from "./program.ts";
import type { LayoutOrder, LayoutReport } from "./program.ts";

/** How ranks carry an order out. */
export interface RankSetting {
  /** Whether sums are in the order of ranks. */
  readonly ordered: boolean;
  /** Seconds that a rank waits for another before the order counts as failed. */
  readonly limit: number;
}

/** Ranks that carry out one order after the other. */
export interface LayoutRanks {
  /** Whether there are always as many of them, whatever a case asks for. */
  readonly fixed: boolean;
  /** What each rank of the case reports, in order of ranks. Rejects where one of them fails or waits too long. */
  carryOut(order: LayoutOrder, setting: RankSetting): Promise<LayoutReport[]>;
  /** Calls `use` with the name of an empty folder, in which orders save and load, and takes it away afterwards. */
  withFolder(use: (folder: string) => Promise<void>): Promise<void>;
}

/** Threads, at least `least` of them. */
export function threadRanks(least: number): LayoutRanks {
  return {
    fixed: false,
    async carryOut(order, { ordered, limit }) {
      const threads = await threadPool(Math.max(least, order.case.ranks));
      const program = { module: entryOf("switchyard-moe/testing"), export: "layoutProgram", data: order };
      const reports = await threads.run(program, { ordered, checkedCalls: Infinity, limit });
      return reports.slice(0, order.case.ranks) as LayoutReport[];
    },
    async withFolder(use) {
      const folder = newFolder();
      try {
        await use(folder);
      } finally {
        removeFolder(folder);
      }
    },
  };
}

/** The processes of mpirun; each of them gets all reports. */
export function worldRanks(world: Communicator): LayoutRanks {
  return {
    fixed: true,
    async carryOut(order, { ordered }) {
      const report = JSON.stringify(await layoutProgram(ordered ? world.inOrder() : world, order));
      const all = gatherUneven(new TextEncoder().encode(report), world).map((bytes) => new TextDecoder().decode(bytes));
      return all.map((text) => JSON.parse(text) as LayoutReport | null).filter((one) => one !== null);
    },
    async withFolder(use) {
      const own = newFolder();
      try {
        await use(new TextDecoder().decode(world.broadcast(new TextEncoder().encode(own))));
      } finally {
        world.barrier(); // before the first to be done takes the folder away
        removeFolder(own);
      }
    },
  };
}

function newFolder(): string {
  const { join } = process.getBuiltinModule("node:path");
  return process.getBuiltinModule("node:fs").mkdtempSync(join(process.getBuiltinModule("node:os").tmpdir(), "switchyard-layout-"));
}

function removeFolder(folder: string): void {
  process.getBuiltinModule("node:fs").rmSync(folder, { recursive: true, force: true });
}

let pool: ThreadWorld | undefined;

/** One pool for all laws: a thread starts in a second, a case takes a tenth. Threads that a broken case ended are started anew. */
async function threadPool(ranks: number): Promise<ThreadWorld> {
  if (pool && !pool.ended && pool.size >= ranks) return pool;
  await pool?.close();
  pool = await ThreadWorld.start(ranks);
  return pool;
}
