/** Attention with sparse matrices, alone and in a model. */
import { expect } from "chai";
import { gradients, key, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import { DecoderLanguageModel, MultiHeadAttention } from "../../src/nn/index.ts";
import { booksOf, list, normals, passOf } from "../../src/testing/cases.ts";

const D = 8;
const evaluation = passOf(false, 0);
const attention = (experts: number, options: Partial<moe.SwitchOptions> = {}, scale?: number, seed = 1): moe.SwitchAttention =>
  new moe.SwitchAttention(D, {
    ...(scale !== undefined && { scale }),
    heads: 2,
    experts,
    random: key(seed),
    dtype: "float64",
    router: (init) => new moe.SwitchRouter({ ...options, width: D, experts, ...init, dtype: "float64" }),
  });
const tokensOf = (length: number): Tensor =>
  tensor(Float64Array.from(normals(2 * length * D, key(4))), { shape: [2, length, D], requiresGrad: true });
const closeTo = (a: readonly number[], b: readonly number[]): void => a.forEach((x, i) => expect(x).to.be.closeTo(b[i], 1e-9));

describe("Switch attention", () => {
  it("with one expert is multi-head attention with its matrices", () => {
    for (const scale of [undefined, 1]) {
      const sparse = attention(1, {}, scale);
      const dense = new MultiHeadAttention(D, { heads: 2, bias: false, random: key(9), dtype: "float64", ...(scale && { scale }) });
      const [q, kv] = [sparse.queries, sparse.keysAndValues].map(({ experts }) => (experts as moe.LinearExperts).weight);
      const side = Array.from({ length: D }, (_, d) => [...list(q).slice(d * D, (d + 1) * D), ...list(kv).slice(d * 2 * D, (d + 1) * 2 * D)]); // prettier-ignore
      dense.projection.weight.assign(tensor(Float64Array.from(side.flat()), { shape: [D, 3 * D] }));
      dense.output.weight.assign(sparse.output.weight);
      const x = tokensOf(5);
      const mask = tensor(Float64Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0), { shape: [2, 5] });
      const bias = tensor(Float64Array.from(normals(2 * 5 * 5, key(6))), { shape: [1, 2, 5, 5] });
      for (const given of [
        { causal: true, mask },
        { causal: false, mask },
        { causal: true, bias },
        { causal: false, bias, mask },
      ]) {
        const wanted = dense.forward(x, given, evaluation);
        const { output } = sparse.extend(x, given, evaluation);
        closeTo(list(output.narrow(0, 0, 1)), list(wanted.narrow(0, 0, 1)));
        closeTo(list(output.narrow(0, 1, 2).narrow(1, 0, 3)), list(wanted.narrow(0, 1, 2).narrow(1, 0, 3)));
      }
    }
  });

  it("begins with queries so much smaller as its scale is larger than usual, and all else alike", () => {
    const [usual, plain] = [attention(3), attention(3, {}, 1)];
    const [small, large] = [plain, usual].map(({ queries }) => list((queries.experts as moe.LinearExperts).weight));
    closeTo(small, large.map((w) => w / Math.sqrt(D / 2))); // prettier-ignore
    expect(list((plain.keysAndValues.experts as moe.LinearExperts).weight)).to.deep.equal(list((usual.keysAndValues.experts as moe.LinearExperts).weight)); // prettier-ignore
  });

  it("costs both routers, one expert of each kind, the output, and the mixing of a sequence", () => {
    const matrices = 2 * D * 3 + D * D + D * 2 * D + D * D;
    const length = 5;
    expect(attention(3).cost(length)).to.deep.equal({ active: matrices, flops: 2 * matrices + 4 * length * D });
  });

  it("adds the losses of both its routers, and its gradient reaches both and all experts in use", () => {
    const layer = attention(3, { zLoss: 0.1, jitter: 0 });
    const x = tokensOf(6);
    const { output, losses, routings } = layer.extend(x, { causal: true }, passOf(true, 2));
    expect(routings).to.have.length(2);
    const sum = (name: string): number => routings.reduce((total, { losses: own }) => total + own[name].itemSync(), 0);
    for (const name of ["balance", "z"]) expect(losses[name].itemSync()).to.be.closeTo(sum(name), 1e-12);
    for (const g of gradients(output.square().sum(), layer.parameters())) expect(list(g).some((v) => Math.abs(v) > 1e-12)).to.equal(true);
  });

  it("in a decoder: cached and uncached logits agree, the future stays out, routings come in layer order", () => {
    const model = new DecoderLanguageModel({
      vocabulary: 7, width: D, layers: 2, heads: 2, hidden: 8, random: key(1), dtype: "float64",
      attention: (_, { random }) => new moe.SwitchAttention(D, { heads: 2, experts: 2, random, dtype: "float64", router: (init) => new moe.TopKRouter({ width: D, experts: 2, choices: 1, biasRate: 0.01, ...init, dtype: "float64" }) }),
      feedForward: (_, { random }) => new moe.MoE({ router: new moe.SwitchRouter({ width: D, experts: 3, random, dtype: "float64" }), experts: new moe.FeedForwardExperts({ experts: 3, width: D, hidden: 8, random, dtype: "float64" }) }),
    }); // prettier-ignore
    const ids = tensor(Int32Array.of(1, 2, 3, 4, 5), { shape: [1, 5] });
    const whole = model.forward(ids, {}, evaluation);
    const [first, rest] = [ids.narrow(1, 0, 3), ids.narrow(1, 3, 5)];
    const head = model.forward(first, {}, evaluation);
    closeTo(list(head.logits), list(whole.logits.narrow(1, 0, 3)));
    closeTo(list(model.forward(rest, { past: head.seen }, evaluation).logits), list(whole.logits.narrow(1, 3, 5)));
    const routings = whole.routings as moe.Routing[];
    expect(routings.map(({ layout }) => layout.experts)).to.deep.equal([2, 2, 3, 2, 2, 3]);
    moe.afterStep(model, routings);
    const layers = model.namedModules().flatMap(([, module]) => (module instanceof moe.TopKRouter ? [module] : []));
    layers.forEach(({ bias }, i) => {
      const [a, b] = [0, 1].map(
        (e) =>
          booksOf(routings[[0, 1, 3, 4][i]])
            .expert.flat()
            .filter((x) => x === e).length,
      );
      expect(bias && list(bias)).to.deep.equal([0.01 * Math.sign(b - a), 0.01 * Math.sign(a - b)]);
    });
    expect(() => moe.afterStep(model, routings.slice(1))).to.throw(RangeError, "5 routings for 6 sparse layers");
  });

  it("refuses a memory, which it would not read, and rows of another number of experts", () => {
    const layer = attention(2);
    const x = tokensOf(3);
    expect(() => layer.extend(x, { memory: x }, evaluation)).to.throw(TypeError, "SwitchAttention.extend: there is no option memory");
    const { routing } = layer.queries.forward(x, {}, evaluation);
    const experts = new moe.LinearExperts({ experts: 3, width: D, outputs: 2, random: key(1), dtype: "float64" });
    expect(() => experts.forward(routing.dispatch(x.reshape([6, D])), routing.layout)).to.throw(
      RangeError,
      "LinearExperts.forward: layout of 2 experts: want 3",
    );
  });

  it("refuses a width that heads do not divide", () => {
    expect(
      () =>
        new moe.SwitchAttention(7, {
          heads: 2,
          experts: 2,
          random: key(1),
          router: (init) => new moe.SwitchRouter({ width: 7, experts: 2, ...init }),
        }),
    ).to.throw(RangeError, "SwitchAttention: heads 2: want a number that divides the width of 7");
  });
});
