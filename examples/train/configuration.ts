/** From options to the configuration of a run. */
import { defaultBackend } from "switchyard-moe";
import { ranksOnHost, underMpi } from "switchyard-moe/distributed";
import type { RunConfig } from "./checkpoint.ts";
import { selected } from "./commandLine.ts";
import { modelOptions } from "./modelOptions.ts";
import type { ModelConfig } from "./modelOptions.ts";
import { trainingOptions } from "./options.ts";
import type { TrainOptions } from "./options.ts";
import { checkedShards, isShared, usualGroup } from "./processOptions.ts";
import { stepsOf } from "./short.ts";

/** A run as its options say. */
export function configOf(options: TrainOptions, router: ModelConfig["router"] = options.router): RunConfig {
  const { steps, length, data, languages, processes, expertsOver, ordered, sharedState } = options;
  const model = { ...selected(modelOptions, options), router };
  const training = { ...selected(trainingOptions, options), steps: stepsOf(steps), length };
  const run: RunConfig = { model, training, goal: { kind: "text", text: data ? { data } : { languages } }, backend: backendNow() };
  if (!isShared(options)) return run;
  const group = expertsOver || usualGroup(processes, run, underMpi() ? ranksOnHost() : processes);
  const shards = checkedShards({ ...options, expertsOver: group }, run);
  return { ...run, training: { ...training, shards }, sharing: { processes, expertsOver: group, ordered, sharedState } };
}

/** The backend that runs are made on now. */
export function backendNow(): RunConfig["backend"] {
  const { name, description } = defaultBackend();
  return { name, description };
}
