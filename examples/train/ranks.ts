/** What thread ranks of the lessons run. */
import { createHash } from "node:crypto";
import { noGrad, scope, useBackend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { threads } from "switchyard-moe/distributed";
import type { Communicator } from "switchyard-moe/distributed";
import { LayoutRun, layoutProgram } from "switchyard-moe/testing";
import type { LayoutCase } from "switchyard-moe/testing";
import type { Routing } from "switchyard-moe/moe";
import { configOf } from "./configuration.ts";
import { corpusOf, languageJob } from "./languageWork.ts";
import { lessonDefaults } from "./lesson.ts";
import { Processes } from "./processes.ts";
import { Trainer } from "./training.ts";

/** The run of the laws of layouts, as it is. */
export class RightRun extends LayoutRun {}

/** Multiplies the gradients of experts by the number of ranks that share them. */
export class ExpertGradientsTimesRanks extends LayoutRun {
  protected override reduce(): void {
    super.reduce();
    const { size } = this.layout.experts;
    noGrad(() =>
      scope(() => {
        for (const { by, parameter } of this.replicas.held) if (by === "experts") parameter.grad?.assign(parameter.grad.mul(size));
      }),
    );
  }
}

/** Two ranks that share four experts. */
const twoRanks: LayoutCase = {
  seed: 1,
  ranks: 2,
  expertsOver: 2,
  expertsEach: 2,
  router: "switch",
  factor: 1.25,
  shards: [3, 3],
  padding: [0, 0],
  balance: "rank",
  sharedState: false,
};

export function program(world: Communicator, data: unknown): ReturnType<typeof layoutProgram> {
  return layoutProgram(world, data);
}

/** The loss of each step of one of the runs above, on two threads. */
export async function lossesOf(name: "RightRun" | "ExpertGradientsTimesRanks", steps: number): Promise<readonly number[]> {
  const module = import.meta.url;
  const order = {
    case: twoRanks,
    precision: "float32",
    backend: "cpu",
    steps,
    make: null,
    variant: { module, export: name },
    delays: [],
    save: null,
    load: null,
  };
  const [first] = await threads(2, { module, export: "program", data: order });
  return (first as NonNullable<Awaited<ReturnType<typeof layoutProgram>>>).losses;
}

/** The run of lesson 25, the same on any number of ranks. */
export interface SharedOrder {
  readonly steps: number;
  /** Of a batch. */
  readonly shards: number;
}

/** What a rank reports of it. */
export interface SharedReport {
  readonly losses: readonly number[];
  /** SHA-256 of all weights, the experts of all ranks among them. */
  readonly weights: string;
  /** Bytes that this rank sent in a step, by collective. */
  readonly sent: Readonly<Record<string, number>>;
  /** Slots of one sparse layer that this rank filled for each rank, in a step, and those that it left empty. */
  readonly filled: readonly number[];
  readonly empty: readonly number[];
}

/** Trains the small model of the main job with its experts over all ranks. */
export async function sharedProgram(world: Communicator, data: unknown): Promise<SharedReport> {
  const { steps, shards } = data as SharedOrder;
  await useBackend(await wasm({ threads: 1 }));
  const sharing = { processes: world.size, expertsOver: world.size, shards, ordered: true, sharedState: false };
  const config = configOf({ ...lessonDefaults(), languages: "eng,ell,kor", batch: 16, steps, ...sharing });
  const job = languageJob(config, corpusOf({ languages: "eng,ell,kor" }));
  const processes = new Processes(world, sharing);
  const model = job.build(processes.makeExperts);
  const strategy = processes.strategyOf(model, config.training);
  const slots = new Slots(world.size);
  const watched = { ...strategy, afterStep: (routings: readonly (readonly Routing[])[]) => slots.count(routings, strategy.afterStep) };
  const trainer = new Trainer(model, job.task, config.training, watched);
  const losses: number[] = [];
  while (trainer.steps < steps) losses.push((await trainer.step()).loss);
  const rows = processes.wire.report()?.rows ?? [];
  return {
    losses,
    weights: digest(scope(() => [...processes.whole(model.state())].map(([, tensor]) => tensor.dataSync()))),
    sent: Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes])),
    filled: slots.filled,
    empty: slots.empty,
  };
}

/** Counts the slots of the first sparse layer in the last step, by the rank that holds the expert. */
class Slots {
  readonly filled: number[];
  readonly empty: number[];

  constructor(ranks: number) {
    this.filled = new Array<number>(ranks).fill(0);
    this.empty = new Array<number>(ranks).fill(0);
  }

  count(routings: readonly (readonly Routing[])[], then: (routings: readonly (readonly Routing[])[]) => void): void {
    for (let r = 0; r < this.filled.length; r++) this.filled[r] = this.empty[r] = 0;
    for (const [{ layout, books }] of routings) {
      const [experts, rows] = layout.lead;
      const each = (experts / this.filled.length) * rows; // slots of each rank
      const seated = books.slotOfChoice.dataSync();
      for (let r = 0; r < this.filled.length; r++) {
        const mine = seated.filter((slot) => slot >= r * each && slot < (r + 1) * each).length;
        this.filled[r] += mine;
        this.empty[r] += each - mine;
      }
    }
    then(routings);
  }
}

function digest(arrays: readonly ArrayBufferView[]): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}

/** The reports of all ranks. */
export async function sharedRun(ranks: number, order: SharedOrder): Promise<SharedReport[]> {
  const reports = await threads(ranks, { module: import.meta.url, export: "sharedProgram", data: order }, { ordered: true });
  return reports as SharedReport[];
}
