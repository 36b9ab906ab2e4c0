/** What is particular to the other routers. P4, P5, P44 to P49, P67, P69 to P73, P76, P77, P79 to P81 of the field. */
import { expect } from "chai";
import fc from "fast-check";
import { gradients, key, scope, tensor } from "../../src/index.ts";
import { uniformLike } from "../../src/autograd/random.ts";
import type { Tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import type { RouteRequest, Router } from "../../src/moe/index.ts";
import { booksOf, list, maskOf, normals, passOf, wide } from "../../src/testing/cases.ts";
import { largest, softmaxByHand } from "../../src/testing/oracle.ts";
import { rowsOf } from "./routers.ts";

const D = 4;
const tokensOf = (count: number, seed: number, batch = 1): Tensor =>
  tensor(Float64Array.from(normals(batch * count * D, key(seed).at("x"))), { shape: [batch, count, D], requiresGrad: true });
const base = (experts: number) => ({ width: D, experts, random: key(3), dtype: "float64", initializer: wide }) as const;
const route = (router: Router, tokens: Tensor, change: Partial<RouteRequest> = {}) =>
  router.route({ tokens, capacityFactor: "dropless", pass: passOf(false, 0), ...change });
const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
const sizes = fc.record({ count: fc.integer({ min: 1, max: 7 }), experts: fc.integer({ min: 1, max: 5 }), seed: fc.nat(99) });
const few = { numRuns: 20 };

/** Phi by the integral's series; |x| below 6. */
function normalCdf(x: number): number {
  let [term, total] = [x, x];
  for (let n = 1; n < 200; n++) total += term *= (x * x) / (2 * n + 1);
  return 0.5 + (total * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

describe("groups of consecutive tokens", () => {
  it("of n are sequences of n: the same slots, gates and rows, whatever the batch", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (groups, size, experts) =>
        scope(() => {
          const tokens = tokensOf(groups * size, 7);
          const shapes = [[1, groups * size], [groups, size], [groups * size, 1]]; // prettier-ignore
          const of = (group: moe.Group, [batch, length]: number[]) =>
            new moe.SwitchRouter({ ...base(experts), group, balance: 0 }).route({ tokens: tokens.reshape([batch, length, D]), capacityFactor: 1, pass: passOf(false, 0) }); // prettier-ignore
          const wanted = of("sequence", [groups, size]);
          for (const shape of shapes) {
            const routing = of(size, shape);
            expect(booksOf(routing)).to.deep.equal(booksOf(wanted));
            expect(routing.layout.lead).to.deep.equal(wanted.layout.lead);
          }
        }),
      ),
      few,
    ));

  it("must divide the tokens", () => {
    const routed = (group: number) => route(new moe.SwitchRouter({ ...base(2), group }), tokensOf(6, 1), { capacityFactor: 1 });
    for (const group of [1, 2, 3, 6]) expect(routed(group).layout.lead[0]).to.equal(2);
    for (const group of [4, 5, 12]) expect(() => routed(group)).to.throw(RangeError, `SwitchRouter: group ${group}: want a number that divides the 1 x 6 tokens`); // prettier-ignore
    for (const group of [0, -2, 1.5, NaN]) expect(() => routed(group)).to.throw(RangeError, `SwitchRouter: group ${group}: want`);
  });
});

describe("random priority", () => {
  it("seats by the ascending draws of its own stream of the pass, in training alone", () => {
    const router = new moe.SwitchRouter({ ...base(1), priority: "random", jitter: 0 });
    const tokens = tokensOf(7, 2);
    const pass = passOf(true, 5);
    const { slot } = booksOf(route(router, tokens, { capacityFactor: 1, pass }));
    const draws = list(uniformLike(tokens.narrow(2, 0, 1).squeeze(2), pass.random.at("priority")));
    const order = draws.map((_, t) => t).sort((a, b) => draws[a] - draws[b]);
    expect(order.map((t) => slot[t][0])).to.deep.equal(order.map((_, i) => i));
    expect(booksOf(route(router, tokens, { capacityFactor: 1 })).slot.flat()).to.deep.equal(order.map((_, i) => i));
  });
});

describe("noisy top-k", () => {
  it("P4 P5: softmax over the survivors: k gates that are not 0, adding up to 1, p over the sum of chosen p", () =>
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 5 }), ({ count, experts, seed }, k) =>
        scope(() => {
          const choices = Math.min(k, experts);
          const { probs, logits } = booksOf(
            route(new moe.NoisyTopKRouter({ ...base(experts), choices }), tokensOf(count, seed), { pass: passOf(true, seed) }),
          );
          probs.forEach((row, t) => {
            const best = largest(logits[t], choices);
            const p = softmaxByHand(logits[t]);
            expect(row.filter((g) => g > 0)).to.have.length(choices);
            row.forEach((g, e) => expect(g).to.be.closeTo(best.includes(e) ? p[e] / sum(best.map((b) => p[b])) : 0, 1e-12));
          });
        }),
      ),
      few,
    ));

  it("P58: the gradient is finite, and 0 at the logits of those who were not kept", () => {
    const router = new moe.NoisyTopKRouter({ ...base(5), choices: 2, importance: 0, load: 0 });
    const routing = route(router, tokensOf(1, 3));
    const [g] = gradients(routing.books.gate.square().sum(), [router.projection.weight]);
    const kept = booksOf(routing).expert[0];
    list(g).forEach((x, i) => (kept.includes(i % 5) ? expect(Math.abs(x)).to.be.within(1e-9, 1e3) : expect(Math.abs(x)).to.equal(0)));
  });

  it("P45 P47: P(x, i) is Phi((clean - the k-th largest without i) / deviation), and a step as the deviation vanishes", () =>
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.nat(99), (experts, k, seed) =>
        scope(() => {
          const choices = Math.min(k, experts - 1);
          const [clean, noise, deviation] = ["clean", "noise", "deviation"].map((name) => normals(experts, key(seed).at(name)));
          const sigma = deviation.map((s) => Math.abs(s) + 0.3);
          const noisy = clean.map((c, i) => c + sigma[i] * noise[i]);
          const of = (xs: readonly number[]): Tensor => tensor(Float64Array.from(xs), { shape: [1, 1, experts] });
          const p = list(moe.loadProbability(of(clean), of(noisy), of(sigma), choices));
          p.forEach((x, i) => {
            const others = noisy.filter((_, j) => j !== i).sort((a, b) => b - a);
            const z = (clean[i] - others[choices - 1]) / sigma[i];
            expect(x).to.be.closeTo(Math.abs(z) < 6 ? normalCdf(z) : Number(z > 0), 1e-9);
          });
          const sharp = list(moe.loadProbability(of(clean), of(clean), of(clean.map(() => 1e-9)), choices));
          expect(sharp.map(Math.round)).to.deep.equal(clean.map((_, i) => Number(largest(clean, choices).includes(i))));
        }),
      ),
      { numRuns: 40 },
    ));

  it("P46: drawing an expert's own noise again keeps it as often as P says", () => {
    const [clean, sigma, noisy, choices] = [[0.3, -0.2, 0.9, 0], [0.7, 1.1, 0.4, 0.9], [0.8, 0.1, 0.6, -0.5], 2];
    const of = (xs: readonly number[]): Tensor => tensor(Float64Array.from(xs), { shape: [1, 1, 4] });
    const p = list(moe.loadProbability(of(clean), of(noisy), of(sigma), choices));
    const draws = normals(40_000, key(6).at("again"));
    p.forEach((x, i) => {
      const others = noisy.filter((_, j) => j !== i).sort((a, b) => b - a);
      const kept = draws.filter((z) => clean[i] + sigma[i] * z > others[choices - 1]).length / draws.length;
      expect(kept).to.be.closeTo(x, 4 * Math.sqrt((x * (1 - x)) / draws.length) + 1e-4); // four deviations
    });
  });

  it("P48: both weights at zero load all experts alike in the mean, with noise of deviation ln 2 + 0.01", () => {
    const count = 3000;
    const router = new moe.NoisyTopKRouter({ width: D, experts: 4, choices: 2, random: key(1), dtype: "float64" });
    const { expert, logits } = booksOf(route(router, tokensOf(count, 1), { pass: passOf(true, 2) }));
    const load = [0, 1, 2, 3].map((e) => expert.flat().filter((x) => x === e).length);
    expect(sum(load.map((n) => (n - count / 2) ** 2 / (count / 2)))).to.be.lessThan(21);
    const std = Math.sqrt(sum(logits.flat().map((h) => h * h)) / (4 * count));
    expect(std).to.be.closeTo(Math.LN2 + 0.01, 0.03);
  });

  it("P49: the load loss moves the router where a hard count would not; in evaluation and at k = E it is a hard count", () => {
    const router = new moe.NoisyTopKRouter({ ...base(4), choices: 2, importance: 0 });
    const losses = route(router, tokensOf(6, 3), { pass: passOf(true, 1) }).losses;
    expect(Object.keys(losses)).to.deep.equal(["load"]);
    for (const g of gradients(losses["load"], router.parameters())) expect(sum(list(g).map(Math.abs))).to.be.greaterThan(1e-6);
    expect(route(router, tokensOf(6, 3)).losses["load"].requiresGrad, "evaluation").to.equal(false);
    const all = new moe.NoisyTopKRouter({ ...base(4), choices: 4, importance: 0 });
    const even = route(all, tokensOf(6, 3), { pass: passOf(true, 1) }).losses["load"];
    expect([even.itemSync(), even.requiresGrad]).to.deep.equal([0, false]);
  });
});

