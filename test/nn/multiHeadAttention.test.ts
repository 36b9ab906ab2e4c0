/** B batch, H heads of queries, G heads of keys and values, T queries, S keys, D width, K width of a head. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, full, key, random, tensor, withBackend } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { gpu } from "switchyard-moe/backend/gpu";
import { wasm } from "switchyard-moe/backend/wasm";
import { MultiHeadAttention, Rotary, attention, attentionWeights } from "switchyard-moe/nn";
import type { AttentionInput, Initializer, MultiHeadAttentionOptions } from "switchyard-moe/nn";
import { checkGradients } from "switchyard-moe/testing";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";
import { distance, drawn, evaluating, expectClose } from "./plain.ts";

const devices: Record<string, () => Promise<Backend>> = {
  cpu: () => Promise.resolve(new CpuBackend()),
  WebAssembly: () => wasm({ threads: 2 }),
  "gpu.js": () => gpu({ mode: "webasm" }),
};

/** [B, G, S, K] -> [B, H, S, K], each head as often as it is shared: copies, which the library never makes. */
function repeated(x: Tensor, heads: number): Tensor {
  const G = x.shape[1];
  return concat(
    Array.from({ length: heads }, (_, h) => x.narrow(1, Math.floor((h * G) / heads), Math.floor((h * G) / heads) + 1)),
    1,
  );
}

const shapes = fc.record({
  B: fc.integer({ min: 1, max: 2 }),
  G: fc.integer({ min: 1, max: 3 }),
  share: fc.integer({ min: 1, max: 3 }),
  T: fc.integer({ min: 1, max: 4 }),
  more: fc.nat(2),
  K: fc.integer({ min: 1, max: 5 }),
  causal: fc.boolean(),
  bias: fc.constantFrom("none", "all", "heads", "batch", "keys"),
  seed: fc.nat(999),
});
type Case = typeof shapes extends fc.Arbitrary<infer C> ? C : never;

/** [output, cotangents of q, k, v and the bias], with keys and values as they are, or repeated. */
function grouped({ B, G, share, T, more, K, causal, bias, seed }: Case, copies: boolean): Tensor[] {
  const [H, S] = [G * share, T + more];
  const biasShape = { none: [], all: [B, H, T, S], heads: [H, T, S], batch: [B, 1, T, S], keys: [B, 1, 1, S] }[bias];
  const [q, k, v, b] = [[B, H, T, K], [B, G, S, K], [B, G, S, K], biasShape].map((shape, i) => random.normal(shape, key(`${seed} ${i}`)).requireGrad()); // prettier-ignore
  const [keys, values] = copies ? [k, v].map((x) => repeated(x, H)) : [k, v];
  const out = attention(q, keys, values, { causal, ...(bias === "none" ? {} : { bias: b }) });
  const leaves = bias === "none" ? [q, k, v] : [q, k, v, b];
  return [out, ...out.mul(random.normal(out.shape, key(seed))).sum().gradients(leaves)]; // prettier-ignore
}

for (const [name, open] of Object.entries(devices))
  describe(`grouped-query attention on ${name}`, () => {
    let backend: Backend;
    before(async () => void (backend = await open()));
    after(() => (backend as { close?: () => void }).close?.());

    it("is attention with repeated keys and values, values and gradients", () =>
      fc.assert(
        fc.asyncProperty(shapes, async (drawnCase) => {
          const [shared, copied] = [false, true].map((copies) => withBackend(backend, () => grouped(drawnCase, copies)));
          for (const [i, x] of shared.entries()) {
            const [a, b] = [await x.data(), await copied[i].data()];
            expect(x.shape).to.deep.equal(copied[i].shape);
            a.forEach((value, j) => expect(value, `output ${i}, element ${j}`).to.be.closeTo(b[j], 1e-4 * (1 + Math.abs(b[j]))));
          }
        }),
        { numRuns: name === "gpu.js" ? 8 : 40 },
      )).timeout(180_000);

    it("never holds keys or values repeated, forward or backward", async () => {
      const own = await open(); // whose peak nobody else has raised
      const [H, S, K] = [16, 256, 32];
      const run = () => {
        const [q, k, v] = [[1, H, 1, K], [1, 1, S, K], [1, 1, S, K]].map((shape, i) => random.normal(shape, key(i)).requireGrad()); // prettier-ignore
        return attention(q, k, v).square().sum().gradients([q, k, v]);
      };
      const gradients = withBackend(own, run);
      for (const gradient of gradients) await gradient.data();
      // Keys, values, their cotangents, a few of them in passing; one repeated array would be 512 kB more.
      expect(own.stats().peakBytes).to.be.below(4 * H * S * K);
      (own as { close?: () => void }).close?.();
    }).timeout(120_000);
  });

