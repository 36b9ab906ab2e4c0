/** What is looked at in a training step, and what an entry of the table of bugs says. T tokens, K choices, E experts, C slots. */
import type { Tensor } from "../../../../src/index.ts";
import type { Routing } from "../../../../src/moe/index.ts";
import type { DecoderLanguageModel } from "../../../../src/nn/index.ts";
import type { At, Objective } from "../../../../examples/train/task.ts";
import type { Change, Seen, SeenMoE } from "./layer.ts";
import type { Setting, Wish } from "./setting.ts";

/** A step of one model, between its forward and its backward pass. */
export interface Look {
  readonly model: DecoderLanguageModel;
  readonly setting: Setting;
  readonly layers: readonly SeenMoE[];
  /** What each layer was given and gave in the step; later passes do not change it. */
  readonly seen: readonly Seen[];
  /** Auxiliary losses by name, with their coefficients, as they are added to the loss. */
  readonly auxiliary: Readonly<Record<string, Tensor>>;
  /** The task and the step's batch, for further passes. */
  readonly task: Objective<DecoderLanguageModel>;
  readonly at: At;
}

/** The number that betrays a bug. */
export interface Watched {
  /** The page has its name, in its languages. */
  readonly name: string;
  /** How it is written. */
  readonly as: "count" | "percent" | "number";
  /** It is looked at every so many steps. Default 1. */
  readonly every?: number;
  look(at: Look): number;
}

/** How a bug is switched on inside a model in training. */
export interface Trained {
  /** What the bug needs to be active; for both models. */
  readonly setting?: Wish;
  /** The right layer, where it is not the main job's own for the setting. */
  readonly right?: Change;
  /** The broken layer, made from the right one. */
  readonly broken?: Change;
  /** Auxiliary losses of the whole model in place of its layers' own, with the bug. */
  readonly losses?: (routings: readonly Routing[], setting: Setting) => Record<string, Tensor>;
  readonly watched: Watched;
}

// Numbers of routings

export const numbers = (x: Tensor): ArrayLike<number> => x.dataSync();
export const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / Math.max(1, values.length);
export const sumOf = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0);

/** A choice of a token. */
export interface Choice {
  readonly token: number;
  /** Its rank among the choices of the token. */
  readonly rank: number;
  readonly expert: number;
  /** -1: none. */
  readonly slot: number;
  readonly gate: number;
}

/** The choices that were made, token by token. */
export function choicesOf({ books }: Routing): Choice[] {
  const [expert, slot, gate] = [books.expertOfChoice, books.slotOfChoice, books.gate].map(numbers);
  const K = books.expertOfChoice.shape[1];
  return Array.from({ length: expert.length }, (_, i) => ({
    token: Math.floor(i / K),
    rank: i % K,
    expert: expert[i],
    slot: slot[i],
    gate: gate[i],
  })).filter((choice) => choice.expert >= 0);
}

/** A number of all layers together. */
export const summedOver = (at: Look, of: (seen: Seen, layer: number) => number): number => sumOf(at.seen.map(of));
export const meanOver = (at: Look, of: (seen: Seen, layer: number) => number): number => mean(at.seen.map(of));