describe("top-k", () => {
  it("P5: softmax of the chosen logits is the chosen softmax over its sum, and sigmoid shares likewise", () =>
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom("softmax" as const, "sigmoid" as const),
        ({ count, experts, seed }, k, scores) =>
          scope(() => {
            const choices = Math.min(k, experts);
            const { gate, logits } = booksOf(
              route(new moe.TopKRouter({ ...base(experts), choices, scores, normalise: "after" }), tokensOf(count, seed)),
            );
            logits.forEach((h, t) => {
              const s = scores === "softmax" ? softmaxByHand(h) : h.map((x) => 1 / (1 + Math.exp(-x)));
              const best = largest(h, choices).map((e) => s[e]);
              best.forEach((x, i) => expect(gate[t][i]).to.be.closeTo(x / sum(best), 1e-12));
            });
          }),
      ),
      few,
    ));

  it("P7: all experts, none normalised after: the dense mixture", () => {
    const tokens = tokensOf(5, 2);
    const sparse = booksOf(route(new moe.TopKRouter({ ...base(3), choices: 3 }), tokens));
    const dense = booksOf(route(new moe.DenseRouter(base(3)), tokens));
    sparse.expert.forEach((row, t) => row.forEach((e, k) => expect(sparse.gate[t][k]).to.be.closeTo(dense.gate[t][e], 1e-12)));
  });

  it("P53: one choice, normalised after, teaches the router nothing, and says so", () => {
    const router = new moe.TopKRouter({ ...base(4), choices: 1, normalise: "after" });
    expect(router.traits.learns).to.equal(false);
    const tokens = tokensOf(5, 2);
    const routing = route(router, tokens);
    const [g] = gradients(
      routing
        .combine(routing.dispatch(tokens.reshape([5, D])))
        .square()
        .sum(),
      router.parameters(),
    );
    expect(list(g).every((x) => x === 0)).to.equal(true);
  });

  it("P67: a gate that underflows to 0 still has its slot, and its expert the token", () => {
    const steep = tensor(
      Float64Array.from({ length: D * 3 }, (_, i) => [900, 0, -900][i % 3]),
      { shape: [D, 3] },
    );
    const router = new moe.TopKRouter({
      ...base(3),
      choices: 3,
      initializer: (_, __, options) => tensor(steep.dataSync(), { ...options, shape: [D, 3] }),
    });
    const routing = route(router, tensor(new Float64Array(D).fill(1), { shape: [1, 1, D] }), { capacityFactor: 1 });
    const { gate, slot } = booksOf(routing);
    expect(gate[0].filter((g) => g === 0)).to.have.length(2);
    expect(slot[0].every((s) => s >= 0)).to.equal(true);
    expect(list(routing.dispatch(tensor(new Float64Array(D).fill(1), { shape: [1, D] })))).to.deep.equal(new Array(3 * D).fill(1));
  });

  it("P81: the second expert comes with probability min(1, g2 / threshold), never twice the first", () => {
    const count = 4000;
    const vector = normals(D, key(2).at("same"));
    const tokens = tensor(
      Float64Array.from({ length: count * D }, (_, i) => vector[i % D] * 0.4),
      { shape: [1, count, D] },
    );
    for (const threshold of [0.5, 1]) {
      const router = new moe.TopKRouter({ ...base(4), choices: 2, normalise: "after", randomBeyondFirst: threshold });
      const { expert, gate } = booksOf(route(router, tokens, { pass: passOf(true, 3) }));
      const came = expert.filter(([, second]) => second >= 0);
      const wanted = Math.min(1, gate[0][1] / threshold);
      expect(came.length / count).to.be.closeTo(wanted, 4 * Math.sqrt((wanted * (1 - wanted)) / count) + 1e-9);
      expect(came.every(([first, second]) => first !== second)).to.equal(true);
      expect(
        booksOf(route(router, tokens)).expert.every(([, second]) => second >= 0),
        "evaluation",
      ).to.equal(true);
    }
  });

  it("P77: the bias chooses and does not weigh; each step moves it by its rate against the load; padding does not count", () => {
    const router = new moe.TopKRouter({ ...base(4), choices: 1, scores: "sigmoid", normalise: "none", biasRate: 0.01 });
    const { bias } = router;
    if (!bias) throw new Error("a bias");
    const tokens = tokensOf(8, 5);
    const mask = tensor(Float64Array.from([1, 1, 1, 1, 1, 1, 0, 0]), { shape: [1, 8] });
    const routing = route(router, tokens, { mask });
    const load = [0, 1, 2, 3].map(
      (e) =>
        booksOf(routing)
          .expert.flat()
          .filter((x) => x === e).length,
    );
    expect(sum(load)).to.equal(6);
    router.afterStep(routing);
    expect(list(bias)).to.deep.equal(load.map((n) => 0.01 * Math.sign(1.5 - n)));
    expect([router.parameters().length, router.state().has("bias"), bias.requiresGrad]).to.deep.equal([1, true, false]);
    bias.assign(tensor(new Float64Array(4)));
    const other = route(router, tokensOf(20, 6));
    const both = [0, 1, 2, 3].map(
      (e) =>
        load[e] +
        booksOf(other)
          .expert.flat()
          .filter((x) => x === e).length,
    );
    router.afterStep(routing, other);
    expect(list(bias), "accumulated passes count together").to.deep.equal(both.map((n) => 0.01 * Math.sign(sum(both) / 4 - n)));
    bias.assign(tensor(Float64Array.of(0, 0, 100, 0)));
    const pushed = booksOf(route(router, tokens));
    expect(pushed.expert.flat().every((e) => e === 2)).to.equal(true);
    pushed.gate.forEach(([g], t) => expect(g).to.be.closeTo(1 / (1 + Math.exp(-pushed.logits[t][2])), 1e-12));
    bias.assign(tensor(Float64Array.of(100, 100, 200, 100)));
    expect(booksOf(route(router, tokens)).expert, "a constant changes nothing").to.deep.equal(pushed.expert);
  });

  for (const dtype of ["float32", "float64", "bfloat16"] as const)
    for (const precision of ["float32", "tokens"] as const)
      it(`P77: with parameters of ${dtype} and logits in ${precision}, choices work, and the bias is at least float32`, () => {
        const options = { ...base(4), dtype, precision, choices: 2, biasRate: 0.001, gumbelBeyondFirst: true } as const;
        for (const expertGroups of [undefined, { count: 2, keep: 1 }]) {
          const router = new moe.TopKRouter({ ...options, ...(expertGroups && { expertGroups }) });
          const routing = route(router, tokensOf(300, 5).cast(dtype), { pass: passOf(true, 1) });
          router.afterStep(routing);
          const load = [0, 1, 2, 3].map((e) => list(routing.books.expertOfChoice).filter((x) => x === e).length);
          const wanted = load.map((n) => Math.fround(0.001) * Math.sign(150 - n));
          const bias = router.bias ?? tensor([NaN]);
          expect(bias.dtype).to.equal(dtype === "float64" ? "float64" : "float32");
          list(bias).forEach((b, e) => expect(b).to.be.closeTo(wanted[e], 1e-9));
          route(router, tokensOf(5, 6).cast(dtype));
        }
      });

  it("P77: the bias evens out a load that scores alone leave uneven", () => {
    const router = new moe.TopKRouter({ ...base(4), choices: 1, scores: "sigmoid", normalise: "none", biasRate: 0.02 });
    const tokens = tokensOf(64, 5);
    const violation = (): number => {
      const routing = route(router, tokens);
      router.afterStep(routing);
      return (
        Math.max(
          ...[0, 1, 2, 3].map(
            (e) =>
              booksOf(routing)
                .expert.flat()
                .filter((x) => x === e).length,
          ),
        ) /
          16 -
        1
      );
    };
    const before = violation();
    for (let step = 0; step < 60; step++) scope(violation);
    expect(before).to.be.greaterThan(0.3);
    expect(violation()).to.be.lessThan(before / 2);
  });

  it("experts of groups that were not chosen are not chosen", () => {
    const router = new moe.TopKRouter({ ...base(6), choices: 3, expertGroups: { count: 3, keep: 2 } });
    booksOf(route(router, tokensOf(30, 1))).expert.forEach((row) =>
      expect(new Set(row.map((e) => Math.floor(e / 2))).size).to.be.at.most(2),
    );
  });
});

