/** The work of a configuration: the task, and the reports before and after it. Only this file knows all kinds of runs. */
import type { Module } from "switchyard-moe/nn";
import type { RunConfig } from "./checkpoint.ts";
import { distillationOf } from "./distilWork.ts";
import { finetuningOf } from "./finetuneWork.ts";
import { languageWork } from "./languageWork.ts";
import type { Work } from "./session.ts";
import { spanWork } from "./spanWork.ts";

/** Calls `use` with the work of a configuration, whatever kind of model it has. */
export function withWork<T>(config: RunConfig, use: <M extends Module>(work: Work<M>) => T): T {
  switch (config.goal.kind) {
    case "text":
      return config.model.architecture === "decoder" ? use(languageWork(config, config.goal)) : use(spanWork(config, config.goal));
    case "finetune":
      return use(finetuningOf(config, config.goal));
    case "distil":
      return distillationOf(config, config.goal, use);
  }
}
