/** B batch, H heads, T queries, S keys, K width of a head. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, key, noGrad, ones, scope, tensor, withBackend, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { MultiHeadAttention, Rotary, attention, attentionWeights, paddingBias } from "switchyard-moe/nn";
import type { AttentionOptions } from "switchyard-moe/nn";
import { checkGradients } from "switchyard-moe/testing";
import { ServingBackend } from "./servedAttention.ts";
import { distance, drawn, evaluating, expectClose, training } from "./plain.ts";

/** By loops, as the formula says: for each query the weighted mean of the values it may see. */
function byHand(q: Tensor, k: Tensor, v: Tensor, { causal = false, bias, scale = 1 / Math.sqrt(q.shape[3]) }: AttentionOptions): Tensor {
  const [[B, H, T, K], S, V] = [q.shape, k.shape[2], v.shape[3]];
  const added = (bias ?? zeros([], { dtype: "float64" })).broadcastTo([B, H, T, S]).dataSync();
  const [qs, ks, vs] = [q, k, v].map((x) => x.dataSync());
  const out = new Float64Array(B * H * T * V);
  for (let head = 0; head < B * H; head++)
    for (let t = 0; t < T; t++) {
      const weights = Array.from({ length: S }, (_, s) => {
        if (causal && s > t + S - T) return 0;
        let score = added[(head * T + t) * S + s];
        for (let i = 0; i < K; i++) score += scale * qs[(head * T + t) * K + i] * ks[(head * S + s) * K + i];
        return Math.exp(score);
      });
      const total = weights.reduce((a, b) => a + b, 0) || 1;
      weights.forEach((weight, s) => {
        for (let i = 0; i < V; i++) out[(head * T + t) * V + i] += (weight / total) * vs[(head * S + s) * V + i];
      });
    }
  return tensor(out, { shape: [B, H, T, V] });
}

const sizes = fc.record({
  B: fc.integer({ min: 1, max: 2 }),
  H: fc.integer({ min: 1, max: 3 }),
  T: fc.integer({ min: 1, max: 4 }),
  more: fc.nat(3),
  K: fc.integer({ min: 1, max: 4 }),
  V: fc.integer({ min: 1, max: 3 }),
});
const cases = fc.record({ size: sizes, seed: fc.nat(1000), causal: fc.boolean(), biased: fc.constantFrom("none", "heads", "padding") });

function build({ size: { B, H, T, more, K, V }, seed, causal, biased }: typeof cases extends fc.Arbitrary<infer C> ? C : never) {
  const S = T + more;
  const [q, k, v] = [[T, K], [S, K], [S, V]].map(([n, width], i) => drawn([B, H, n, width], `${seed} ${i}`)); // prettier-ignore
  const padding = paddingBias(
    tensor(
      Array.from({ length: B * S }, (_, i) => Number(key(seed).number(i) < 0.35)),
      { shape: [B, S] },
    ),
    "float64",
  );
  const bias = biased === "heads" ? drawn([H, T, S], seed) : padding;
  return { q, k, v, options: biased === "none" ? { causal } : { causal, bias } };
}