describe("expert choice", () => {
  it("P69 P70 P72: every expert takes C different tokens, C E / T each in the mean; no losses", () =>
    fc.assert(
      fc.property(sizes, fc.constantFrom(0.5, 1, 2), ({ count, experts, seed }, average) =>
        scope(() => {
          const routing = route(new moe.ExpertChoiceRouter({ ...base(experts), average }), tokensOf(count, seed));
          const capacity = moe.capacityOf(count, experts, average);
          const { expert } = booksOf(routing);
          for (let e = 0; e < experts; e++) expect(expert.filter((row) => row[e] === e)).to.have.length(capacity);
          expect(routing.losses).to.deep.equal({});
        }),
      ),
      few,
    ));

  it("P71: each takes those with the largest probability, weighed by it", () => {
    const { expert, gate, logits, slot } = booksOf(route(new moe.ExpertChoiceRouter({ ...base(3), average: 1 }), tokensOf(7, 4)));
    for (let e = 0; e < 3; e++) {
      const p = logits.map((h) => softmaxByHand(h)[e]);
      const taken = expert.flatMap((row, t) => (row[e] === e ? [t] : []));
      expect(taken).to.deep.equal(largest(p, 3).sort((a, b) => a - b));
      for (const t of taken) expect(gate[t][e]).to.be.closeTo(p[t], 1e-12);
      for (const t of taken) expect(slot[t][e]).to.be.within(e * 3, e * 3 + 2);
    }
  });

  it("refuses a causal model unless told to, and says why", () => {
    const request = { tokens: tokensOf(4, 1), capacityFactor: 1, pass: passOf(false, 0), causal: true } as const;
    const makers: [string, (allowCausal: boolean) => Router][] = [
      ["ExpertChoiceRouter", (allowCausal) => new moe.ExpertChoiceRouter({ ...base(2), allowCausal })],
      ["SoftRouter", (allowCausal) => new moe.SoftRouter({ ...base(2), slots: 1, allowCausal })],
      ["BalancedRouter", (allowCausal) => new moe.BalancedRouter({ ...base(2), allowCausal })],
    ];
    for (const [name, make] of makers) {
      expect(() => make(false).route(request)).to.throw(RangeError, `${name}.route: this model is causal, and`);
      expect(make(true).route(request).books.gate.shape[0]).to.equal(4);
    }
  });

  it("P73: capped, A keeps to its sums and comes within temperature times entropy of the best assignment", () => {
    const [tokens, experts, slots, cap] = [6, 3, 3, 2];
    const scores = tensor(Float64Array.from(normals(tokens * experts, key(4).at("scores"))), { shape: [1, tokens, experts] })
      .softmax(-1)
      .transpose(1, 2);
    const temperature = 0.02;
    const a = list(moe.cappedAssignment(scores, slots, cap, undefined, { temperature, rounds: 300 }));
    const s = list(scores);
    const rowSum = (e: number): number => sum(a.slice(e * tokens, (e + 1) * tokens));
    for (let e = 0; e < experts; e++) expect(rowSum(e)).to.be.closeTo(slots, 5e-3);
    for (let t = 0; t < tokens; t++) expect(sum([0, 1, 2].map((e) => a[e * tokens + t]))).to.be.at.most(cap + 1e-3);
    expect(Math.max(...a)).to.be.at.most(1 + 1e-3);
    const best = bestCapped(s, tokens, experts, slots, cap);
    const worth = sum(a.map((x, i) => x * s[i]));
    const entropy = sum(a.map((x) => (x > 0 ? -x * Math.log(x) : 0)));
    expect(worth).to.be.within(best - temperature * (entropy + 1), best + 1e-2);
  });

  it("P73: capped, no token has more than b experts and no expert more than C tokens; padding has none", () =>
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 3 }), fc.nat(3), fc.boolean(), ({ count, experts, seed }, cap, padding, alike) =>
        scope(() => {
          const real = maskOf({ batch: 1, length: count, padding: [Math.min(padding, count)] });
          const mask = tensor(Float64Array.from(real), { shape: [1, count] });
          const tokens = alike ? tensor(new Float64Array(count * D).fill(0.5), { shape: [1, count, D] }) : tokensOf(count, seed);
          const router = new moe.ExpertChoiceRouter({ ...base(experts), average: 1, cap, assignment: { rounds: seed % 5 } });
          const { expert, slot } = booksOf(route(router, tokens, { mask }));
          expert.forEach((row, t) => expect(row.filter((e) => e >= 0).length).to.be.at.most(real[t] * cap));
          for (let e = 0; e < experts; e++)
            expect(expert.filter((row) => row[e] >= 0).length).to.be.at.most(moe.capacityOf(count, experts, 1));
          expert.forEach((row, t) => row.forEach((e, k) => expect(e >= 0).to.equal(slot[t][k] >= 0)));
        }),
      ),
      { numRuns: 60 },
    ));

  it("P73: capped, what is served is worth nearly the best there is, and hardly a slot stays empty", () => {
    const [count, experts, slots, cap] = [7, 3, 2, 1]; // 6 seats for 7 tokens
    const average = (slots * experts) / count;
    const shares = Array.from({ length: 20 }, (_, seed) =>
      scope(() => {
        const through = (options: { cap?: number }) =>
          booksOf(route(new moe.ExpertChoiceRouter({ ...base(experts), average, ...options }), tokensOf(count, seed)));
        const { expert, probs } = through({ cap });
        const byExpert = Array.from({ length: experts }, (__, e) => probs.map((row) => row[e])).flat();
        const served = expert.flatMap((row, t) => row.flatMap((e, k) => (e < 0 ? [] : [probs[t][k]])));
        const bites = through({}).expert.some((row) => row.filter((e) => e >= 0).length > cap);
        return { worth: sum(served) / bestCapped(byExpert, count, experts, slots, cap), seats: served.length, bites };
      }),
    );
    expect(shares.filter(({ bites }) => bites).length, "cases in which the cap bites").to.be.at.least(8);
    for (const { worth } of shares) expect(worth).to.be.within(0.8, 1 + 1e-9);
    expect(sum(shares.map(({ worth }) => worth)) / shares.length).to.be.at.least(0.97);
    expect(sum(shares.map(({ seats }) => seats)) / (shares.length * slots * experts)).to.be.at.least(0.97);
  });
});