describe("MultiHeadAttention's options", () => {
  const D = 6;
  const base = { heads: 4, keyValueHeads: 2, headWidth: 4, random: key(1), dtype: "float64" } as const;

  function lively(options: Partial<MultiHeadAttentionOptions>): MultiHeadAttention {
    const layer = new MultiHeadAttention(D, { ...base, ...options });
    for (const [name, parameter] of layer.namedParameters())
      if (parameter.shape.length === 1) parameter.assign(drawn(parameter.shape, name).add(1));
    return layer;
  }

  /** From the parameters, step by step, heads one after the other. */
  function byHand(layer: MultiHeadAttention, x: Tensor, { causal = false }: AttentionInput): Tensor {
    const { heads, keyValueHeads: G, headWidth: K } = layer;
    const all = x.matmul(layer.projection.weight).add(layer.projection.bias ?? 0);
    const part = (from: number, count: number): Tensor => all.narrow(-1, from * K, (from + count) * K);
    const rms = (y: Tensor): Tensor => y.mul(y.square().mean(-1, { keepDims: true }).add(1e-6).rsqrt());
    const norm = (y: Tensor, weight: Tensor | undefined): Tensor => {
      if (!weight) return y;
      if (weight.size > K) return rms(y).mul(weight);
      const parts = Array.from({ length: y.shape[2] / K }, (_, h) => rms(y.narrow(-1, h * K, h * K + K)).mul(weight));
      return concat(parts, -1);
    };
    const clip = (y: Tensor): Tensor => (layer.clip === null ? y : y.clamp(-layer.clip, layer.clip));
    const [q, k, v] = [norm(part(0, heads), layer.queryNorm?.weight), norm(part(heads, G), layer.keyNorm?.weight), part(heads + G, G)].map(clip); // prettier-ignore
    const head = (y: Tensor, h: number): Tensor => y.narrow(-1, h * K, h * K + K).unsqueeze(1);
    const turn = (y: Tensor): Tensor => layer.rotary?.forward(y, 0) ?? y;
    const mixed = Array.from({ length: heads }, (_, h) => {
      const g = Math.floor((h * G) / heads);
      return attention(turn(head(q, h)), turn(head(k, g)), head(v, g), { causal, scale: layer.scale }).squeeze(1);
    });
    return concat(mixed, -1)
      .matmul(layer.output.weight)
      .add(layer.output.bias ?? 0);
  }

  const variants: Record<string, Partial<MultiHeadAttentionOptions>> = {
    "heads of a width of their own, shared keys": {},
    "biases of the inputs alone": { bias: "inputs" },
    "a scale": { bias: false, scale: 1 },
    "queries and keys normed by head": { queryKeyNorm: "head" },
    "queries and keys normed over the whole width, then clipped": { queryKeyNorm: "width", clip: 0.9 },
    clipped: { clip: 0.5 },
    "turned by halves": { rotary: new Rotary({ theta: 100 }) },
    "turned by neighbours, normed": { rotary: new Rotary({ pairs: "neighbours" }), queryKeyNorm: "head" },
  };

  for (const [name, options] of Object.entries(variants)) {
    const layer = lively(options);

    it(`${name}: their formula`, () => {
      const x = drawn([2, 5, D], 1);
      for (const causal of [false, true]) expectClose(layer.forward(x, { causal }, evaluating), byHand(layer, x, { causal }));
    });

    it(`${name}: right derivatives`, () =>
      checkGradients((x) => layer.forward(x, { causal: true }, evaluating), [drawn([1, 3, D], 2)], {
        parameters: layer.parameters(),
        order: 1,
        tolerance: 1e-5,
      }));

    it(`${name}: read token by token is read at once`, () => {
      const x = drawn([2, 4, D], 1);
      let past: ReturnType<typeof layer.extend>["seen"] | undefined;
      const parts = [0, 1, 2, 3].map((t) => {
        const { output, seen } = layer.extend(x.narrow(1, t, t + 1), { causal: true, past }, evaluating);
        past = seen;
        return output;
      });
      expectClose(concat(parts, 1), layer.forward(x, { causal: true }, evaluating));
      expect(past?.keys.shape).to.deep.equal([2, 2, 4, 4]);
    });

    it(`${name}: across to itself is attention to itself, but for positions`, () => {
      const still = lively({ ...options, rotary: null });
      const x = drawn([2, 4, D], 1);
      expectClose(still.forward(x, { memory: x }, evaluating), still.forward(x, {}, evaluating));
    });

    it(`${name}: a memory read before is not read again`, () => {
      const [x, memory] = [drawn([2, 3, D], 1), drawn([2, 5, D], 2)];
      const { output, seen } = layer.extend(x, { memory }, evaluating);
      expectClose(layer.extend(x, { known: seen }, evaluating).output, output, 1e-12);
      expect(layer.extend(x, { known: seen }, evaluating).seen.keys).to.equal(seen.keys);
    });
  }

  it("has biases where asked", () => {
    const biases = (bias: MultiHeadAttentionOptions["bias"]): boolean[] => {
      const layer = new MultiHeadAttention(D, { ...base, ...(bias === undefined ? {} : { bias }) });
      return [layer.projection.bias !== null, layer.output.bias !== null];
    };
    expect([undefined, true, "inputs", false].map((bias) => biases(bias as never))).to.deep.equal([[true, true], [true, true], [true, false], [false, false]]); // prettier-ignore
  });

  it("attends to memories of widths of their own", async () => {
    const layer = lively({ keyWidth: 5, valueWidth: 3 });
    const [x, memory, values] = [drawn([2, 3, D], 1), drawn([2, 4, 5], 2), drawn([2, 4, 3], 3)];
    const heads = (y: Tensor, n: number): Tensor => y.reshape([2, y.shape[1], n, 4]).transpose(1, 2);
    const q = heads(layer.projection.forward(x), 4);
    const [k, v] = [layer.keys?.forward(memory), layer.values?.forward(values)].map((y) => (y ? heads(y, 2) : q));
    const wanted = layer.output.forward(attention(q, k, v).transpose(1, 2).reshape([2, 3, 16]));
    expectClose(layer.forward(x, { memory, values }, evaluating), wanted);
    await checkGradients((y, m, w) => layer.forward(y, { memory: m, values: w }, evaluating), [x, memory, values], {
      parameters: layer.parameters(),
      order: 1,
      tolerance: 1e-5,
    });
    expect(() => layer.forward(x, {}, evaluating)).to.throw("MultiHeadAttention: made with a keyWidth or valueWidth, it needs a memory");
  });

  it("begins with scores as large as ever, whatever the scale", () => {
    const usual = new MultiHeadAttention(D, { ...base, bias: false });
    const unscaled = new MultiHeadAttention(D, { ...base, bias: false, scale: 1 });
    const x = drawn([1, 4, D], 1);
    expectClose(unscaled.weights(x), usual.weights(x), 1e-12);
    expect(distance(unscaled.projection.weight, usual.projection.weight)).to.be.above(0.01);
  });

  it("gives the probabilities that it uses", () => {
    const layer = lively({ queryKeyNorm: "head", scale: 0.7 });
    const x = drawn([1, 4, D], 1);
    const { keys } = layer.extend(x, {}, evaluating).seen;
    const own = lively({ queryKeyNorm: "head", scale: 0.7 });
    expect(layer.weights(x).shape).to.deep.equal([1, 4, 4, 4]);
    const q = own.projection.forward(x).narrow(-1, 0, 16).reshape([1, 4, 4, 4]);
    const normed = own.queryNorm?.forward(q).transpose(1, 2) ?? q;
    expectClose(layer.weights(x), attentionWeights(normed, keys, { scale: 0.7 }));
  });

  it("says what does not fit", () => {
    const bad: [object, string][] = [
      [{ heads: 0 }, "MultiHeadAttention: heads 0: want a whole number of 1 or more"],
      [{ keyValueHeads: 3 }, "MultiHeadAttention: keyValueHeads 3 does not divide the 4 heads"],
      [{ headWidth: 3, rotary: new Rotary() }, "MultiHeadAttention: rotary positions pair the coordinates of a head; 3 is odd"],
      [{ queryKeyNorm: "heads" }, 'MultiHeadAttention: queryKeyNorm "heads": want "head", "width" or null'],
      [{ clip: -1 }, "MultiHeadAttention: clip -1: want a finite number above 0, or null"],
      [{ scael: 1 }, "MultiHeadAttention: there is no option scael"],
      [{ bias: 1 }, 'MultiHeadAttention: bias 1: want true, false or "inputs"'],
    ];
    for (const [options, message] of bad)
      expect(() => new MultiHeadAttention(D, { ...base, ...options } as MultiHeadAttentionOptions)).to.throw(message);
    expect(() => new MultiHeadAttention(2.5, base)).to.throw("MultiHeadAttention: width 2.5: want a whole number of 1 or more");
    expect(() => lively({}).forward(drawn([1, 2, D], 1), { memory: drawn([1, 2, 5], 1) }, evaluating)).to.throw(
      "MultiHeadAttention: [1, 2, 5] does not end in the width 6",
    );
    expect(() => new Rotary({ pairs: "both" as never })).to.throw('Rotary: pairs "both": want "halves" or "neighbours"');
  });
});