describe("attention", () => {
  it("is its formula: biases, causality, padding, rows that see nothing", () => {
    let blind = 0;
    fc.assert(
      fc.property(cases, (drawnCase) => {
        const { q, k, v, options } = build(drawnCase);
        expectClose(attention(q, k, v, options), byHand(q, k, v, options));
        const sums = attentionWeights(q, k, options).sum(-1).dataSync();
        blind += sums.filter((sum) => sum === 0).length;
        for (const sum of sums) expect(sum === 0 || Math.abs(sum - 1) < 1e-9).to.equal(true);
      }),
      { numRuns: 150 },
    );
    expect(blind).to.be.above(10);
  });

  it("has right derivatives to second order, the bias's too", () =>
    fc.assert(
      fc.asyncProperty(cases, (drawnCase) => {
        const { q, k, v, options } = build(drawnCase);
        if (drawnCase.biased !== "heads") return checkGradients((x, y, z) => attention(x, y, z, options), [q, k, v]);
        return checkGradients((x, y, z, bias) => attention(x, y, z, { ...options, bias }), [q, k, v, options.bias ?? q]);
      }),
      { numRuns: 12 },
    ));

  it("a query that sees nothing gives zeros and sends nothing back", () => {
    const [q, k, v] = [1, 2, 3].map((seed) => drawn([1, 1, 2, 3], seed).requireGrad());
    const out = attention(q, k, v, { bias: tensor([[0, 0], [-Infinity, -Infinity]], { dtype: "float64" }) }); // prettier-ignore
    expect([...out.dataSync()].slice(3)).to.deep.equal([0, 0, 0]);
    out.sum().backward();
    expect([...(q.grad?.dataSync() ?? [])].slice(3)).to.deep.equal([0, 0, 0]);
    for (const x of [q, k, v]) expect(x.grad?.isFinite().min().itemSync()).to.equal(1);
  });

  it("stays finite at scores of 1e4", () => {
    const q = drawn([1, 1, 3, 4], 1).mul(100);
    expect(attention(q, q, q, { causal: true, scale: 1 }).isFinite().min().itemSync()).to.equal(1);
  });

  it("is computed in float32 for bfloat16 and rounded once", () => {
    const [q, k, v] = [1, 2, 3].map((seed) => drawn([1, 2, 4, 8], seed).cast("float32").cast("bfloat16"));
    const wide = attention(...([q, k, v].map((x) => x.cast("float32")) as [Tensor, Tensor, Tensor]));
    expect([...attention(q, k, v).dataSync()]).to.deep.equal([...wide.cast("bfloat16").dataSync()]);
  });

  it("says what does not fit", () => {
    const x = drawn([1, 2, 3, 4], 1);
    const unfit = "[1, 2, 3, 5], [2, 2, 3, 4], [1, 3, 3, 4], [2, 3, 4], [1, 2, 3, 4, 1]";
    for (const [q, k] of [...(JSON.parse(`[${unfit}]`) as number[][]).map((k) => [x.shape, k]), [[1, 2, 3, 4, 1], x.shape]])
      expect(() => attention(drawn(q, 1), drawn(k, 1), x)).to.throw(
        `attention: queries [${q.join(", ")}] and keys [${k.join(", ")}]: want [B, H, T, K] and [B, G, S, K], G a divisor of H`,
      );
    for (const shape of [
      [1, 2, 4, 4],
      [1, 1, 3, 4],
      [2, 2, 3, 4],
    ])
      // prettier-ignore
      expect(() => attention(x, x, drawn(shape, 1))).to.throw(
        `attention: keys [1, 2, 3, 4] and values [${shape.join(", ")}] differ before the width`,
      );
    expect(() => attention(x, drawn([1, 2, 2, 4], 1), drawn([1, 2, 2, 4], 1), { causal: true })).to.throw(
      "attention: causal, but 3 queries are more than 2 keys",
    );
  });

  // A kernel trusts shapes: it would read beyond a bias that is too small, and the composition would stretch the scores.
  for (const [device, backend] of [
    ["the composition", undefined],
    ["a kernel", new ServingBackend()],
  ] as const)
    // prettier-ignore
    it(`refuses a bias that is not that of the scores before ${device} meets it`, () => {
      const place = backend ? { backend } : {};
      const x = ones([2, 2, 3, 4], place);
      for (const shape of [[3, 4], [3, 2], [3, 2, 3, 3], [1, 2, 2, 3, 3]]) { // prettier-ignore
        const why = `bias [${shape.join(", ")}] does not stretch to the scores [2, 2, 3, 3]`;
        expect(() => attention(x, x, x, { bias: zeros(shape, place) })).to.throw(`attention: ${why}`);
        expect(() => attentionWeights(x, x, { bias: zeros(shape, place) })).to.throw(`attentionWeights: ${why}`);
      }
    });
});

