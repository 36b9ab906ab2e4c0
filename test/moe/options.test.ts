/** Options of routers and of the layer that other libraries have, each against plain loops over its formula. */
import { expect } from "chai";
import fc from "fast-check";
import { gradients, key, scope, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import { DenseFeedForward, Linear } from "../../src/nn/index.ts";
import { D, booksOf, cases, list, maskOf, normals, passOf, vectors, wide, world } from "../../src/testing/cases.ts";
import { seatByHand, softmaxByHand } from "../../src/testing/oracle.ts";
import { routers } from "./routers.ts";

const few = { numRuns: 20 };
const init = { random: key(4), dtype: "float64", initializer: wide } as const;
const tokensOf = (count: number, seed: number): Tensor =>
  tensor(Float64Array.from(normals(count * D, key(seed).at("x"))), { shape: [1, count, D], requiresGrad: true });
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
const subjects = routers.filter(({ name }) => ["switch", "top-k, V-MoE", "top-2, GShard"].includes(name));

describe("expert capacity in slots", () => {
  const layerOf = (options: Partial<moe.MoEOptions>, group: moe.Group = "sequence"): moe.MoE =>
    new moe.MoE({
      router: new moe.SwitchRouter({ width: D, experts: 3, group, ...init }),
      experts: new moe.FeedForwardExperts({ experts: 3, width: D, hidden: 2, ...init }),
      ...options,
    });

  it("is the number of slots of each expert and group, in training and evaluation, at most the tokens of a group", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 6 }), fc.boolean(), (slots, batch, length, training) =>
        scope(() => {
          const x = tensor(Float64Array.from(normals(batch * length * D, key(1))), { shape: [batch, length, D] });
          for (const group of ["sequence", "batch"] as const) {
            const [groups, size] = group === "batch" ? [1, batch * length] : [batch, length];
            const { routing } = layerOf({ expertCapacity: slots }, group).forward(x, {}, passOf(training, 1));
            if (slots < size) expect(routing.layout.lead).to.deep.equal([3, groups * slots]);
              else expect(routing.kind, "a slot for every token: nothing is dropped").to.equal("sorted");
          }
        }),
      ),
      few,
    )); // prettier-ignore

  it("excludes a factor, and is a whole number of 1 or more", () => {
    expect(() => layerOf({ expertCapacity: 4, trainingCapacityFactor: 2 })).to.throw(TypeError, "expertCapacity 4 and a capacity factor 2");
    expect(() => layerOf({ expertCapacity: 4, evaluationCapacityFactor: 2 })).to.throw(
      TypeError,
      "expertCapacity 4 and a capacity factor 2",
    );
    for (const expertCapacity of [0, -1, 1.5, Infinity]) expect(() => layerOf({ expertCapacity })).to.throw(RangeError, `MoE: expertCapacity ${expertCapacity}`); // prettier-ignore
  });

  it("is read by Expert Choice, which takes as many tokens", () => {
    const router = new moe.ExpertChoiceRouter({ width: D, experts: 2, ...init });
    const routing = router.route({ tokens: tokensOf(6, 1), capacityFactor: 1, expertCapacity: 4, pass: passOf(false, 0) });
    expect(booksOf(routing).slot.flat().filter((s) => s >= 0)).to.have.length(8); // prettier-ignore
  });
});

