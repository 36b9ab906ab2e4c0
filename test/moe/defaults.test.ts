/** What routers, experts and layers do where an option is left out. B 2 sequences, T 6 tokens of each, D 4 width, E 3 experts. */
import { key, ones, tensor } from "switchyard-moe";
import * as moe from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import type { Defaults } from "../nn/defaults.ts";
import { keepsDefaults } from "../nn/defaults.ts";
import { drawn, evaluating, training } from "../nn/plain.ts";

const random = key(1);
const sizes = { random, width: 4, experts: 3 } as const;
const x = drawn([2, 6, 4], 1).cast("float32");
const mask = tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]); // prettier-ignore
const pass = training(1);
const { normal, scaledTruncatedNormal } = initializers;

/** What a router says of x while training and in evaluation, with what it holds. */
function routed(router: moe.Router): unknown {
  const ids = x.narrow(2, 0, 1).squeeze(2).mul(0).cast("int32");
  return [
    router.state(),
    router.traits,
    router.visits(6),
    [pass, evaluating].map((each) => {
      const tokens = x.cast(router.state().size > 0 ? [...router.state().values()][0].dtype : "float32");
      const { books, losses } = router.route({ tokens, ids, mask, capacityFactor: 1, pass: each });
      const { expertOfChoice, slotOfChoice, gate, logits, probs } = books;
      return [expertOfChoice, slotOfChoice, gate, logits, probs, losses];
    }),
  ];
}
type Observed = readonly [name: string, router: (options: object) => moe.Router, defaults: Defaults];
const projection: Defaults = { dtype: ["float32", "float64"], bias: [false, true], initializer: [scaledTruncatedNormal(0.1), normal(1)] };
const seating: Defaults = { group: ["batch", "sequence"], priority: ["position", "gate"] };
const losses: Defaults = { balance: [0, 0.1], zLoss: [0, 0.1] };
const make = <O>(Class: new (options: O) => moe.Router, base: object) => (options: object): moe.Router => new Class({ ...sizes, ...base, ...options } as O); // prettier-ignore

const routers: readonly Observed[] = [
  ["SwitchRouter", make(moe.SwitchRouter, {}), { ...projection, ...seating, jitter: [0.01, 0.02], balance: [0.01, 0.02], balanceScope: ["batch", "sequence"], zLoss: [0, 0.1], inputDropout: [0, 0.5], temperature: [0, 1], attempts: [1, 2] }],
  ["SwitchRouter in bfloat16", (o) => new moe.SwitchRouter({ ...sizes, dtype: "bfloat16", ...o }), { precision: ["float32", "tokens"] }],
  ["DenseRouter", make(moe.DenseRouter, {}), { ...projection, zLoss: [0, 0.1] }],
  ["NoisyTopKRouter", make(moe.NoisyTopKRouter, { choices: 2 }), { ...seating, dtype: ["float32", "float64"], bias: [false, true], initializer: [initializers.constantInitializer(0), normal(1)], importance: [0.1, 0.2], load: [0.1, 0.2], balanceScope: ["batch", "sequence"], queueBy: ["choice", "token"] }],
  ["TopKRouter", make(moe.TopKRouter, { choices: 2 }), { ...projection, ...seating, ...losses, scores: ["softmax", "sigmoid"], normalise: ["before", "after"], gateScale: [1, 2], randomBeyondFirst: [0, 0.9], gumbelBeyondFirst: [false, true], biasRate: [0, 0.1], queueBy: ["choice", "token"] }],
  ["TopKRouter with a balance loss", make(moe.TopKRouter, { choices: 2, balance: 0.1 }), { balanceCounts: ["all", "first"], balanceScope: ["batch", "sequence"] }],
  ["BalancedRouter", make(moe.BalancedRouter, { allowCausal: true, initializer: normal(3) }), { ...seating, dtype: ["float32", "float64"], bias: [false, true], choices: [1, 2], temperature: [1, 30], rounds: [20, 1] }],
  ["ExpertChoiceRouter", make(moe.ExpertChoiceRouter, {}), { ...projection, average: [2, 1], cap: [Infinity, 2], group: ["batch", "sequence"] }],
  ["ExpertChoiceRouter, capped", make(moe.ExpertChoiceRouter, { average: 1, cap: 2, initializer: normal(3) }), { assignment: [{ temperature: 0.03, rounds: 50 }, { temperature: 3, rounds: 50 }] }],
  ["ExpertChoiceRouter, capped, in few rounds", (o) => new moe.ExpertChoiceRouter({ ...sizes, average: 1, cap: 2, initializer: normal(3), assignment: o }), { temperature: [0.03, 3], rounds: [50, 1] }],
  ["SoftRouter", make(moe.SoftRouter, { slots: 2 }), { group: ["sequence", "batch"], dtype: ["float32", "float64"], initializer: [scaledTruncatedNormal(), normal(1)] }],
  ["HashRouter", (o) => new moe.HashRouter({ experts: 3, table: [0, 1, 2], ...o }), { group: ["batch", "sequence"], priority: ["position", "random"] }],
]; // prettier-ignore

