/**
 * The training loop: sample, forward, backward, clip, step. A step is a scope, reads back only what the progress line shows, and is a
 * pure function of seed and step number, so that an interrupted run resumes bit for bit.
 */
import { key, scope } from "switchyard-moe";
import type { Key, Tensor } from "switchyard-moe";
import { afterStep } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { AdamW, clipScale, gradNorm, schedules } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import type { Task } from "./task.ts";

/** How a model learns; part of what a checkpoint keeps. */
export interface TrainingConfig {
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly lr: number;
  readonly warmup: number;
  /** Micro-batches whose gradients are added up before each step. */
  readonly accumulate: number;
  readonly clip: number;
  readonly weightDecay: number;
  readonly seed: number;
}

/** What one step showed. */
export interface StepReport {
  readonly step: number;
  /** Nats per token, and the auxiliary losses by name. */
  readonly loss: number;
  /** Of all gradients, before clipping. */
  readonly gradNorm: number;
  readonly auxiliary: Readonly<Record<string, number>>;
  /** Share of bytes that no expert served, the mean over sparse layers. */
  readonly dropped: number;
  /** Tokens of each expert before capacity, over all sparse layers. */
  readonly load: readonly number[];
  /** The same for each sparse layer. */
  readonly layers: readonly (readonly number[])[];
}

export class Trainer<M extends Module> {
  readonly model: M;
  readonly task: Task<M>;
  readonly optimizer: AdamW;
  readonly #config: TrainingConfig;
  readonly #schedule: (step: number) => number;
  readonly #parameters: Tensor[];
  readonly #random: Key;

  constructor(model: M, task: Task<M>, config: TrainingConfig) {
    this.model = model;
    this.task = task;
    this.#config = config;
    this.#parameters = model.parameters();
    this.#random = key(config.seed).at("training");
    this.#schedule = schedules.cosine({ warmup: config.warmup, total: config.steps, final: 0.1 });
    const plain = (name: string, parameter: Tensor) =>
      parameter.shape.length < 2 || /(^|\.)positionBias\b/.test(name) ? { weightDecay: 0 } : {};
    this.optimizer = new AdamW(model, { lr: config.lr, betas: [0.9, 0.98], weightDecay: config.weightDecay }, plain);
  }

  /** Steps taken. */
  get steps(): number {
    return this.optimizer.steps;
  }

  /** One optimiser step, and what it showed. */
  step(): Promise<StepReport> {
    return readReport(this.steps + 1, this.take());
  }

  /** One optimiser step, of which nothing is read back: the caller need not wait for the device. */
  take(): ShownStep {
    const step = this.steps;
    return scope(() => {
      const parts = Array.from({ length: this.#config.accumulate }, (_, part) => this.#accumulate(step, part));
      const norm = gradNorm(this.#parameters);
      this.optimizer.step({ factor: this.#schedule(step + 1), gradScale: clipScale(norm, this.#config.clip) });
      this.optimizer.zeroGrad();
      afterStep(this.model, ...parts.map(({ routings }) => routings));
      return { parts: parts.map((part) => part.shown), norm };
    });
  }

  /** Where the batch of a step is drawn from. */
  batchKey(step: number, part = 0): Key {
    return this.#random.at("batch", step, part);
  }

  /** Adds the gradients of one micro-batch; answers with constants to be shown, and with what was routed. */
  #accumulate(step: number, part: number): { shown: Shown; routings: readonly Routing[] } {
    const pass = { training: true, random: this.#random.at("pass", step, part) };
    const { loss, auxiliary, routings } = this.task.forward(this.model, { batch: this.batchKey(step, part), pass });
    const shown = { loss: loss.detach(), auxiliary: detached(auxiliary), ...books(routings) };
    const total = Object.values(auxiliary).reduce((sum, part) => sum.add(part), loss);
    total.mul(1 / this.#config.accumulate).backward({ release: true });
    return { shown, routings };
  }
}

/** A step's numbers, still on the device. */
interface ShownStep {
  readonly parts: readonly Shown[];
  readonly norm: Tensor;
}

interface Shown {
  readonly loss: Tensor;
  readonly auxiliary: Record<string, Tensor>;
  /** For each sparse layer [E]: how many choices fell on each expert. */
  readonly load: readonly Tensor[];
  /** Share of bytes that no expert served, the mean over sparse layers; null in a dense model. */
  readonly lost: Tensor | null;
}

function detached(losses: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.detach()]));
}

/** Counts, on the device. A token (not padding) without a slot was dropped, or chosen by no expert. */
function books(routings: readonly Routing[]): Pick<Shown, "load" | "lost"> {
  const lost = routings.map(({ books: { slotOfChoice, real } }) => {
    const without = slotOfChoice.max(1).less(0).cast("float32"); // [T]
    return real ? without.mul(real.cast("float32")).sum().div(real.cast("float32").sum()) : without.mean();
  });
  return {
    load: routings.map(({ books: { expertOfChoice }, layout }) => expertOfChoice.reshape([-1]).bincount(layout.experts)),
    lost: lost.reduce((total: Tensor | null, part) => total?.add(part) ?? part, null)?.div(routings.length) ?? null,
  };
}

async function readReport(step: number, { parts, norm }: ShownStep): Promise<StepReport> {
  const reports = await Promise.all(parts.map(readShown));
  const mean = (of: (report: ShownNumbers) => number): number => reports.reduce((sum, report) => sum + of(report), 0) / reports.length;
  const layers = sums(reports.map((report) => report.layers.flat()));
  const experts = reports[0].layers[0]?.length ?? 0;
  const perLayer = reports[0].layers.map((_, l) => layers.slice(l * experts, (l + 1) * experts));
  return {
    step,
    loss: mean((report) => report.loss),
    gradNorm: await norm.item(),
    auxiliary: Object.fromEntries(Object.keys(reports[0].auxiliary).map((name) => [name, mean((report) => report.auxiliary[name])])),
    dropped: mean((report) => report.dropped),
    load: sums(perLayer),
    layers: perLayer,
  };
}

function sums(rows: readonly (readonly number[])[]): number[] {
  return (rows[0] ?? []).map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
}

type ShownNumbers = Pick<StepReport, "loss" | "auxiliary" | "dropped" | "layers">;

async function readShown({ loss, auxiliary, load, lost }: Shown): Promise<ShownNumbers> {
  const named = Object.entries(auxiliary).map(async ([name, tensor]) => [name, await tensor.item()] as const);
  const layers = await Promise.all(load.map(async (counts) => Array.from(await counts.data())));
  return {
    loss: await loss.item(),
    auxiliary: Object.fromEntries(await Promise.all(named)),
    dropped: lost ? await lost.item() : 0,
    layers,
  };
}
