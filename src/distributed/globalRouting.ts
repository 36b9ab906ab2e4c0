/** Balance over the tokens of all ranks: counts of the global batch. n ranks, T tokens of a rank, E experts, K choices. */
import { check, finite } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import { tensor } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { someBooks } from "../moe/arguments.ts";
import { aRouting } from "../moe/metrics.ts";
import { Router } from "../moe/router.ts";
import type { Routing } from "../moe/routing.ts";
import { routedBy } from "../moe/steps.ts";
import type { Module } from "../nn/module.ts";
import { aCommunicator } from "./communicator.ts";
import type { Communicator } from "./communicator.ts";
import { aFlat, newLike } from "./flat.ts";
import type { Flat } from "./flat.ts";

/**
 * This rank's part of the load-balancing loss over the tokens of all ranks, times `coefficient`: E sum_e f_e P_e with f and P of the global batch.
 * The parts of all ranks add up to the loss; add each to a loss that is divided by global counts, and give the routers `balance: 0`. To balance
 * over the tokens of each rank instead, take the routers' own balance loss times this rank's share of all tokens. Either way the coefficient
 * means the same on any number of ranks. The result is a scalar. Collective. Throws for a `coefficient` below 0. Qiu et al. 2025,
 * arXiv:2501.11873, eq. 5.
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
  const globalTokens = Math.max(1, all[experts]);
  const f = tensor(all.map((n) => n / (globalTokens * choices)).subarray(0, experts), { dtype: probs.dtype, backend: probs.backend });
  const seen = real ? where(real.cast(probs.dtype).unsqueeze(1), probs, 0) : probs;
  return seen
    .sum(0)
    .mul(f)
    .sum()
    .mul((coefficient * experts) / globalTokens);
}

/**
 * `afterStep` of the routers, with what all ranks routed in this step: a bias learnt from counts stays the same on all ranks. `passes` are the
 * routings of this rank's shards, each in layer order. Collective; every rank passes the same number of shards. Throws where a pass has not
 * one routing for each sparse layer.
 */
export function afterGlobalStep(model: Module, communicator: Communicator, ...passes: readonly (readonly object[])[]): void {
  check("afterGlobalStep", "communicator", communicator, aCommunicator);
  for (const { router, routings } of routedBy("afterGlobalStep", model, passes)) {
    if (router.afterStep === Router.prototype.afterStep) continue; // nothing in it changes after a step
    noGrad(() => scope(() => router.afterStep(...routings.flatMap((routing) => ofAllRanks(routing, communicator)))));
  }
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

/** The arrays of all ranks, in order of ranks; they may differ in length. Collective. Throws where `data` is no flat array. */
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
