/**
 * The training loop: sample, forward, backward, clip, step. A step is a scope, reads back only what the progress line shows, and is a
 * pure function of seed and step number, so that an interrupted run resumes bit for bit.
 */
import { key, scope } from "switchyard-moe";
import type { Key, Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { AdamW, clipScale, schedules } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import { oneProcess } from "./strategy.ts";
import type { Shard, Strategy } from "./strategy.ts";
import type { Objective, Rows } from "./task.ts";

/** How a model learns; part of what a checkpoint keeps. */
export interface TrainingConfig {
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly lr: number;
  readonly warmup: number;
  /** Micro-batches whose gradients are added up before each step. */
  readonly accumulate: number;
  /** The number of parts of each batch that are routed separately. Default 1. */
  readonly shards?: number;
  readonly clip: number;
  readonly weightDecay: number;
  readonly seed: number;
}

/** The numbers of one step. */
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
  /** The loss of each shard, in order. */
  readonly shards: readonly number[];
}

export class Trainer<M extends Module> {
  readonly model: M;
  readonly objective: Objective<M>;
  readonly optimizer: AdamW;
  readonly #config: TrainingConfig;
  readonly #schedule: (step: number) => number;
  readonly #strategy: Strategy;
  readonly #random: Key;

  constructor(model: M, objective: Objective<M>, config: TrainingConfig, strategy: Strategy = oneProcess(model, config)) {
    this.model = model;
    this.objective = objective;
    this.#config = config;
    this.#strategy = strategy;
    this.#random = key(config.seed).at("training");
    this.#schedule = schedules.cosine({ warmup: config.warmup, total: config.steps, final: 0.1 });
    const plain = (name: string, parameter: Tensor) =>
      parameter.shape.length < 2 || /(^|\.)positionBias\b/.test(name) ? { weightDecay: 0 } : {};
    this.optimizer = new AdamW(strategy.parameters, { lr: config.lr, betas: [0.9, 0.98], weightDecay: config.weightDecay }, plain);
  }

  /** Steps taken. */
  get steps(): number {
    return this.optimizer.steps;
  }

  /** Takes one optimiser step and reports its numbers. */
  step(): Promise<StepReport> {
    return readReport(this.steps + 1, this.take(), this.#strategy);
  }

  /** Takes one optimiser step and reads nothing back, so that the caller need not wait for the device. */
  take(): ShownStep {
    const step = this.steps;
    return scope(() => {
      this.#strategy.begin(step + 1);
      const parts = this.#strategy.shards.map((shard) => this.#accumulate(step, shard));
      const norm = this.#strategy.reduce();
      this.optimizer.step({ factor: this.#schedule(step + 1), gradScale: clipScale(norm, this.#config.clip) });
      this.model.zeroGrad();
      this.#strategy.share();
      this.#strategy.afterStep(parts.map(({ routings }) => routings));
      return { parts: parts.map((part) => part.shown), norm };
    });
  }

  /** Where the batch of a step is drawn from. */
  batchKey(step: number, part = 0): Key {
    return this.#random.at("batch", step, part);
  }

  /** Adds the gradients of one shard; returns constants to be shown, and the routings. */
  #accumulate(step: number, { part, index }: Shard): { shown: Shown; routings: readonly Routing[] } {
    const { batch, accumulate, shards = 1 } = this.#config;
    const place = this.#random.at("pass", step, part);
    const pass = { training: true, random: shards > 1 ? place.at("shard", index) : place };
    const rows = shards > 1 ? rowsOf(batch, index, shards) : undefined;
    const share = rows ? (rows.to - rows.from) / batch : 1;
    const { loss, auxiliary, routings } = this.objective.forward(this.model, { batch: this.batchKey(step, part), pass, rows });
    const shown = { share, loss: loss.detach(), auxiliary: detached(auxiliary), ...books(routings) };
    const total = Object.values(auxiliary).reduce((sum, part) => sum.add(part.atLeast("float32")), loss);
    this.#strategy.backward(total.mul(share / accumulate));
    return { shown, routings };
  }
}

/** The rows of a batch that a shard takes, as equal as they can be. */
export function rowsOf(batch: number, index: number, shards: number): Rows {
  return { from: Math.floor((index * batch) / shards), to: Math.floor(((index + 1) * batch) / shards) };
}

/** A step's numbers, still on the device. */
interface ShownStep {
  readonly parts: readonly Shown[];
  readonly norm: Tensor;
}

interface Shown {
  /** Of its micro-batch. */
  readonly share: number;
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

async function readReport(step: number, { parts, norm }: ShownStep, strategy: Strategy): Promise<StepReport> {
  const own = await Promise.all(parts.map(readShown));
  const shards = strategy.gather(own.map(flat)).map((numbers) => unflat(numbers, own[0]));
  const weight = shards.reduce((sum, { share }) => sum + share, 0);
  const mean = (of: (shard: ShownNumbers) => number): number => shards.reduce((sum, shard) => sum + of(shard) * shard.share, 0) / weight;
  const perLayer = own[0].layers.map((_, l) => sums(shards.map(({ layers }) => layers[l])));
  return {
    step,
    loss: mean(({ loss }) => loss),
    gradNorm: await norm.item(),
    auxiliary: Object.fromEntries(Object.keys(own[0].auxiliary).map((name) => [name, mean(({ auxiliary }) => auxiliary[name])])),
    dropped: mean(({ dropped }) => dropped),
    load: sums(perLayer),
    layers: perLayer,
    shards: shards.map(({ loss }) => loss),
  };
}

function sums(rows: readonly (readonly number[])[]): number[] {
  return (rows[0] ?? []).map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
}

interface ShownNumbers extends Pick<StepReport, "loss" | "auxiliary" | "dropped" | "layers"> {
  readonly share: number;
}

/** The numbers of a shard, one after the other: how they travel. */
function flat({ share, loss, dropped, auxiliary, layers }: ShownNumbers): Float64Array {
  return Float64Array.of(share, loss, dropped, ...Object.values(auxiliary), ...layers.flat());
}

/** What `flat` makes, taken apart as the like of it. */
function unflat([share, loss, dropped, ...rest]: Float64Array, like: ShownNumbers): ShownNumbers {
  const names = Object.keys(like.auxiliary);
  const counts = rest.slice(names.length);
  const experts = like.layers[0]?.length ?? 0;
  return {
    share,
    loss,
    dropped,
    auxiliary: Object.fromEntries(names.map((name, i) => [name, rest[i]])),
    layers: like.layers.map((_, l) => counts.slice(l * experts, (l + 1) * experts)),
  };
}

async function readShown({ share, loss, auxiliary, load, lost }: Shown): Promise<ShownNumbers> {
  const named = Object.entries(auxiliary).map(async ([name, tensor]) => [name, await tensor.item()] as const);
  const layers = await Promise.all(load.map(async (counts) => Array.from(await counts.data())));
  return {
    share,
    loss: await loss.item(),
    auxiliary: Object.fromEntries(await Promise.all(named)),
    dropped: lost ? await lost.item() : 0,
    layers,
  };
}