/** The largest sum of scores [E, T] over all 0/1 choices of `slots` tokens per expert with at most `cap` experts per token: by trying all. */
function bestCapped(scores: readonly number[], tokens: number, experts: number, slots: number, cap: number): number {
  const used = new Array<number>(tokens).fill(0);
  const subsets = Array.from({ length: 2 ** tokens }, (_, bits) =>
    Array.from({ length: tokens }, (__, t) => t).filter((t) => (bits >> t) & 1),
  ).filter((set) => set.length === slots);
  const best = (e: number): number => {
    if (e === experts) return 0;
    let top = -Infinity;
    for (const set of subsets) {
      if (set.some((t) => used[t] >= cap)) continue;
      for (const t of set) used[t]++;
      top = Math.max(top, sum(set.map((t) => scores[e * tokens + t])) + best(e + 1));
      for (const t of set) used[t]--;
    }
    return top;
  };
  return best(0);
}

describe("soft MoE", () => {
  const soft = (experts: number, slots: number) => new moe.SoftRouter({ ...base(experts), slots });

  it("P76: slots mix tokens and tokens mix slots, each with weights that add up to 1", () =>
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 3 }), fc.nat(6), ({ count, experts, seed }, slots, padding) =>
        scope(() => {
          const tokens = tokensOf(count, seed);
          const real = maskOf({ batch: 1, length: count, padding: [Math.min(padding, count)] });
          const routing = route(soft(experts, slots), tokens, { mask: tensor(Float64Array.from(real), { shape: [1, count] }) });
          const [dispatch, combine] = routing.tables.map((x) => rowsOf(x.squeeze(0)));
          const any = Number(real.includes(1));
          for (const row of dispatch) expect(sum(row)).to.be.closeTo(any, 1e-12);
          combine.forEach((row, t) => expect(sum(row)).to.be.closeTo(real[t], 1e-12));
          dispatch.forEach((row) => row.forEach((w, t) => !real[t] && expect(w).to.equal(0)));
        }),
      ),
      few,
    ));

  it("P76: tokens of norm 0 mix evenly; slots of one expert may change places", () => {
    const zero = tensor(new Float64Array(3 * D), { shape: [1, 3, D] });
    const [dispatch, combine] = route(soft(2, 2), zero).tables.map(list);
    expect(dispatch.every((w) => Math.abs(w - 1 / 3) < 1e-12)).to.equal(true);
    expect(combine.every((w) => Math.abs(w - 1 / 4) < 1e-12)).to.equal(true);
    const router = soft(2, 2);
    const tokens = tokensOf(3, 1);
    const y = (): number[] => {
      const routing = route(router, tokens);
      const rows = routing.dispatch(tokens.reshape([3, D]));
      return list(routing.combine(rows.square().mul(tensor(Float64Array.of(1, 2), { shape: [2, 1, 1] })))); // experts 1 and 2
    };
    const before = y();
    const w = rowsOf(router.slots);
    router.slots.assign(tensor(Float64Array.from(w.flatMap(([a, b, c, d]) => [b, a, c, d])), { shape: [D, 4] }));
    y().forEach((x, i) => expect(x).to.be.closeTo(before[i], 1e-12));
  });
});

