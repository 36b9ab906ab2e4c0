/** Why is k = 1 balanced but not specialised? A renormalised gate of one choice is 1: the task sends the router no gradient. */
import { key, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter, TopKRouter } from "switchyard-moe/moe";
import type { Router } from "switchyard-moe/moe";

const [width, experts] = [8, 4];
const x = random.normal([1, 64, width], key(1));
const init = { width, experts, random: key(2), balance: 0 };

function gradientOf(router: Router & { projection: { weight: { grad: { norm(): { itemSync(): number } } | null } } }): number {
  const layer = new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(3) }) });
  const { output } = layer.forward(x, {}, { training: true, random: key(4) });
  output.sub(x).square().mean().backward();
  return router.projection.weight.grad?.norm().itemSync() ?? 0;
}

console.log("norm of the router's gradient from the task");
console.log("gate p, as in Switch      ", gradientOf(new SwitchRouter({ ...init, jitter: 0 })).toExponential(2));
console.log("gate renormalised, k = 1  ", gradientOf(new TopKRouter({ ...init, choices: 1, normalise: "after" })).toExponential(2));
console.log("gate renormalised, k = 2  ", gradientOf(new TopKRouter({ ...init, choices: 2, normalise: "after" })).toExponential(2));
