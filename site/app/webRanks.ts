/** Ranks in Web Workers, for the laws of layouts and for training. They stay from order to order, and start anew when one of them has ended. */
import type { MemoryContent } from "../../src/distributed/memoryFiles.ts";
import { RankPool } from "../../src/distributed/rankPool.ts";
import type { RankWorker } from "../../src/distributed/rankPool.ts";
import type { LayoutOrder, LayoutReport } from "../../src/testing/layouts/program.ts";
import type { LayoutRanks, RankSetting } from "../../src/testing/layouts/ranks.ts";
import type { RankMessage, RankProgram } from "./layoutProtocol.ts";
import type { Training } from "./layoutTraining.ts";
import type { RankResult } from "./rankWorker.ts";

/** What a rank sends at once is some kilobytes. */
const MOST_BYTES = 2 ** 24;

export class WebRanks implements LayoutRanks {
  readonly fixed = false;
  /** What the orders train; null: they are orders of a law. */
  training: Training | null = null;
  /** Hears of each step of a training. */
  heard: (step: number, loss: number) => void = () => {};
  readonly #size: number;
  #pool: RankPool<RankProgram> | undefined;
  #files: MemoryContent = new Map();

  constructor(size: number) {
    this.#size = size;
  }

  async carryOut(order: LayoutOrder, { ordered, limit }: RankSetting): Promise<LayoutReport[]> {
    const pool = await this.start();
    const files = order.load === null ? new Map() : this.#files;
    const results = (await pool.run({ order, files, training: this.training }, limit, { ordered, checkedCalls: Infinity })) as RankResult[];
    if (order.save !== null) this.#files = new Map(results.flatMap((result) => [...result.files]));
    return results.flatMap(({ report }) => (report ? [report] : []));
  }

  /** What was saved lies with who drives the ranks, who sends it with an order to load. */
  async withFolder(use: (folder: string) => Promise<void>): Promise<void> {
    this.#files = new Map();
    await use("checkpoint");
  }

  /** The ranks, loaded and waiting. Rejects where one of them does not start. */
  async start(): Promise<RankPool<RankProgram>> {
    if (this.#pool && !this.#pool.ended) return this.#pool;
    await this.#pool?.close();
    const address = new URL("rankWorker.js", location.href);
    const workers = Array.from({ length: this.#size }, () => rankIn(new Worker(address, { type: "module" }), (step, loss) => this.heard(step, loss))); // prettier-ignore
    return (this.#pool = new RankPool("ranks", await Promise.all(workers), MOST_BYTES));
  }
}

/** A worker that has loaded its modules and waits. */
async function rankIn(worker: Worker, heard: (step: number, loss: number) => void): Promise<RankWorker<RankProgram>> {
  await new Promise<void>((ready, fail) => {
    worker.onmessage = () => ready();
    worker.onerror = ({ message }) => fail(new Error(`a rank did not start${message ? `: ${message}` : ""}`));
  });
  let ended: (how: string) => void = () => {};
  return {
    assign(assignment, report, gone) {
      ended = gone;
      worker.onmessage = ({ data }: MessageEvent<RankMessage>) => {
        if (data.kind === "step") heard(data.step, data.loss);
        if (data.kind === "report") report(data.report);
      };
      worker.onerror = ({ message }) => gone(`ended: ${message}`);
      worker.postMessage(assignment);
      return () => (ended = () => {});
    },
    terminate() {
      worker.terminate();
      ended("was ended"); // no event tells of it
    },
  };
}