describe("dropped tokens", () => {
  it("with gatedInput, a choice without a slot adds its gate times the input, with that gradient; padding stays 0, whatever it holds", () =>
    fc.assert(
      fc.property(cases({ factor: 0.5 }), fc.constantFrom(...subjects), (c, subject) =>
        scope(() => {
          const real = maskOf(c);
          const dirty = vectors(c).map((x, i) => (real[Math.floor(i / D)] ? x : NaN));
          const { layer, tokens, mask, ids } = world(subject, c, { vectors: dirty });
          const options = { trainingCapacityFactor: 0.5, evaluationCapacityFactor: 0.5 };
          const gated = new moe.MoE({ router: layer.router, experts: layer.experts, dropped: "gatedInput", ...options });
          const [zero, full] = [layer, gated].map((l) => l.forward(tokens, { ids, ...(mask && { mask }) }, passOf(c.training, c.seed)));
          const { expert, slot, gate } = booksOf(full.routing);
          const [y, y0] = [list(full.output), list(zero.output)];
          real.forEach((isReal, t) => {
            const lost = sum(gate[t].filter((_, k) => expert[t][k] >= 0 && slot[t][k] < 0));
            for (let d = 0; d < D; d++) expect(y[t * D + d]).to.be.closeTo(isReal ? y0[t * D + d] + lost * dirty[t * D + d] : 0, 1e-9);
          });
          const leaves = [tokens, ...layer.router.parameters()];
          const [a, b] = [full, zero].map(({ output }) => gradients(output.sum(), leaves).map(list));
          const gates = full.routing.books.gate; // d y / d gate and d y / d x by hand: the missing term is sum_lost g x
          const x = Float64Array.from(dirty.map((v) => (Number.isNaN(v) ? 0 : v)));
          const sums = Array.from({ length: real.length }, (_, t) => sum(Array.from(x.subarray(t * D, (t + 1) * D))));
          const weights = gate.flatMap((row, t) => row.map((_, k) => (expert[t][k] >= 0 && slot[t][k] < 0 ? sums[t] : 0)));
          const term = gates.reshape([gates.size]).mul(tensor(Float64Array.from(weights))).sum(); // prettier-ignore
          const byGate = gradients(term, leaves).map(list);
          a.forEach((g, i) =>
            g.forEach((v, j) => {
              const t = Math.floor(j / D);
              const direct = i === 0 ? sum(gate[t].filter((_, k) => expert[t][k] >= 0 && slot[t][k] < 0)) : 0;
              expect(v).to.be.closeTo(b[i][j] + byGate[i][j] + direct, 1e-9);
            }),
          );
        }),
      ),
      { numRuns: 40 },
    ));

  it("with gatedInput, experts must be as wide as their input", () => {
    const router = new moe.SwitchRouter({ width: D, experts: 2, ...init });
    const experts = new moe.LinearExperts({ experts: 2, width: D, outputs: 3, ...init });
    const layer = new moe.MoE({ router, experts, dropped: "gatedInput" });
    expect(() => layer.forward(tokensOf(2, 1), {}, passOf(false, 0))).to.throw(
      RangeError,
      `want experts as wide as their input, ${D}, not 3`,
    );
  });
});

describe("a shared expert behind a sigmoid gate", () => {
  it("adds sigmoid(x w) times its output", () => {
    const router = new moe.TopKRouter({ width: D, experts: 3, choices: 2, ...init });
    const experts = new moe.FeedForwardExperts({ experts: 3, width: D, hidden: 2, kind: "swiglu", ...init });
    const shared = new DenseFeedForward(D, 5, { kind: "swiglu", ...init, random: key(8) });
    const sharedGate = new Linear(D, 1, { bias: false, ...init, random: key(9) });
    const x = tokensOf(4, 2);
    const pass = passOf(false, 0);
    const routed = list(new moe.MoE({ router, experts }).forward(x, {}, pass).output);
    const both = list(new moe.MoE({ router, experts, shared, sharedGate }).forward(x, {}, pass).output);
    const own = list(shared.apply(x, pass));
    const gate = list(sharedGate.forward(x)).map((h) => 1 / (1 + Math.exp(-h)));
    both.forEach((y, i) => expect(y).to.be.closeTo(routed[i] + gate[Math.floor(i / D)] * own[i], 1e-12));
    const names = new moe.MoE({ router, experts, shared, sharedGate }).namedParameters().map(([name]) => name);
    expect(names).to.include("sharedGate.weight");
    expect(() => new moe.MoE({ router, experts, sharedGate })).to.throw(TypeError, "sharedGate is given and shared is not");
  });
});

