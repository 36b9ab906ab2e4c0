/** The playground's settings as the main job's configurations, so that what was trained in the page opens there. */
import type { TrainingConfig } from "../../examples/train/training.ts";
import type { VariedModel } from "../../examples/train/variant.ts";
import type { Side } from "./protocol.ts";
import { choosesK } from "./settings.ts";
import type { Settings, Shared } from "./settings.ts";

export function modelConfig(settings: Settings, side: Side): VariedModel {
  const { width, layers, heads, hidden, length } = settings.shared;
  const { capacityFactor, k, ...column } = settings[side];
  return {
    ...column,
    width,
    layers,
    heads,
    hidden,
    length,
    architecture: "decoder",
    dropout: 0,
    sparseEvery: 1,
    capacityFactor: capacityFactor === 0 ? Infinity : capacityFactor,
    expertDropout: 0,
    precision: "float32",
    ...(choosesK(column.router) && { variant: { choices: k } }),
  };
}

export function trainingConfig({ steps, batch, length, lr, seed }: Shared): TrainingConfig {
  return { steps, batch, length, lr, warmup: 20, accumulate: 1, clip: 1, weightDecay: 0.01, seed };
}