describe("MultiHeadAttention", () => {
  const layer = new MultiHeadAttention(6, { heads: 2, random: key(1), dtype: "float64" });
  for (const bias of [layer.projection.bias, layer.output.bias]) bias?.assign(drawn(bias.shape, 9));

  it("is projections, attention in each head, and a projection back", () => {
    const x = drawn([2, 4, 6], 1);
    const heads = (from: number): Tensor => {
      const wide = layer.projection
        .forward(x)
        .narrow(-1, from * 6, from * 6 + 6)
        .contiguous();
      return wide.reshape([2, 4, 2, 3]).permute([0, 2, 1, 3]);
    };
    const mixed = byHand(heads(0), heads(1), heads(2), { causal: true });
    expectClose(layer.forward(x, { causal: true }, evaluating), layer.output.forward(mixed.permute([0, 2, 1, 3]).reshape([2, 4, 6])));
  });

  it("has right derivatives, alone and across", async () => {
    await checkGradients((x) => layer.forward(x, { causal: true }, evaluating), [drawn([2, 3, 6], 2)], { parameters: layer.parameters() });
    await checkGradients((x, memory) => layer.forward(x, { memory }, evaluating), [drawn([2, 3, 6], 2), drawn([2, 5, 6], 3)], {
      parameters: layer.parameters(),
    });
  });

  it("across to itself is attention to itself", () => {
    const x = drawn([2, 4, 6], 1);
    expectClose(layer.forward(x, { memory: x }, evaluating), layer.forward(x, {}, evaluating));
  });

  it("does not look at padding: its vectors may be anything", () => {
    const mask = tensor([[1, 1, 1, 0], [1, 1, 0, 0]]); // prettier-ignore
    const x = drawn([2, 4, 6], 1);
    const other = x.add(drawn([2, 4, 6], 2).mul(mask.cast("float64").neg().add(1).unsqueeze(2)));
    const real = mask.cast("float64").unsqueeze(2);
    expectClose(layer.forward(x, { mask }, evaluating).mul(real), layer.forward(other, { mask }, evaluating).mul(real), 1e-12);
    expect(distance(layer.forward(x, {}, evaluating), layer.forward(other, {}, evaluating))).to.be.above(0.01);
  });

  it("refuses a mask that is not one number per key, and a bias that is not one per score", () => {
    const x = drawn([2, 4, 6], 1);
    for (const shape of [[2, 3], [1, 4], [4]])
      // prettier-ignore
      expect(() => layer.forward(x, { mask: ones(shape) }, evaluating)).to.throw(
        `MultiHeadAttention: mask [${shape.join(", ")}] for keys [B, S] = [2, 4]`,
      );
    expect(() => layer.forward(x, { bias: drawn([4, 3], 1) }, evaluating)).to.throw(
      "attention: bias [4, 3] does not stretch to the scores [2, 2, 4, 4]",
    );
  });

  for (const rotary of [null, new Rotary()])
    it(`read token by token with keys and values kept is read at once${rotary ? ", with rotary positions" : ""}`, () => {
      const own = new MultiHeadAttention(8, { heads: 2, rotary, random: key(2), dtype: "float64" });
      const x = drawn([2, 5, 8], 1);
      let past: ReturnType<typeof own.extend>["seen"] | undefined;
      const parts = [
        [0, 2],
        [2, 3],
        [3, 5],
      ].map(([from, to]) => {
        // prettier-ignore
        const { output, seen } = own.extend(x.narrow(1, from, to), { causal: true, past }, evaluating);
        past = seen;
        return output;
      });
      expectClose(concat(parts, 1), own.forward(x, { causal: true }, evaluating));
    });

  it("drops probabilities while training only", () => {
    const own = new MultiHeadAttention(6, { heads: 2, dropout: 0.5, random: key(1), dtype: "float64" });
    const x = drawn([2, 4, 6], 1);
    expectClose(
      own.forward(x, {}, evaluating),
      new MultiHeadAttention(6, { heads: 2, random: key(1), dtype: "float64" }).forward(x, {}, evaluating),
    );
    expectClose(own.forward(x, {}, training(1)), own.forward(x, {}, training(1)));
    expect(distance(own.forward(x, {}, training(1)), own.forward(x, {}, evaluating))).to.be.above(0.01);
  });

  it("copies no head: five products, one copy back", () => {
    const x = ones([2, 4, 6], { dtype: "float64" });
    const before = x.backend.stats().launches;
    noGrad(() => layer.forward(x, {}, evaluating));
    // projection, its bias, scaled queries, scores, softmax, mixing, heads side by side, output, its bias
    expect(x.backend.stats().launches - before).to.be.at.most(9);
  });

  it("refuses heads that do not divide the width", () => {
    expect(() => new MultiHeadAttention(6, { heads: 4, random: key(1) })).to.throw(
      "MultiHeadAttention: width 6 does not divide into 4 heads",
    );
  });
});

describe("attention on a device that has a kernel for it", () => {
  const build = (): MultiHeadAttention => new MultiHeadAttention(6, { heads: 2, random: key(1), dtype: "float64" });
  const [served, plain] = [new ServingBackend(), build()];
  const layer = withBackend(served, build);
  const on = (x: Tensor): Tensor => x.to(served);
  const x = drawn([2, 3, 6], 1);
  const bias = drawn([2, 3, 3], 2);

  it("gives the same, forward and backward, in one piece and in parts", () => {
    for (const parts of [false, true]) {
      const input = parts ? { memory: x, bias } : { causal: true, bias };
      const run = (own: MultiHeadAttention, place: (t: Tensor) => Tensor): Tensor[] => {
        const leaves = [place(x).requireGrad(), place(bias).requireGrad()];
        const out = own.forward(leaves[0], { ...input, bias: leaves[1], ...(parts ? { memory: leaves[0] } : {}) }, evaluating);
        return [
          out,
          ...out
            .square()
            .sum()
            .gradients([...leaves, ...own.parameters()]),
        ];
      };
      const wanted = run(plain, (t) => t.detach());
      const before = { ...served.calls };
      run(layer, on).forEach((got, i) => expectClose(got.to(wanted[i].backend), wanted[i], 1e-12));
      expect([served.calls.forward - before.forward, served.calls.backward - before.backward]).to.deep.equal([1, 1]);
    }
  });

  it("has right derivatives to second order: a walk that records goes through the composition", () =>
    checkGradients((y, b) => layer.forward(y, { causal: true, bias: b }, evaluating), [on(x), on(bias)], {
      parameters: layer.parameters(),
    }));

  it("leaves no buffer of the walk behind", () => {
    const step = (): void =>
      scope(() => {
        layer.forward(on(x), { causal: true }, evaluating).square().sum().backward();
        layer.zeroGrad();
      });
    step();
    const { liveBuffers } = served.stats();
    for (let i = 0; i < 5; i++) step();
    expect(served.stats().liveBuffers).to.equal(liveBuffers);
  });
});
