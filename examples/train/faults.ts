/**
 * Finds what made the first number that is not finite. Steps are a pure function of seed and number, so they can be taken again: the
 * last two in debug mode, in which every operation (forward, of the backward walk, of the optimiser) checks its result.
 */
import { debug, defaultBackend } from "switchyard-moe";
import type { Module } from "switchyard-moe/nn";
import { notFinite } from "./checkpoint.ts";
import type { Trainer } from "./training.ts";
import { reason } from "./userError.ts";

/** In words. `again` makes the trainer of the last good checkpoint, or a new one; `last` is the step that showed the fault. */
export async function firstFault<M extends Module>(again: () => Trainer<M>, last: number): Promise<string> {
  if (!defaultBackend().downloadSync) return "run it again with --backend cpu to name the operation";
  const trainer = again();
  try {
    while (trainer.steps < last - 2) trainer.take();
    while (trainer.steps < last) debug(() => trainer.take());
  } catch (error) {
    return `first, in step ${trainer.steps + 1}: ${reason(error)}`;
  }
  const [bad] = await notFinite(new Map([...trainer.model.state(), ...trainer.optimizer.state().tensors]));
  return bad === undefined ? "taken again in debug mode, every step was finite" : `first: the optimiser's step ${last} on ${bad}`;
}
