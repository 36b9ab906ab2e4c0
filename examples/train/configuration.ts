/** From options to the configuration of a run. */
import { defaultBackend } from "switchyard-moe";
import type { RunConfig } from "./checkpoint.ts";
import { selected } from "./commandLine.ts";
import { modelOptions } from "./modelOptions.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { trainingOptions } from "./options.ts";
import type { TrainOptions } from "./options.ts";
import { stepsOf } from "./short.ts";

/** A run as its options say. */
export function configOf(options: TrainOptions, router: ModelConfig["router"] = options.router): RunConfig {
  const { steps, length, data, languages } = options;
  return {
    model: { ...selected(modelOptions, options), router },
    training: { ...selected(trainingOptions, options), steps: stepsOf(steps), length },
    goal: { kind: "text", text: data ? { data } : { languages } },
    backend: backendNow(),
  };
}

/** The backend that runs are made on now. */
export function backendNow(): RunConfig["backend"] {
  const { name, description } = defaultBackend();
  return { name, description };
}
