/**
 * A task learned from labels and from a teacher's probabilities. Hinton et al. 2015, arXiv:1503.02531; Fedus et al. 2021,
 * arXiv:2101.03961, section 4.2.
 */
import { noGrad } from "switchyard-moe";
import { distillationLoss, evaluation } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import type { Predicted, PredictingTask, Progress } from "./predicting.ts";
import type { At, Forwarded } from "./task.ts";

export class Distillation<M extends Module> implements PredictingTask<M> {
  readonly tokens: number;
  readonly unit: string;
  readonly task: PredictingTask<M>;
  readonly #teacher: M;
  readonly #hard: number;
  readonly #soft: number;

  constructor(task: PredictingTask<M>, teacher: M, { hard, soft }: { readonly hard: number; readonly soft: number }) {
    this.task = task;
    this.tokens = task.tokens;
    this.unit = task.unit;
    this.#teacher = teacher;
    this.#hard = hard;
    this.#soft = soft;
  }

  predict(model: M, at: At): Predicted {
    return this.task.predict(model, at);
  }

  forward(model: M, at: At): Forwarded {
    const { logits, targets, auxiliary, routings } = this.predict(model, at);
    const total = this.#hard + this.#soft;
    const teacher = this.#soft > 0 ? noGrad(() => this.task.predict(this.#teacher, { ...at, pass: evaluation }).logits) : logits;
    const loss = distillationLoss(logits, teacher, targets, { share: this.#soft / total }).mul(total);
    return { loss, auxiliary, routings };
  }

  validate(model: M): Promise<number> {
    return this.task.validate(model);
  }

  score(model: M, progress: Progress): Promise<number> {
    return this.task.score(model, progress);
  }
}