describe("hash", () => {
  it("P79: one id, one expert; gate 1; nothing to learn, nothing to lose", () => {
    const router = new moe.HashRouter({ experts: 3, table: moe.randomHash(10, 3, key(1)) });
    const ids = tensor(Int32Array.of(4, 7, 4, 4, 7, 0), { shape: [1, 6] });
    const routing = route(router, tokensOf(6, 1), { ids });
    const { expert, gate } = booksOf(routing);
    expect(new Set([expert[0][0], expert[2][0], expert[3][0]]).size).to.equal(1);
    expect(gate.flat()).to.deep.equal([1, 1, 1, 1, 1, 1]);
    const made = scope(() => ({ made: [new moe.HashRouter({ experts: 2, table: [1, 0] })] })).made[0];
    expect(list(made.table), "its table outlives the scope it was made in").to.deep.equal([1, 0]);
    expect([router.parameters().length, Object.keys(routing.losses).length]).to.deep.equal([0, 0]);
    expect(() => route(router, tokensOf(6, 1))).to.throw(TypeError, "ids are missing");
    expect(() => new moe.HashRouter({ experts: 2, table: [0, 2] })).to.throw(RangeError, "table[1] 2: want a whole number from 0 to 1");
  });

  it("a balanced table spreads counts to within the largest of them", () =>
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (counts, experts) => {
        const table = moe.balancedHash(counts, experts);
        const load = Array.from({ length: experts }, (_, e) => sum(counts.filter((__, id) => table[id] === e)));
        expect(Math.max(...load) - Math.min(...load)).to.be.at.most(Math.max(...counts));
      }),
    ));

  it("a balanced table takes ids of one count in their order", () =>
    expect(moe.balancedHash([2, 5, 5, 2, 5, 2], 3)).to.deep.equal([0, 0, 1, 1, 2, 2]));
});