describe("queues of choices", () => {
  const some = fc.integer({ min: 1, max: 3 }).chain((choices) =>
    fc.record({
      experts: fc.constant(4),
      capacity: fc.integer({ min: 0, max: 4 }),
      rows: fc.array(fc.array(fc.integer({ min: -1, max: 3 }), { minLength: choices, maxLength: choices }), { minLength: 2, maxLength: 8 }),
      scores: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 }),
      by: fc.constantFrom("choice" as const, "token" as const),
      ordered: fc.boolean(),
    }),
  );

  it("by choice or by token, in order of position or of scores, are those of a loop", () =>
    fc.assert(
      fc.property(some, ({ experts, capacity, rows, scores, by, ordered }) =>
        scope(() => {
          const expert = tensor(Int32Array.from(rows.flat()), { shape: [1, rows.length, rows[0].length] });
          const priority = scores.slice(0, rows.length);
          const order = tensor(Int32Array.from(priority.map((_, t) => t).sort((a, b) => priority[b] - priority[a] || a - b)), { shape: [1, rows.length] }); // prettier-ignore
          const slots = list(moe.slotOfChoice(moe.queue(expert, ordered ? order : undefined, by), experts, capacity));
          const wanted = seatByHand({ choices: rows, experts, groupSize: rows.length, capacity, by, ...(ordered && { priority }) });
          const flat = wanted.flatMap((row, t) => row.map((p, k) => (p < 0 ? -1 : rows[t][k] * capacity + p)));
          expect(slots).to.deep.equal(flat);
        }),
      ),
    ));

  it("by token, K choices are causal, and say so", () => {
    const traits = (options: Partial<moe.TopKOptions>) =>
      new moe.TopKRouter({ width: D, experts: 3, choices: 2, ...init, ...options }).traits;
    expect(traits({ queueBy: "token" }).time).to.equal("causal");
    expect(traits({ queueBy: "token", priority: "gate" }).time).to.equal("dropless");
    expect(traits({}).time).to.equal("dropless");
    expect(traits({ choices: 1 }).time).to.equal("causal");
  });
});

describe("later experts drawn by Gumbel noise", () => {
  const router = new moe.TopKRouter({ width: D, experts: 4, choices: 2, gumbelBeyondFirst: true, ...init });
  const one = tokensOf(1, 5);
  const route = (training: boolean, seed: number) =>
    booksOf(router.route({ tokens: one, capacityFactor: "dropless", pass: passOf(training, seed) }));

  it("the first stays the best, the second follows the softmax without it", () => {
    const runs = 4000;
    const many = one.broadcastTo([1, runs, D]).contiguous();
    const { expert, logits } = booksOf(router.route({ tokens: many, capacityFactor: "dropless", pass: passOf(true, 3) }));
    const p = softmaxByHand(logits[0]);
    const best = p.indexOf(Math.max(...p));
    expect(expert.every(([first, second]) => first === best && second !== best)).to.equal(true);
    p.forEach((share, e) => {
      if (e === best) return;
      const wanted = share / (1 - p[best]);
      const seen = expert.filter(([, second]) => second === e).length / runs;
      expect(seen).to.be.closeTo(wanted, 5 * Math.sqrt((wanted * (1 - wanted)) / runs));
    });
  });

  it("evaluation takes the two best", () => {
    const { expert, logits } = route(false, 1);
    const order = logits[0].map((_, e) => e).sort((a, b) => logits[0][b] - logits[0][a]);
    expect(expert[0]).to.deep.equal(order.slice(0, 2));
  });

  it("never leaves the groups that were kept", () => {
    const grouped = new moe.TopKRouter({
      width: D,
      experts: 6,
      choices: 2,
      gumbelBeyondFirst: true,
      expertGroups: { count: 3, keep: 1 },
      ...init,
    });
    const { expert } = booksOf(grouped.route({ tokens: tokensOf(60, 6), capacityFactor: "dropless", pass: passOf(true, 2) }));
    for (const [a, b] of expert) expect(Math.floor(a / 2)).to.equal(Math.floor(b / 2));
  });
});

describe("a router with a bias", () => {
  it("adds it to the logits, and learns it", () => {
    const router = new moe.TopKRouter({ width: D, experts: 3, choices: 2, bias: true, ...init });
    const plain = new moe.TopKRouter({ width: D, experts: 3, choices: 2, ...init });
    expect(list(router.projection.bias ?? tensor([1]))).to.deep.equal([0, 0, 0]);
    router.projection.bias?.assign(tensor(Float64Array.of(1, -2, 0.5)));
    const request = { tokens: tokensOf(3, 1), capacityFactor: 1, pass: passOf(false, 0) };
    const [a, b] = [router, plain].map((r) => booksOf(r.route(request)).logits);
    a.forEach((row, t) => row.forEach((h, e) => expect(h).to.be.closeTo(b[t][e] + [1, -2, 0.5][e], 1e-12)));
    expect(router.namedParameters().map(([name]) => name)).to.deep.equal(["projection.weight", "projection.bias"]);
  });
});
