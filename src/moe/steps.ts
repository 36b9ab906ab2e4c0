/** What happens to routers between optimiser steps. */
import type { Module } from "../nn/module.ts";
import { MoE } from "./moeLayer.ts";
import type { Routing } from "./routing.ts";

/**
 * Lets every router of a model take note of what it routed for this step; once per optimiser step, after it, never in evaluation. A pass is
 * what one forward pass answered, its routings in layer order; several where gradients were accumulated. An error where their number
 * is not that of the sparse layers.
 */
export function afterStep(model: Module, ...passes: readonly (readonly object[])[]): void {
  const layers = model.namedModules().flatMap(([, module]) => (module instanceof MoE ? [module] : []));
  for (const routings of passes)
    if (layers.length !== routings.length)
      throw new RangeError(`afterStep: ${routings.length} routings for ${layers.length} sparse layers`);
  layers.forEach((layer, i) => layer.router.afterStep(...passes.map((routings) => routings[i] as Routing)));
}
