/** What a bug is trained in: a small causal byte-level model of the main job, and how it learns. Both of its twins share all of it. */
import { tensor } from "../../../../src/index.ts";
import { BytePrediction } from "../../../../examples/train/bytePrediction.ts";
import type { Predicted } from "../../../../examples/train/predicting.ts";
import type { At } from "../../../../examples/train/task.ts";
import type { TrainingConfig } from "../../../../examples/train/training.ts";
import type { VariedModel } from "../../../../examples/train/variant.ts";
import type { DecoderLanguageModel } from "../../../../src/nn/index.ts";
import type { Routing } from "../../../../src/moe/index.ts";

export interface Setting {
  readonly model: VariedModel;
  readonly training: TrainingConfig;
  /** Whether sequences end at different lengths, the rest being padding. */
  readonly padded: boolean;
}

/** What a bug needs to be active, beside the usual setting. */
export interface Wish extends Partial<VariedModel> {
  readonly batch?: number;
  readonly padded?: boolean;
}

const STEPS = 120;

/** The playground's setting, but for what the bug needs. */
export function settingOf({ batch = 16, padded = false, ...model }: Wish, seed: number): Setting {
  const usual: VariedModel = {
    architecture: "decoder",
    router: "switch",
    width: 32,
    layers: 2,
    heads: 2,
    hidden: 64,
    length: 32,
    experts: 8,
    sparseEvery: 1,
    capacityFactor: 1.25,
    alpha: 0.01,
    zLoss: 0,
    jitter: 0.01,
    priority: "position",
    group: "batch",
    balanceScope: "batch",
    initScale: 0.1,
    expertDropout: 0,
    dropout: 0,
    precision: "float32",
  };
  const config = { ...usual, ...model };
  const training = { steps: STEPS, batch, length: config.length, lr: 3e-3, warmup: 20, accumulate: 1, clip: 1, weightDecay: 0.01, seed };
  return { model: config, training, padded };
}

/** Sequences of different lengths: the end of each is padding, which nothing is predicted from. [B, T] */
export class PaddedPrediction extends BytePrediction {
  override predict(model: DecoderLanguageModel, { batch: at, pass }: At): Predicted {
    const { size, length, inputs, targets } = this.batch(at);
    const mask = Int32Array.from(inputs, (_, i) => Number(i % length < lengthOf(Math.floor(i / length), length)));
    const table = (all: ArrayLike<number>, padding: number) =>
      tensor(Int32Array.from(all, (id, i) => (mask[i] ? id : padding)), { shape: [size, length] }); // prettier-ignore
    const real = tensor(mask, { shape: [size, length] });
    const { logits, losses, routings } = model.forward(table(inputs, 0), { mask: real }, pass);
    return { logits, targets: table(targets, -100), auxiliary: losses, routings: routings as Routing[] };
  }
}

/** Between a quarter of the whole length and all of it. */
const lengthOf = (sequence: number, length: number): number => Math.round(length * (0.25 + (0.75 * ((sequence * 5) % 8)) / 7));