describe("the initializer of attention", () => {
  it("makes all projections, those of keys and values of other widths too", () => {
    const initializer: Initializer = (shape, _, options) => full(shape, 0.5, options);
    const layer = new MultiHeadAttention(4, { heads: 2, keyWidth: 3, valueWidth: 5, scale: Math.SQRT1_2, random: key(1), initializer });
    const weights = layer.namedParameters().filter(([name]) => name.endsWith("weight"));
    expect(weights).to.have.length(4);
    for (const [name, weight] of weights) expect(new Set(weight.dataSync()), name).to.deep.equal(new Set([0.5]));
  });
});

describe("rotary positions by neighbours", () => {
  it("turn coordinates 2i and 2i + 1 by position / theta^(2i / K), as in the paper", () => {
    const x = drawn([1, 1, 3, 4], 1);
    const turned = new Rotary({ pairs: "neighbours", theta: 50 }).forward(x, 2);
    const given = x.dataSync();
    const wanted = Array.from({ length: 12 }, (_, n) => {
      const [t, i] = [Math.floor(n / 4), n % 4];
      const angle = (t + 2) / 50 ** ((2 * Math.floor(i / 2)) / 4);
      const [a, b] = [given[n - (i % 2)], given[n - (i % 2) + 1]];
      return i % 2 ? b * Math.cos(angle) + a * Math.sin(angle) : a * Math.cos(angle) - b * Math.sin(angle);
    });
    expectClose(turned, tensor(wanted, { shape: [1, 1, 3, 4], dtype: "float64" }));
  });
});
