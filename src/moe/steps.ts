/** Tells routers what they routed, after each optimiser step. */
import { Module } from "../nn/module.ts";
import { check, instance } from "./arguments.ts";
import { MoE } from "./moeLayer.ts";
import type { Router } from "./router.ts";
import type { Routing } from "./routing.ts";

/**
 * Tells every router of a model what it routed for this optimiser step; call it once per step, after it, never in evaluation. A pass is the
 * list of routings of one forward pass, in layer order; several where gradients were accumulated. Throws where a pass has not one routing for
 * each sparse layer. Only routers that balance by a bias (biasRate) do something. Wang et al. 2024, arXiv:2408.15664, algorithm 1.
 */
export function afterStep(model: Module, ...passes: readonly (readonly object[])[]): void {
  for (const { router, routings } of routedBy("afterStep", model, passes)) router.afterStep(...routings);
}

/** The router of each sparse layer, in layer order, with its routing of each pass. Throws where a pass has not one routing for each layer. */
export function routedBy(
  where: string,
  model: Module,
  passes: readonly (readonly object[])[],
): { readonly router: Router; readonly routings: readonly Routing[] }[] {
  check(where, "model", model, instance(Module, "a module"));
  passes.forEach((routings, i) => check(where, `pass ${i}`, routings, { wanted: "an array of routings", accepts: Array.isArray }));
  const layers = model.namedModules().flatMap(([, module]) => (module instanceof MoE ? [module] : []));
  for (const routings of passes)
    if (layers.length !== routings.length) throw new RangeError(`${where}: ${routings.length} routings for ${layers.length} sparse layers`);
  return layers.map(({ router }, i) => ({ router, routings: passes.map((routings) => routings[i] as Routing) }));
}