const expertsOf = (options: object): moe.FeedForwardExperts => new moe.FeedForwardExperts({ ...sizes, hidden: 5, ...options });
const layerOf = (options: object): moe.MoE => new moe.MoE({ router: new moe.SwitchRouter(sizes), experts: expertsOf({}), ...options });
const rows = (options: { dtype?: "float32" | "float64" } & object): unknown => {
  const experts = expertsOf(options);
  const { layout, ...routing } = new moe.SwitchRouter(sizes).route({ tokens: x, capacityFactor: 1, pass });
  return [experts.state(), experts.forward(routing.dispatch(x.reshape([12, 4])).cast(options.dtype ?? "float32"), layout, pass)];
};
const said = (layer: moe.MoE): unknown => [pass, evaluating].map((each) => {
  const { output, losses: auxiliary, routing } = layer.forward(x, { mask }, each);
  return [output, auxiliary, routing.kind, routing.books.slotOfChoice];
}); // prettier-ignore

const scores = drawn([1, 6, 3], 3);
const open = ones([1, 6, 1], { dtype: "float64" });
const others: readonly (readonly [string, (options: never) => unknown, Defaults])[] = [
  ["FeedForwardExperts", rows, { kind: ["relu", "gelu"], bias: [true, false], dropout: [0, 0.5], dtype: ["float32", "float64"], initializer: [scaledTruncatedNormal(0.1), normal(1)] }],
  ["LinearExperts", (o: object) => new moe.LinearExperts({ ...sizes, outputs: 3, ...o }).state(), { dtype: ["float32", "float64"], initializer: [scaledTruncatedNormal(0.1), normal(1)] }],
  ["MoE", (o: object) => said(layerOf(o)), { trainingCapacityFactor: [1.25, 0.5], evaluationCapacityFactor: ["dropless", 0.5], expertCapacity: [undefined, 1] }],
  ["MoE that drops", (o: object) => said(layerOf({ trainingCapacityFactor: 0.5, ...o })), { dropped: ["zero", "gatedInput"] }],
  ["SwitchAttention", (o: object) => { const made = new moe.SwitchAttention(4, { heads: 2, experts: 3, random, router: (init) => new moe.SwitchRouter({ ...init, width: 4, experts: 3 }), ...o }); return [made.state(), [pass, evaluating].map((each) => made.extend(x, {}, each).output)]; }, { trainingCapacityFactor: [1.25, 0.5], evaluationCapacityFactor: ["dropless", 0.5], scale: [1 / Math.sqrt(2), 1] }],
  ["sinkhorn", (o: object) => moe.sinkhorn(scores, open, o), { temperature: [1, 0.5], rounds: [20, 3] }],
  ["cappedAssignment", (o: object) => moe.cappedAssignment(scores, 1, 2, open, o), { temperature: [0.03, 1], rounds: [50, 3] }],
  ["capacityOf", ({ choices }: { choices?: number }) => moe.capacityOf(60, 3, 1, choices), { choices: [1, 2] }],
  ["queue", ({ by }: { by?: "choice" | "token" }) => moe.queue(scores.topK(2).indices, undefined, by), { by: ["choice", "token"] }],
]; // prettier-ignore

describe("moe, where an option is left out", () => {
  for (const [name, router, defaults] of routers) keepsDefaults(name, (o: object) => routed(router(o)), defaults);
  for (const [name, observe, defaults] of others) keepsDefaults(name, observe, defaults);
});
