/** The layer, its experts, its metrics, its trace, and models made of it. P78, P83 to P86, P88 of the field. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, gradients, key, noGrad, scope, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import { DenseFeedForward, DecoderLanguageModel, Linear, Module, summary } from "../../src/nn/index.ts";

import { booksOf, list, normals, passOf, wide } from "../../src/testing/cases.ts";

const [D, F, E] = [4, 5, 3];
const base = { width: D, experts: E, random: key(3), dtype: "float64" } as const;
const experts = (options: Partial<moe.FeedForwardExpertsOptions> = {}) =>
  new moe.FeedForwardExperts({ ...base, hidden: F, initializer: wide, ...options });
const router = (options: Partial<moe.SwitchOptions> = {}) => new moe.SwitchRouter({ ...base, initializer: wide, jitter: 0, ...options });
const tokensOf = (count: number, seed = 1): Tensor =>
  tensor(Float64Array.from(normals(count * D, key(seed).at("x"))), { shape: [1, count, D], requiresGrad: true });
const evaluation = passOf(false, 0);
const closeTo = (a: readonly number[], b: readonly number[], tolerance = 1e-9): void => {
  expect(a.length).to.equal(b.length);
  a.forEach((x, i) => expect(x).to.be.closeTo(b[i], tolerance));
};

describe("a pass without losses", () => {
  it("computes none, in the layer and under its parts, and all else as ever", () => {
    const layer = new moe.MoE({ router: router({ zLoss: 0.1 }), experts: experts() });
    const x = tokensOf(6);
    for (const pass of [evaluation, passOf(true, 1)]) {
      const [with_, without] = [pass, { ...pass, losses: false }].map((each) => layer.forward(x, {}, each));
      expect(Object.keys(with_.losses)).to.eql(["balance", "z"]);
      expect(without.losses).to.eql({});
      expect(list(without.output)).to.eql(list(with_.output));
    }
    expect(() => layer.forward(x, {}, { ...evaluation, losses: 1 as never })).to.throw(TypeError, "MoE.forward: pass");
  });
});

describe("experts", () => {
  it("of slots pass over the rows that hold no token: with the even layout they agree wherever a token is, and give zeros elsewhere", () => {
    const net = experts({ bias: false });
    const x = tokensOf(7);
    const { layout, books } = router().route({ tokens: x, capacityFactor: 2, pass: evaluation });
    const rows = tensor(Float64Array.from(normals(layout.lead[0] * layout.lead[1] * D, key(2))), { shape: [...layout.lead, D] });
    const [counted, all] = [layout, { ...layout, filled: null, project: (a: Tensor, w: Tensor) => a.matmul(w) }].map((each) =>
      list(net.forward(rows, each, evaluation)),
    );
    const seats = new Set(list(books.slotOfChoice));
    expect(seats.size, "a few rows are empty").to.be.lessThan(layout.lead[0] * layout.lead[1]);
    const wanted = all.map((v, i) => (seats.has(Math.floor(i / D)) ? v : 0));
    closeTo(counted, wanted);
  });

  for (const kind of ["relu", "gelu", "geglu", "swiglu"] as const)
    it(`P86: ${kind} experts that are all one dense layer are that layer, times the gate`, () => {
      const dense = new DenseFeedForward(D, F, { kind, random: key(4), dtype: "float64", initializer: wide });
      for (const bias of [dense.hidden.bias, dense.output.bias]) bias?.assign(tensor(Float64Array.from(normals(bias.size, key(7)))));
      class Model extends Module {
        readonly feedForward: Module;
        constructor(feedForward: Module) {
          super();
          this.feedForward = feedForward;
        }
      }
      const layer = new moe.MoE({ router: router(), experts: experts({ kind }), trainingCapacityFactor: Infinity });
      const renormalised = new moe.MoE({
        router: new moe.TopKRouter({ ...base, initializer: wide, choices: 2, normalise: "after" }),
        experts: experts({ kind }),
      });
      for (const sparse of [layer, renormalised]) moe.upcycle(new Model(dense), new Model(sparse));
      const x = tokensOf(6);
      const wanted = list(dense.apply(x, evaluation));
      closeTo(list(renormalised.forward(x, {}, evaluation).output), wanted);
      for (const pass of [evaluation, passOf(true, 1)]) {
        const { output, routing } = layer.forward(x, {}, pass);
        closeTo(
          list(output),
          wanted.map((y, i) => y * booksOf(routing).gate[Math.floor(i / D)][0]),
        );
      }
    });

  it("an expertCapacity that no expert can exceed is dropless; one below it has slots, and drops", () => {
    const layer = (expertCapacity: number): moe.MoE => new moe.MoE({ router: router(), experts: experts(), expertCapacity });
    const x = tokensOf(6);
    const dropless = new moe.MoE({ router: router(), experts: experts() }).forward(x, {}, evaluation);
    for (const capacity of [6, 64]) {
      const { output, routing } = layer(capacity).forward(x, {}, evaluation);
      expect(routing.layout.offsets, "sorted rows").to.not.equal(null);
      closeTo(list(output), list(dropless.output), 0);
    }
    const { routing } = layer(1).forward(x, {}, evaluation);
    expect(routing.layout.offsets).to.equal(null);
    expect(
      booksOf(routing)
        .slot.flat()
        .filter((slot) => slot < 0).length,
    ).to.be.at.least(3);
  });

  it("modules as experts are what batched experts are, in slots and in sorted rows, with their gradients", () => {
    class Expert extends Module {
      readonly hidden: Linear;
      readonly output: Linear;
      constructor(batched: moe.FeedForwardExperts, e: number) {
        super();
        const of = (x: Tensor | null): Tensor =>
          tensor(x ? list(x).slice((e * x.size) / E, ((e + 1) * x.size) / E) : [], { dtype: "float64" });
        const linear = (weight: Tensor, bias: Tensor | null, from: number, to: number): Linear => {
          const made = new Linear(from, to, { random: key(1), dtype: "float64" });
          made.weight.assign(of(weight).reshape([from, to]));
          made.bias?.assign(of(bias));
          return made;
        };
        this.hidden = linear(batched.hidden, batched.hiddenBias, D, F);
        this.output = linear(batched.output, batched.outputBias, F, D);
      }
      forward(x: Tensor): Tensor {
        return this.output.forward(this.hidden.forward(x).relu());
      }
    }
    const batched = experts();
    for (const bias of [batched.hiddenBias, batched.outputBias])
      bias?.assign(tensor(Float64Array.from(normals(bias.size, key(9))), { shape: bias.shape }));
    const single = new moe.ModuleExperts([0, 1, 2].map((e) => new Expert(batched, e)));
    for (const evaluationCapacityFactor of [1, "dropless"] as const) {
      const run = (which: moe.Experts): number[] => {
        const x = tokensOf(7);
        const { output } = new moe.MoE({ router: router(), experts: which, evaluationCapacityFactor }).forward(x, {}, evaluation);
        return [...list(output), ...list(gradients(output.square().sum(), [x])[0])];
      };
      closeTo(run(single), run(batched));
    }
  });

  it("P83: each expert is drawn differently, by the fan-in of one", () => {
    const { hidden, output } = new moe.FeedForwardExperts({ experts: 4, width: 30, hidden: 60, random: key(1) });
    for (const [weight, fanIn] of [
      [hidden, 30],
      [output, 60],
    ] as const) {
      // prettier-ignore
      const each = weight.size / 4;
      const drawn = [0, 1, 2, 3].map((e) => list(weight).slice(e * each, (e + 1) * each));
      expect(new Set(drawn.map((w) => w.slice(0, 8).join())).size).to.equal(4);
      for (const w of drawn) {
        expect(Math.sqrt(w.reduce((sum, x) => sum + x * x, 0) / each) / Math.sqrt(0.1 / fanIn)).to.be.closeTo(0.8796, 0.05);
        expect(Math.max(...w.map(Math.abs))).to.be.at.most(2 * Math.sqrt(0.1 / fanIn));
      }
    }
  });

  it("P84: expert dropout is off in evaluation, differs between experts, and keeps the mean", () => {
    const ones = (shape: readonly number[], _: unknown, options = {}): Tensor =>
      tensor(new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(1), { ...options, shape });
    const dropping = new moe.FeedForwardExperts({ ...base, hidden: 40, initializer: ones, dropout: 0.4, bias: false });
    const layout = {
      experts: E,
      lead: [E, 50],
      offsets: null,
      filled: null,
      project: (x: Tensor, w: Tensor) => x.matmul(w),
      spread: (v: Tensor) => v.unsqueeze(1),
    };
    const rows = tensor(new Float64Array(E * 50 * D).fill(1), { shape: [E, 50, D] });
    const plain = list(dropping.forward(rows, layout, evaluation));
    expect(new Set(plain)).to.deep.equal(new Set([40 * D]));
    const noisy = list(dropping.forward(rows, layout, passOf(true, 1)));
    expect(noisy.slice(0, 50 * D)).to.not.deep.equal(noisy.slice(50 * D, 100 * D));
    expect(noisy.reduce((a, b) => a + b, 0) / noisy.length / (40 * D)).to.be.closeTo(1, 0.05);
  });

  it("P85: parameters and floating-point operations are those of the shapes", () => {
    const layer = new moe.MoE({ router: router(), experts: experts({ bias: false }) });
    expect(layer.parameters().reduce((sum, x) => sum + x.size, 0)).to.equal(E * 2 * D * F + D * E);
    expect(layer.cost(1)).to.deep.equal({ active: 2 * D * F + D * E, flops: 2 * (2 * D * F) + 2 * D * E });
    const top2 = new moe.MoE({ router: new moe.TopKRouter({ ...base, choices: 2 }), experts: experts({ bias: false, kind: "swiglu" }) });
    expect(top2.cost(1).flops).to.equal(2 * 2 * (3 * D * F) + 2 * D * E);
    const mean = new moe.MoE({ router: new moe.ExpertChoiceRouter({ ...base, average: 1.5 }), experts: experts({ bias: false }) });
    expect(mean.cost(1).flops).to.equal(1.5 * 2 * (2 * D * F) + 2 * D * E);
    const soft = new moe.MoE({ router: new moe.SoftRouter({ ...base, slots: 2 }), experts: experts({ bias: false }) });
    expect(soft.cost(8).flops).to.equal(((2 * E) / 8) * 2 * (2 * D * F) + 2 * D * 2 * E);
  });
});

describe("summary", () => {
  const plain = { random: key(2), dtype: "float64", bias: false } as const;
  const networks: readonly [string, moe.Experts, number][] = [
    ["batched", experts({ bias: false }), 2 * D * F],
    ["matrices", new moe.LinearExperts({ ...base, outputs: D }), D * D],
    ["modules", new moe.ModuleExperts([0, 1, 2].map(() => new Linear(D, D, plain))), D * D],
  ];
  for (const [name, network, one] of networks)
    it(`has in each row what one token runs through: K of E experts, ${name}`, () => {
      const layer = new moe.MoE({
        router: new moe.TopKRouter({ ...base, choices: 2 }),
        experts: network,
        shared: new DenseFeedForward(D, F, plain),
      });
      const { rows, ...whole } = summary(layer);
      const row = (path: string) => rows.find((each) => each.path === path);
      const active = 2 * one + 2 * D * F + D * E;
      expect(whole).to.include({ parameters: active + (E - 2) * one, active, flops: 2 * active });
      expect(row("experts")).to.include({ parameters: E * one, active: 2 * one, flops: 4 * one });
      expect(row("router")).to.include({ active: D * E, flops: 2 * D * E });
      expect(row("shared")).to.include({ active: 2 * D * F });
      if (name === "modules") expect(row("experts.modules.1")).to.include({ parameters: one, active: (2 / 3) * one });
    });
});

describe("layer", () => {
  it("says null for the parts that it has not", () => {
    const layer = new moe.MoE({ router: router(), experts: experts() });
    expect([layer.shared, layer.sharedGate, layer.expertCapacity]).to.deep.equal([null, null, null]);
  });

  it("adds shared experts to every token, dropped or not", () => {
    const shared = new DenseFeedForward(D, F, { random: key(4), dtype: "float64", initializer: wide });
    const alone = new moe.MoE({ router: router(), experts: experts(), evaluationCapacityFactor: 0.01 });
    const both = new moe.MoE({ router: router(), experts: experts(), evaluationCapacityFactor: 0.01, shared });
    const x = tokensOf(6);
    closeTo(list(both.forward(x, {}, evaluation).output), list(alone.forward(x, {}, evaluation).output.add(shared.apply(x, evaluation))));
  });

  it("takes its capacity from the mode: slots while training, no drops in evaluation", () => {
    const layer = new moe.MoE({ router: router(), experts: experts() });
    expect([passOf(true, 1), evaluation].map((pass) => layer.forward(tokensOf(6), {}, pass).routing.kind)).to.deep.equal([
      "slots",
      "sorted",
    ]);
  });

  it("computes for a token alone what it computes for it among others, with the same gradients; for padding alone, 0", () => {
    const layer = new moe.MoE({ router: router(), experts: experts() });
    const x = tokensOf(5);
    const weights = [x, ...layer.parameters()];
    const of = (each: readonly Tensor[]): { output: Tensor; slopes: number[][] } => {
      const output = concat(each.map((tokens) => layer.forward(tokens, {}, evaluation).output), 1); // prettier-ignore
      return { output, slopes: gradients(output.square().sum(), weights).map(list) };
    };
    const [together, alone] = [[x], Array.from({ length: 5 }, (_, t) => x.narrow(1, t, t + 1))].map(of);
    expect(list(alone.output)).to.eql(list(together.output));
    alone.slopes.forEach((slope, i) => closeTo(slope, together.slopes[i]));
    const [tokens, mask] = [x.narrow(1, 0, 1), tensor([[0]])];
    const { dispatch, combine } = router().route({ tokens, mask, capacityFactor: "dropless", pass: evaluation });
    const row = tokens.reshape([1, D]);
    for (const empty of [layer.forward(tokens, { mask }, evaluation).output, dispatch(row), combine(row)])
      expect(list(empty)).to.eql([0, 0, 0, 0]);
  });

  it("survives the scope it was computed in", () => {
    const layer = new moe.MoE({ router: router(), experts: experts() });
    const x = tokensOf(6);
    for (const pass of [passOf(true, 1), evaluation]) {
      const { routing } = scope(() => noGrad(() => layer.forward(x, {}, pass)));
      const rows = routing.dispatch(x.reshape([6, D]));
      expect(list(routing.combine(layer.experts.forward(rows, routing.layout, evaluation)))).to.have.length(6 * D);
    }
  });

  it("refuses experts that the router does not count, and capacities that are none", () => {
    expect(() => new moe.MoE({ router: router({ experts: 2 }), experts: experts() })).to.throw(
      RangeError,
      "MoE: experts: want as many as the router has, 2, not 3",
    );
    expect(() => new moe.MoE({ router: router(), experts: experts(), trainingCapacityFactor: -1 })).to.throw(
      RangeError,
      "MoE: trainingCapacityFactor -1: want a number above 0",
    );
  });
});

describe("paths", () => {
  const objective = (y: Tensor): Tensor => y.mul(tensor(Float64Array.from(normals(y.size, key(11))), { shape: y.shape })).sum();

  it("P57: the gradient of a token is that through its expert, plus through its gate, plus through the losses", () => {
    const [route, network] = [router({ balance: 0.5, zLoss: 0.3 }), experts()];
    const x = tokensOf(6);
    const of = (forExperts: Tensor, forRouter: Tensor, lossOnly: boolean): number[] => {
      const routing = route.route({ tokens: forRouter, capacityFactor: 1, pass: passOf(true, 3) });
      const y = routing.combine(network.forward(routing.dispatch(forExperts.reshape([6, D])), routing.layout, evaluation));
      const total = routing.losses["balance"].add(routing.losses["z"]);
      return list(gradients(lossOnly ? total : objective(y), [x])[0]);
    };
    const still = x.detach();
    const routing = route.route({ tokens: x, capacityFactor: 1, pass: passOf(true, 3) });
    const y = routing.combine(network.forward(routing.dispatch(x.reshape([6, D])), routing.layout, evaluation));
    const all = list(gradients(objective(y).add(routing.losses["balance"]).add(routing.losses["z"]), [x])[0]);
    const parts = [of(x, still, false), of(still, x, false), of(still, x, true)];
    for (const part of parts)
      expect(
        part.some((g) => Math.abs(g) > 1e-6),
        "no path is dead",
      ).to.equal(true);
    closeTo(
      all,
      all.map((_, i) => parts[0][i] + parts[1][i] + parts[2][i]),
    );
  });

  it("P59: choices, slots and counts carry no gradient", () => {
    const { books } = router().route({ tokens: tokensOf(6), capacityFactor: 1, pass: evaluation });
    expect([books.expertOfChoice, books.slotOfChoice].map((x) => [x.dtype, x.requiresGrad])).to.deep.equal([["int32", false], ["int32", false]]); // prettier-ignore
    expect(books.gate.requiresGrad).to.equal(true);
  });

  it("P8: one expert is a dense layer with a gate of 1, a balance of alpha and no variation of importance", () => {
    const one = new moe.FeedForwardExperts({ ...base, experts: 1, hidden: F, initializer: wide });
    const x = tokensOf(5);
    const dense = list(
      one.forward(
        x.reshape([1, 5, D]),
        { experts: 1, lead: [1, 5], offsets: null, filled: null, project: (a, w) => a.matmul(w), spread: (v) => v.unsqueeze(1) },
        evaluation,
      ),
    );
    const alone = new moe.MoE({ router: router({ experts: 1, balance: 0.01 }), experts: one });
    const { output, losses, routing } = alone.forward(x, {}, passOf(true, 1));
    closeTo(list(output), dense);
    expect(booksOf(routing).gate.flat()).to.deep.equal([1, 1, 1, 1, 1]);
    expect(losses["balance"].itemSync()).to.be.closeTo(0.01, 1e-12);
    const noisy = new moe.NoisyTopKRouter({ ...base, experts: 1, choices: 1 }).route({
      tokens: x,
      capacityFactor: 1,
      pass: passOf(true, 1),
    });
    expect(noisy.losses["importance"].itemSync()).to.equal(0);
  });

  it("P26: identity experts with gates of 1 return each token as often as it has slots", () => {
    const hash = new moe.HashRouter({ experts: E, table: [0, 1, 2, 0] });
    const ids = tensor(Int32Array.of(0, 3, 0, 1, 2, 3), { shape: [1, 6] });
    const x = tokensOf(6);
    const routing = hash.route({ tokens: x, ids, capacityFactor: 0.5, pass: evaluation });
    const kept = booksOf(routing).slot.map(([s]) => Number(s >= 0));
    expect(kept).to.deep.equal([1, 0, 0, 1, 1, 0]);
    closeTo(
      list(routing.combine(routing.dispatch(x.reshape([6, D])))),
      list(x).map((v, i) => v * kept[Math.floor(i / D)]),
    );
  });

  it("P75: over the whole batch, one sequence takes another's slots", () => {
    const x = Float64Array.from(normals(2 * 4 * D, key(2)));
    const second = (first: Float64Array, group: moe.Group): number[] => {
      const tokens = tensor(Float64Array.from([...first, ...x.slice(4 * D)]), { shape: [2, 4, D] });
      return list(
        new moe.MoE({ router: router({ group }), experts: experts(), evaluationCapacityFactor: 0.5 })
          .forward(tokens, {}, evaluation)
          .output.narrow(0, 1, 2),
      );
    };
    const others = [x.slice(0, 4 * D), x.slice(4 * D)];
    expect(second(others[0], "sequence")).to.deep.equal(second(others[1], "sequence"));
    expect(second(others[0], "batch")).to.not.deep.equal(second(others[1], "batch"));
  });
});

describe("from dense to sparse and back", () => {
  const model = (sparse: boolean, kind: "relu" | "gelu" = "relu", seed = 1): DecoderLanguageModel =>
    new DecoderLanguageModel({
      vocabulary: 7, width: D, layers: 2, heads: 2, hidden: F, kind, random: key(seed), dtype: "float64",
      ...(sparse && { feedForward: (_, { random }) => new moe.MoE({ router: new moe.TopKRouter({ ...base, choices: 2, normalise: "after" }), experts: experts({ random, bias: false }) }) }),
    }); // prettier-ignore
  const ids = tensor(Int32Array.of(1, 2, 3, 4, 5), { shape: [1, 5] });

  it("P86: an upcycled model says what the dense one said, while its gates add up to 1", () => {
    const [dense, sparse] = [model(false), model(true, "relu", 2)];
    moe.upcycle(dense, sparse);
    closeTo(list(sparse.forward(ids, {}, evaluation).logits), list(dense.forward(ids, {}, evaluation).logits));
  });

  it("P41: a model's loss is the sum of its layers', not that of their tokens pooled", () => {
    const on = (favourite: number) => (shape: readonly number[], _: unknown, options = {}) =>
      tensor(Float64Array.from({ length: D * E }, (__, i) => Number(i % E === favourite)), { ...options, shape }); // prettier-ignore
    const sparse = new DecoderLanguageModel({
      vocabulary: 7, width: D, layers: 2, heads: 2, hidden: F, random: key(1), dtype: "float64",
      feedForward: (layer) => new moe.MoE({ router: router({ balance: 0.5, initializer: on(layer) }), experts: experts() }),
    }); // prettier-ignore
    const { losses, routings } = sparse.forward(ids, {}, passOf(true, 1));
    const each = (routings as moe.Routing[]).map((routing) => routing.losses["balance"].itemSync());
    expect(losses["balance"].itemSync()).to.be.closeTo(each[0] + each[1], 1e-12);
    const all = (name: "expertOfChoice" | "probs") => concat((routings as moe.Routing[]).map(({ books }) => books[name].unsqueeze(0)), 1); // prettier-ignore
    const pooled = 0.5 * moe.loadBalance({ expertOfChoice: all("expertOfChoice"), probs: all("probs") }).itemSync();
    expect(Math.abs(losses["balance"].itemSync() - pooled)).to.be.greaterThan(0.1);
  });

  it("a student takes everything from its teacher but the experts and routers", () => {
    const [teacher, student] = [model(true), model(false, "relu", 2)];
    const own = [...student.state()].filter(([name]) => name.includes("feedForward.")).map(([name]) => name);
    const copied = moe.copyShared(teacher, student);
    expect([...copied, ...own].sort()).to.deep.equal([...student.state().keys()].sort());
    for (const name of copied) expect(list(student.state().get(name)!)).to.deep.equal(list(teacher.state().get(name)!));
  });

  it("says which place does not fit, and changes nothing", () => {
    const sparse = model(true);
    const before = [...sparse.state().values()].map(list);
    expect(() => moe.upcycle(model(false, "gelu"), sparse)).to.throw(RangeError, '"blocks.0.feedForward" is relu, its dense layer gelu');
    expect(() => moe.upcycle(model(true), sparse)).to.throw(TypeError, 'no feed-forward layer at "blocks.0.feedForward"');
    expect(() => moe.upcycle(sparse, model(false))).to.throw(RangeError, "want a model with a sparse layer");
    expect([...sparse.state().values()].map(list)).to.deep.equal(before);
  });
});

describe("metrics", () => {
  const route = async (count: number, factor: moe.CapacityFactor, seed: number, padding = 0, choices = 1) => {
    const mask = tensor(
      Float64Array.from({ length: count }, (_, t) => Number(t < count - padding)),
      { shape: [1, count] },
    );
    const several = new moe.TopKRouter({ ...base, initializer: wide, choices });
    const routing = (choices > 1 ? several : router()).route({
      tokens: tokensOf(count, seed),
      mask,
      capacityFactor: factor,
      pass: evaluation,
    });
    return { routing, host: await moe.readBooks(routing) };
  };

  it("P78 P88: count what the books say", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom<moe.CapacityFactor>(0.5, 1, 2, "dropless"),
        fc.nat(50),
        fc.nat(3),
        fc.integer({ min: 1, max: E }),
        async (count, factor, seed, padding, choices) => {
          const { routing, host } = await route(count, factor, seed, Math.min(padding, count), choices);
          const { expert, slot, gate } = booksOf(routing);
          const m = moe.measure(host);
          const made = expert.flat().filter((e) => e >= 0);
          const kept = slot.flat().filter((s) => s >= 0).length;
          expect(m.load).to.deep.equal([0, 1, 2].map((e) => made.filter((x) => x === e).length));
          const tokens = count - Math.min(padding, count);
          expect([m.tokens, made.length]).to.deep.equal([tokens, tokens * choices]);
          expect(m.droppedChoices).to.be.closeTo(tokens ? 1 - kept / made.length : 0, 1e-12);
          const left = expert.filter((row, t) => row[0] >= 0 && slot[t].every((s) => s < 0)).length;
          expect(m.dropped).to.be.closeTo(tokens ? left / tokens : 0, 1e-12);
          expect(m.maxViolation).to.be.within(0, E - 1 + 1e-12);
          expect(m.loadEntropy).to.be.within(0, 1 + 1e-12);
          const rows = factor === "dropless" ? kept : E * moe.capacityOf(count, E, factor, choices);
          expect(m.utilisation).to.be.closeTo(rows ? kept / rows : 0, 1e-12);
          const gates = gate.flatMap((row, t) => row.filter((_, k) => slot[t][k] >= 0));
          expect(m.confidence).to.be.closeTo(kept ? gates.reduce((a, b) => a + b, 0) / kept : 0, 1e-9);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("P78: even load has entropy 1 and violation 0, collapse 0 and E - 1", () => {
    const books = (expert: number[]): moe.HostBooks => ({
      tokens: expert.length,
      experts: E,
      choices: 1,
      rows: expert.length,
      expertOfChoice: Int32Array.from(expert),
      slotOfChoice: Int32Array.from(expert.keys()),
      gate: new Float64Array(expert.length).fill(1),
    });
    const [even, one] = [[0, 1, 2], [1, 1, 1]].map((expert) => moe.measure(books(expert))); // prettier-ignore
    expect([even.maxViolation, one.maxViolation, one.loadEntropy]).to.deep.equal([0, E - 1, 0]);
    expect(even.loadEntropy).to.be.closeTo(1, 1e-12);
    expect(moe.measure(books([0]), books([1]), books([2])).maxViolation, "together").to.equal(0);
  });

  it("P78: entropy is between 0 and 1, MaxVio between 0 and E - 1, of any load", () => {
    const loads = fc.array(fc.nat(50), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(loads, (load) => {
        expect(moe.loadEntropy(load)).to.be.within(0, 1 + 1e-12);
        expect(moe.maxViolation(load)).to.be.within(0, load.length - 1 + 1e-12);
        const uneven = new Set(load).size > 1;
        expect([moe.loadEntropy(load) < 1 - 1e-9, moe.maxViolation(load) > 1e-9]).to.deep.equal(
          load.some((n) => n > 0) || load.length === 1 ? [uneven, uneven] : [true, false],
        );
      }),
    );
    expect([moe.entropy([1, 1, 2]), moe.entropy([0, 0])]).to.deep.equal([1.5, 0]);
  });

  it("P88: a token that no expert took is dropped, by all and by class; padding is not", async () => {
    const mask = tensor(Float64Array.of(1, 1, 1, 1, 1, 1, 1, 0, 0), { shape: [1, 9] });
    const choosing = new moe.ExpertChoiceRouter({ ...base, initializer: wide, average: 0.5 });
    const host = await moe.readBooks(choosing.route({ tokens: tokensOf(9, 5), mask, capacityFactor: 1, pass: evaluation }));
    const taken = Array.from({ length: 9 }, (_, t) => host.slotOfChoice.slice(t * E, (t + 1) * E).some((s) => s >= 0));
    const left = taken.slice(0, 7).filter((served) => !served).length;
    expect(left).to.be.within(1, 6);
    const { tokens, dropped, droppedChoices } = moe.measure(host);
    expect([tokens, dropped, droppedChoices]).to.deep.equal([7, left / 7, 0]);
    expect(moe.droppedBy(host, new Array<number>(9).fill(0), 1)).to.deep.equal({ tokens: [7], dropped: [left] });
  });

  it("P88: of several layers or batches, whatever their sizes, they are those of all together", async () => {
    const hosts = await Promise.all([route(9, 0.5, 3, 1), route(4, 2, 5, 1), route(6, 1, 7, 2)].map(async (one) => (await one).host));
    expect(new Set(hosts.map(({ rows }) => rows)).size, "different numbers of rows").to.be.greaterThan(1);
    const together = moe.measure(...hosts);
    const each = hosts.map((host) => moe.measure(host));
    const total = (of: (i: number) => number): number => hosts.reduce((sum, _, i) => sum + of(i), 0);
    const rows = total((i) => hosts[i].rows);
    const kept = (i: number): number => each[i].utilisation * hosts[i].rows;
    const made = (i: number): number => each[i].load.reduce((a, b) => a + b, 0);
    expect(together.load).to.deep.equal(each[0].load.map((_, e) => total((i) => each[i].load[e])));
    expect(together.tokens).to.equal(total((i) => each[i].tokens));
    expect(together.utilisation).to.be.closeTo(total(kept) / rows, 1e-12);
    expect(together.dropped).to.be.closeTo(total((i) => each[i].dropped * each[i].tokens) / together.tokens, 1e-12);
    expect(together.droppedChoices).to.be.closeTo(total((i) => each[i].droppedChoices * made(i)) / total(made), 1e-12);
    expect(together.confidence).to.be.closeTo(total((i) => each[i].confidence * kept(i)) / total(kept), 1e-12);
  });

  it("of no books are zeros and no loads; of layers with more and fewer experts, loads of the most", () => {
    const none = { tokens: 0, dropped: 0, droppedChoices: 0, loadEntropy: 1, maxViolation: 0, confidence: 0, utilisation: 0 };
    expect(moe.measure()).to.deep.equal({ load: [], ...none });
    const lone = (experts: number): moe.HostBooks => ({ tokens: 1, experts, choices: 1, rows: 1, expertOfChoice: Int32Array.of(0), slotOfChoice: Int32Array.of(0), gate: Float64Array.of(1) }); // prettier-ignore
    expect(moe.measure(lone(2), lone(4), lone(1)).load).to.deep.equal([3, 0, 0, 0]);
  });

  it("name no padding where no mask was given", () => {
    const routing = router().route({ tokens: tokensOf(3, 1), capacityFactor: 1, pass: evaluation });
    expect(routing.books.real).to.equal(null);
  });

  it("drops by position and by class add up to all drops", async () => {
    const { host } = await route(9, 0.5, 3, 1);
    const position = Array.from({ length: 9 }, (_, t) => t);
    const by = moe.droppedBy(host, position, 9);
    const m = moe.measure(host);
    expect(by.tokens.reduce((a, b) => a + b, 0)).to.equal(m.tokens);
    expect(by.dropped.reduce((a, b) => a + b, 0)).to.be.closeTo(m.dropped * m.tokens, 1e-9);
    expect(m.dropped).to.be.greaterThan(0);
    const table = moe.expertsByClass(
      host,
      position.map((t) => t % 2),
      2,
    );
    expect([0, 1, 2].map((e) => table[0][e] + table[1][e])).to.deep.equal(m.load);
    const twice = await route(9, 0.5, 3, 1, 2);
    const each = moe.expertsByClass(twice.host, position, 9);
    const chosen = Array.from(twice.host.expertOfChoice);
    each.forEach((row, t) =>
      expect(row, `token ${t}`).to.deep.equal([0, 1, 2].map((e) => chosen.slice(2 * t, 2 * t + 2).filter((c) => c === e).length)),
    );
    expect(() => moe.droppedBy(host, [1], 2)).to.throw(RangeError, "droppedBy: classOfToken of 1: want one for each of 9 tokens");
    const first = position.findIndex((t) => !host.real || host.real[t]);
    for (const counts of [moe.droppedBy, moe.expertsByClass])
      for (const value of [-1, 2, 0.5]) {
        const classes = position.map((t) => (t === first ? value : 1));
        expect(() => counts(host, classes, 2)).to.throw(`${counts.name}: classOfToken[${first}] ${value}: want a whole number from 0 to 1`);
      }
  });
});

describe("trace", () => {
  it("refuses a model that answers other routings than a list", async () => {
    const model = { forward: () => ({ routings: 3 }) } as unknown as moe.TraceableModel;
    const error: unknown = await moe.trace(model, tensor(Int32Array.of(1), { shape: [1, 1] })).catch((reason: unknown) => reason);
    expect(String(error)).to.equal("RangeError: trace: model.forward(...).routings 3: want an array of routings");
  });

  it("says for every layer and token which expert, how sure, and whether there was room", async () => {
    const model = new DecoderLanguageModel({
      vocabulary: 7, width: 8, layers: 2, heads: 2, hidden: 8, random: key(1),
      feedForward: (_layer, { random }) =>
        new moe.MoE({ router: new moe.SwitchRouter({ width: 8, experts: 2, random }), experts: new moe.FeedForwardExperts({ experts: 2, width: 8, hidden: 8, random }), evaluationCapacityFactor: 0.5 }),
    }); // prettier-ignore
    const ids = tensor(Int32Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
    const tokens = await moe.trace(model, ids);
    expect(tokens.map(({ layer, sequence, position }) => [layer, sequence, position].join())).to.deep.equal(
      [0, 1].flatMap((l) => [0, 1].flatMap((s) => [0, 1, 2].map((p) => [l, s, p].join()))),
    );
    for (const { probs, choices } of tokens) {
      expect(probs.reduce((a, b) => a + b, 0)).to.be.closeTo(1, 1e-6);
      expect(choices).to.have.length(1);
      expect(choices[0].gate).to.be.closeTo(Math.max(...probs), 1e-6);
      expect(choices[0].kept).to.equal(choices[0].slot >= 0);
    }
    expect(tokens.filter(({ choices }) => !choices[0].kept).length, "dropped").to.be.greaterThan(0);
    const text = moe.formatTrace(tokens, (s, p) => "abcdef"[s * 3 + p]);
    expect(text.split("\n")).to.have.length(12 + 4);
    expect(text)
      .to.match(/layer 1, sequence 1\n    0 {2}"d" {2}expert [01] gate 0\.\d{3} /)
      .and.to.include("x dropped");
    const headings = text.split("\n").filter((line) => line.startsWith("layer"));
    expect(headings).to.deep.equal(["layer 0, sequence 0", "layer 0, sequence 1", "layer 1, sequence 0", "layer 1, sequence 1"]);
    const oneSequence = tokens.filter(({ sequence }) => sequence === 0);
    expect(moe.formatTrace(oneSequence).split("\n").filter((line) => line.startsWith("layer"))).to.deep.equal(["layer 0, sequence 0", "layer 1, sequence 0"]); // prettier-ignore
    const columns = text.split("\n").filter((line) => line.includes("["));
    expect(new Set(columns.map((line) => line.indexOf("["))).size, "one column").to.equal(1);
  });
});
