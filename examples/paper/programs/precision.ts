/**
 * One trained model, three precisions: how many tokens change their expert, and how wrong the router's counts become. float32 is the
 * measure of the other two: bfloat16 with a float32 router (selective), and bfloat16 everywhere. E experts, T tokens.
 */
import { readFileSync } from "node:fs";
import { key, noGrad, scope, tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { evaluation, readSafetensors } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { buildModel } from "../../train/model.ts";
import type { Batch } from "../../train/sequences.ts";
import { inBatches, spread, validationWindows } from "../../train/sequences.ts";
import type { PrecisionSettings, Result } from "../settings.ts";
import type { Tools } from "./serve.ts";
import { textOf } from "./texts.ts";

/** Windows that are routed; few for a model of a few steps, which only shows that it works. */
const [WINDOWS, FEW_STEPS, FEW_WINDOWS] = [256, 20, 4];

/** Of one sparse layer: the expert of each token [T], and the probabilities [T, E]. */
interface Routed {
  readonly expert: ArrayLike<number>;
  readonly probs: ArrayLike<number>;
}

export async function run({ from }: PrecisionSettings, { weightsOf }: Tools): Promise<Result> {
  const weights = readSafetensors(readFileSync(weightsOf(from))).tensors;
  const modelOf = (change: Partial<typeof from.model>): DecoderLanguageModel => {
    const model = buildModel({ ...from.model, ...change }, key(0));
    model.load(weights);
    return model;
  };
  const exact = modelOf({});
  const rounded = {
    selective: modelOf({ precision: "bfloat16" }),
    everywhere: modelOf({ precision: "bfloat16", variant: { ...from.model.variant, routerPrecision: "tokens" } }),
  };
  const { length, batch, steps } = from.training;
  const windows = spread(validationWindows(textOf(from.text), { length }), steps < FEW_STEPS ? FEW_WINDOWS : WINDOWS);
  const batches = inBatches(windows, batch);
  const values: Record<string, number> = {};
  for (const [name, model] of Object.entries(rounded)) {
    const found: Difference[] = [];
    for (const batch of batches) {
      const [right, wrong] = [await routed(exact, batch), await routed(model, batch)];
      found.push(...right.map((layer, l) => difference(layer, wrong[l], from.model.experts)));
    }
    for (const part of ["flips", "counts", "importance", "ties"] as const)
      values[`${name}.${part}`] = found.reduce((sum, one) => sum + one[part], 0) / found.length;
  }
  return { values, courses: {} };
}

async function routed(model: DecoderLanguageModel, { size, length, inputs }: Batch): Promise<Routed[]> {
  const books = scope(() =>
    noGrad(() =>
      (model.forward(tensor(inputs, { shape: [size, length] }), {}, evaluation).routings as Routing[]).map(({ books }) => ({
        expert: books.expertOfChoice,
        probs: books.probs,
      })),
    ),
  );
  return Promise.all(books.map(async ({ expert, probs }) => ({ expert: await expert.data(), probs: await probs.data() })));
}

interface Difference {
  /** Share of tokens that go to another expert. */
  readonly flips: number;
  /** Share of tokens that are counted for another expert: half the distance of the loads. */
  readonly counts: number;
  /** The largest error of a mean probability P_e, as a share of 1 / E. */
  readonly importance: number;
  /** Share of tokens whose two best experts have the same probability. */
  readonly ties: number;
}

function difference(right: Routed, wrong: Routed, experts: number): Difference {
  const tokens = right.expert.length;
  const sums = (of: (e: number) => number): number[] => Array.from({ length: experts }, (_, e) => of(e));
  const load = ({ expert }: Routed): number[] => sums((e) => Array.from(expert).filter((chosen) => chosen === e).length);
  const meanOf = ({ probs }: Routed): number[] =>
    sums((e) => total(Array.from({ length: tokens }, (_, t) => probs[t * experts + e])) / tokens);
  const apart = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => Math.abs(x - b[i]));
  const best = (t: number): number[] => Array.from({ length: experts }, (_, e) => wrong.probs[t * experts + e]).toSorted((a, b) => b - a);
  const share = (holds: (t: number) => boolean): number => Array.from({ length: tokens }, (_, t) => t).filter(holds).length / tokens;
  return {
    flips: share((t) => right.expert[t] !== wrong.expert[t]),
    counts: total(apart(load(right), load(wrong))) / 2 / tokens,
    importance: Math.max(...apart(meanOf(right), meanOf(wrong))) * experts,
    ties: share((t) => best(t)[0] === best(t)[1]),
  };
}

const total = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0);
