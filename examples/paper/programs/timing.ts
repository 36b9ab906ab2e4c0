/**
 * Times training steps of several models in turn, in one process: in each round every model takes a step, in an order of its own, so that a
 * machine that becomes slower becomes slower for all. Medians over rounds.
 */
import { key } from "switchyard-moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { LanguageModelling } from "../../train/languageModelling.ts";
import { buildModel } from "../../train/model.ts";
import { Trainer } from "../../train/training.ts";
import { draws, shuffled } from "../../train/uniform.ts";
import type { Result, TimingSettings } from "../settings.ts";
import { textOf } from "./texts.ts";

/** Steps of each model before the clock counts: compilers settle. */
const WARM_UP = 8;

interface Timed {
  readonly name: string;
  readonly trainer: Trainer<DecoderLanguageModel>;
  readonly milliseconds: number[];
}

export async function run({ arms, text, rounds, seed }: TimingSettings): Promise<Result> {
  const corpus = textOf(text);
  const timed = Object.entries(arms).map(([name, { model, training }]): Timed => {
    const task = new LanguageModelling(corpus, training);
    return { name, trainer: new Trainer(buildModel(model, key(seed).at("init")), task, training), milliseconds: [] };
  });
  const random = key(seed).at("order");
  const warmUp = Math.min(WARM_UP, rounds);
  for (let round = 0; round < warmUp + rounds; round++) {
    const draw = draws((i) => random.at(round).number(i));
    for (const { trainer, milliseconds } of shuffled(timed, draw)) {
      const start = performance.now();
      await trainer.step();
      if (round >= warmUp) milliseconds.push(performance.now() - start);
    }
  }
  return { values: Object.fromEntries(timed.map(({ name, milliseconds }) => [name, median(milliseconds)])), courses: {} };
}

function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b);
  return (ordered[(ordered.length - 1) >> 1] + ordered[ordered.length >> 1]) / 2;
}