describe("balanced assignment", () => {
  it("P80: rows add up to 1 / T, columns to 1 / E, padding to 0", () =>
    fc.assert(
      fc.property(sizes, ({ count, experts, seed }) =>
        scope(() => {
          const logits = tensor(Float64Array.from(normals(count * experts, key(seed).at("logits"))), { shape: [1, count, experts] });
          const open = tensor(
            Float64Array.from({ length: count }, (_, t) => Number(t === 0 || t % 3 !== 2)),
            { shape: [1, count, 1] },
          );
          const real = list(open);
          const p = rowsOf(moe.sinkhorn(logits, open, { rounds: 200 }).squeeze(0));
          p.forEach((row, t) => expect(sum(row)).to.be.closeTo(real[t] / sum(real), 1e-6));
          for (let e = 0; e < experts; e++) expect(sum(p.map((row) => row[e]))).to.be.closeTo(1 / experts, 1e-6);
        }),
      ),
      few,
    ));

  it("P80: loads even while training what plain argmax loads unevenly", () => {
    const router = new moe.BalancedRouter({ ...base(4), rounds: 50, temperature: 0.2 });
    const tokens = tokensOf(64, 2);
    const heaviest = (training: boolean): number => {
      const { expert } = booksOf(route(router, tokens, { pass: passOf(training, 1) }));
      return Math.max(...[0, 1, 2, 3].map((e) => expert.flat().filter((x) => x === e).length));
    };
    expect(heaviest(false)).to.be.greaterThan(20);
    expect(heaviest(true)).to.be.at.most(20);
  });
});
