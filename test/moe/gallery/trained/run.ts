/** Trains two twins, one right and one with a bug switched on, from one seed on the same batches, and looks at what betrays the bug. */
import { key, scope } from "../../../../src/index.ts";
import { MoE } from "../../../../src/moe/index.ts";
import type { DecoderLanguageModel } from "../../../../src/nn/index.ts";
import { BytePrediction } from "../../../../examples/train/bytePrediction.ts";
import { buildModel } from "../../../../examples/train/model.ts";
import type { At, Forwarded, Objective } from "../../../../examples/train/task.ts";
import type { Corpus } from "../../../../examples/train/text.ts";
import { Trainer } from "../../../../examples/train/training.ts";
import { SeenMoE, partsOf } from "./layer.ts";
import type { Change } from "./layer.ts";
import type { Trained } from "./look.ts";
import { PaddedPrediction, settingOf } from "./setting.ts";
import type { Setting } from "./setting.ts";
import type { Twin, TwinStep } from "./twins.ts";
import { trainedOf } from "./index.ts";

/** The model of a twin: the main job's own, whose sparse layers show themselves and, in the broken twin, have the bug. */
function modelOf({ right = asItIs, broken = asItIs }: Trained, setting: Setting, twin: Twin): DecoderLanguageModel {
  const model = buildModel(setting.model, key(setting.training.seed).at("init"));
  for (const block of model.blocks) {
    if (!(block.feedForward instanceof MoE)) continue;
    const parts = right(partsOf(block.feedForward));
    Object.assign(block, { feedForward: new SeenMoE(twin === "broken" ? broken(parts) : parts) });
  }
  return model.label();
}

const asItIs: Change = (parts) => parts;

/** What the twins learn. */
export function taskOf({ padded, model, training }: Setting, corpus: Corpus): BytePrediction {
  const size = { batch: training.batch, length: model.length };
  return padded ? new PaddedPrediction(corpus, size) : new BytePrediction(corpus, size);
}

/** The task of one twin, looked at after each forward pass. */
class Watching implements Objective<DecoderLanguageModel> {
  readonly unit = "bits/byte";
  readonly tokens: number;
  /** What was seen in the last pass; null: it was not looked at. */
  watched: number | null = null;
  readonly #task: Objective<DecoderLanguageModel>;
  readonly #setting: Setting;
  readonly #of: Pick<Trained, "losses" | "watched">;
  readonly #every: number;
  #passes = 0;

  constructor(task: Objective<DecoderLanguageModel>, setting: Setting, of: Pick<Trained, "losses" | "watched">, every: number) {
    this.tokens = task.tokens;
    this.#task = task;
    this.#setting = setting;
    this.#of = of;
    this.#every = every;
  }

  forward(model: DecoderLanguageModel, at: At): Forwarded {
    const forwarded = this.#task.forward(model, at);
    const auxiliary = this.#of.losses?.(forwarded.routings, this.#setting) ?? forwarded.auxiliary;
    const layers = model.blocks.flatMap(({ feedForward }) => (feedForward instanceof SeenMoE ? [feedForward] : []));
    const seen = layers.map((layer) => layer.seen);
    const look = { model, setting: this.#setting, layers, seen, auxiliary, task: this.#task, at };
    this.watched = ++this.#passes % this.#every === 0 ? scope(() => this.#of.watched.look(look)) : null;
    return { ...forwarded, auxiliary };
  }
}

/** How both twins are trained. */
export interface RunOptions {
  /** Default 1. */
  readonly seed?: number;
  /** What betrays the bug is looked at every so many steps. Default: as the table says. */
  readonly every?: number;
}

/** Both twins of a bug in training. */
export class TwinRun {
  readonly setting: Setting;
  readonly #twins: Readonly<Record<Twin, { readonly trainer: Trainer<DecoderLanguageModel>; readonly objective: Watching }>>;
  readonly #ended = new Set<Twin>();

  /** Throws for a title that the table does not have. */
  constructor(title: string, corpus: Corpus, { seed = 1, every }: RunOptions = {}) {
    const of = trainedOf(title);
    this.setting = settingOf(of.setting ?? {}, seed);
    const task = taskOf(this.setting, corpus);
    const make = (twin: Twin) => {
      const { losses, watched } = of;
      const own = { watched, ...(losses && twin === "broken" && { losses }) };
      const objective = new Watching(task, this.setting, own, every ?? watched.every ?? 1);
      return { objective, trainer: new Trainer(modelOf(of, this.setting, twin), objective, this.setting.training) };
    };
    this.#twins = { right: make("right"), broken: make("broken") };
  }

  get steps(): number {
    return this.#twins.right.trainer.steps;
  }

  get ended(): boolean {
    return this.steps >= this.setting.training.steps || this.#ended.has("right");
  }

  /** One step of both twins; null for one that has ended: by an error, or because its loss is no number. */
  async step(): Promise<Readonly<Record<Twin, TwinStep | null>>> {
    return { right: await this.#step("right"), broken: await this.#step("broken") };
  }

  async #step(twin: Twin): Promise<TwinStep | null> {
    if (this.#ended.has(twin)) return null;
    const { trainer, objective } = this.#twins[twin];
    try {
      const { loss } = await trainer.step();
      if (!Number.isFinite(loss)) this.#ended.add(twin);
      return { bits: loss / Math.LN2, watched: objective.watched, error: null };
    } catch (error) {
      this.#ended.add(twin);
      return { bits: NaN, watched: null, error: error instanceof Error ? error.message : String(error) };
    }
  }
}
