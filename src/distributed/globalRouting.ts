/** What routers need of all ranks: counts over the global batch. n ranks, T tokens of a rank, E experts, K choices. */
import { check, finite, instance, listOf } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import { tensor } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { someBooks } from "../moe/arguments.ts";
import { aRouting } from "../moe/metrics.ts";
import { MoE } from "../moe/moeLayer.ts";
import { Router } from "../moe/router.ts";
import type { Routing } from "../moe/routing.ts";
import { Module } from "../nn/module.ts";
import { aCommunicator } from "./communicator.ts";
import type { Communicator } from "./communicator.ts";
import { aFlat, newLike } from "./flat.ts";
import type { Flat } from "./flat.ts";

/**
 * This rank's part of the load-balancing loss over the tokens of all ranks, times `coefficient`: E sum_e f_e P_e with f and P of the global batch.
 * The parts of all ranks add up to the loss, so it is added to a loss that is divided by global counts. Qiu et al. 2025, arXiv:2501.11873,
 * eq. 5. Give the routers `balance: 0` with it. Over one rank's tokens instead: the routers' own balance loss, times that rank's share of the
 * tokens. Either way the coefficient means the same on any number of ranks. The result is a scalar. Throws for a `coefficient` below 0.
 */
export function globalBalance(routing: Routing, communicator: Communicator, coefficient: number): Tensor {
  check("globalBalance", "routing", routing, aRouting);
  check("globalBalance", "routing.books", routing.books, someBooks(false));
  check("globalBalance", "communicator", communicator, aCommunicator);
  check("globalBalance", "coefficient", coefficient, finite(0));
  const { real, expertOfChoice, probs } = routing.books;
  const [tokens, choices] = expertOfChoice.shape;
  const experts = probs.shape[1];
  const counts = noGrad(() => scope(() => Float64Array.from(expertOfChoice.reshape([expertOfChoice.size]).bincount(experts).dataSync())));
  const own = real ? noGrad(() => scope(() => real.cast("float64").sum().itemSync())) : tokens;
  const all = communicator.allReduce(Float64Array.of(...counts, own));
  const everybody = Math.max(1, all[experts]);
  const f = tensor(all.map((n) => n / (everybody * choices)).subarray(0, experts), { dtype: probs.dtype, backend: probs.backend });
  const seen = real ? where(real.cast(probs.dtype).unsqueeze(1), probs, 0) : probs;
  return seen
    .sum(0)
    .mul(f)
    .sum()
    .mul((coefficient * experts) / everybody);
}

/**
 * `afterStep` of the routers, with what all ranks routed in this step: a bias learnt from counts stays the same on all ranks. `passes` are the
 * routings of this rank's shards, each in layer order. Collective; every rank passes equally many. Throws where `passes` are no lists of
 * routings.
 */
export function afterGlobalStep(model: Module, communicator: Communicator, ...passes: readonly (readonly object[])[]): void {
  check("afterGlobalStep", "model", model, instance(Module, "a Module"));
  check("afterGlobalStep", "communicator", communicator, aCommunicator);
  check("afterGlobalStep", "passes", passes, { ...listOf({ wanted: "a list", accepts: Array.isArray }), wanted: "lists of routings" });
  const layers = model.namedModules().flatMap(([, module]) => (module instanceof MoE ? [module] : []));
  layers.forEach(({ router }, i) => {
    if (router.afterStep === Router.prototype.afterStep) return; // nothing in it changes after a step
    const own = passes.map((routings) => routings[i] as Routing);
    noGrad(() => scope(() => router.afterStep(...own.flatMap((routing) => ofAllRanks(routing, communicator)))));
  });
}

/** The routing with the choices of each rank in turn. */
function ofAllRanks(routing: Routing, communicator: Communicator): Routing[] {
  const { expertOfChoice } = routing.books;
  const { backend } = expertOfChoice;
  const [, choices] = expertOfChoice.shape;
  return gatherUneven(Int32Array.from(expertOfChoice.dataSync()), communicator).map((data) => ({
    ...routing,
    books: { ...routing.books, expertOfChoice: tensor(data, { shape: [data.length / choices, choices], backend }) },
  }));
}

/** What each rank gives, of any length. Throws where `data` is no flat array. */
export function gatherUneven<F extends Flat>(data: F, communicator: Communicator): F[] {
  check("gatherUneven", "data", data, aFlat);
  check("gatherUneven", "communicator", communicator, aCommunicator);
  const lengths = Array.from(communicator.allGather(Int32Array.of(data.length)));
  const most = Math.max(...lengths);
  const padded = newLike(data, most);
  padded.set(data);
  const all = communicator.allGather(padded);
  return lengths.map((length, r) => all.slice(r * most, r * most + length) as F);
}
