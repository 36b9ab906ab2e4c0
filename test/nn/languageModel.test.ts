/** B batch, T tokens, V vocabulary, D width. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, key, scope, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import {
  AdamW,
  Block,
  DecoderLanguageModel,
  DenseFeedForward,
  LayerNorm,
  Module,
  MultiHeadAttention,
  clipScale,
  crossEntropy,
  gradNorm,
} from "switchyard-moe/nn";
import type { FeedForward, Init, KeyValues, LanguageModelOptions, PositionKind, TokenInfo } from "switchyard-moe/nn";
import { checkGradients } from "switchyard-moe/testing";
import { distance, drawn, evaluating, expectClose, training } from "./plain.ts";

const V = 7;
const base: LanguageModelOptions = {
  vocabulary: V,
  width: 8,
  layers: 2,
  heads: 2,
  hidden: 12,
  context: 16,
  random: key(1),
  dtype: "float64",
};
const kinds: readonly PositionKind[] = ["distance", "buckets", "rotary", "learned", "sinusoidal", "none"];

function text(shape: readonly [number, number], seed: number): Tensor {
  return tensor(
    Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.floor(key(seed).number(i) * V)),
    { shape },
  );
}

describe("DecoderLanguageModel", () => {
  for (const positions of kinds) {
    const model = new DecoderLanguageModel({ ...base, positions });

    it(`${positions}: no token sees a later one`, () => {
      fc.assert(
        fc.property(fc.nat(999), fc.integer({ min: 1, max: 5 }), (seed, keep) => {
          const [a, b] = [text([2, 6], seed), text([2, 6], seed + 1)];
          const mixed = concat([a.narrow(1, 0, keep), b.narrow(1, keep, 6)], 1);
          const [x, y] = [a, mixed].map((ids) => model.forward(ids, {}, evaluating).logits.narrow(1, 0, keep));
          expectClose(x, y, 1e-12);
        }),
        { numRuns: 10 },
      );
    });

    it(`${positions}: read in parts with keys and values kept is read at once`, () => {
      const ids = text([2, 6], 3);
      let past: readonly KeyValues[] | undefined;
      const parts = [
        [0, 3],
        [3, 4],
        [4, 6],
      ].map(([from, to]) => {
        // prettier-ignore
        const { logits, seen } = model.forward(ids.narrow(1, from, to), { past }, evaluating);
        past = seen;
        return logits;
      });
      expectClose(concat(parts, 1), model.forward(ids, {}, evaluating).logits);
    });

    it(`${positions}: a sequence does not depend on its companions, nor on padding behind it`, () => {
      const ids = text([2, 6], 4);
      const together = model.forward(ids, {}, evaluating).logits;
      expectClose(model.forward(ids.narrow(0, 0, 1), {}, evaluating).logits, together.narrow(0, 0, 1), 1e-12);
      const mask = tensor([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1], { shape: [2, 6] });
      const masked = model.forward(ids, { mask }, evaluating).logits;
      expectClose(masked.slice([0, 1], [0, 4]), together.slice([0, 1], [0, 4]), 1e-12);
      expectClose(masked.narrow(0, 1, 2), together.narrow(0, 1, 2), 1e-12);
    });
  }

  it("sees the order of tokens with every kind of position but none", () => {
    const ids = tensor(Int32Array.of(1, 2, 3, 4, 2, 1, 3, 4), { shape: [2, 4] });
    for (const positions of kinds) {
      const { logits } = new DecoderLanguageModel({ ...base, layers: 1, positions }).forward(ids, {}, evaluating);
      const moved = distance(logits.slice([0, 1], [3, 4]), logits.slice([1, 2], [3, 4]));
      if (positions === "none") expect(moved).to.be.below(1e-12);
      else expect(moved, positions).to.be.above(1e-4);
    }
  });

  for (const [name, more] of [
    ["as the paper has it", {}],
    ["with tied embeddings, layer norm, biases and SwiGLU", { tied: true, norm: "layer", bias: true, kind: "swiglu", positions: "rotary" }],
  ] as const)
    it(`${name}: right derivatives in every parameter`, () => {
      const model = new DecoderLanguageModel({ ...base, layers: 1, kind: "gelu", ...more });
      const [ids, targets] = [text([2, 4], 1), text([2, 4], 2)];
      return checkGradients(() => crossEntropy(model.forward(ids, {}, evaluating).logits, targets), [], {
        parameters: model.parameters(),
        order: 1,
        step: 1e-4,
      });
    });

  it("draws nothing in evaluation, and the same for the same key in training", () => {
    const model = new DecoderLanguageModel({ ...base, dropout: 0.3 });
    const ids = text([2, 6], 1);
    const run = (pass: typeof evaluating): Tensor => model.forward(ids, {}, pass).logits;
    expectClose(run(evaluating), new DecoderLanguageModel(base).forward(ids, {}, evaluating).logits);
    expectClose(run(training(1)), run(training(1)));
    expect(distance(run(training(1)), run(training(2)))).to.be.above(0.01);
    expect(distance(run(training(1)), run(evaluating))).to.be.above(0.01);
  });

  it("computes in bfloat16 beside float32 weights, and gives float32 logits", () => {
    const [wide, narrow] = (["float32", "bfloat16"] as const).map(
      (compute) => new DecoderLanguageModel({ ...base, dtype: "float32", compute }),
    );
    const ids = text([2, 6], 1);
    const logits = narrow.forward(ids, {}, evaluating).logits;
    expect(logits.dtype).to.equal("float32");
    expect(distance(logits, wide.forward(ids, {}, evaluating).logits)).to.be.within(1e-4, 0.2);
    crossEntropy(logits, ids).backward();
    for (const [name, p] of narrow.namedParameters()) expect([p.dtype, p.grad?.dtype], name).to.deep.equal(["float32", "float32"]);
  });

  it("learns a cycle by heart, and training leaves only parameters and state behind", () => {
    const model = new DecoderLanguageModel({ ...base, dtype: "float32" });
    const optimizer = new AdamW(model, { lr: 1e-2 });
    const cycle = Int32Array.from({ length: 2 * 13 }, (_, i) => (Math.floor(i / 13) + (i % 13)) % V);
    const all = tensor(cycle, { shape: [2, 13] });
    const [ids, targets] = [all.narrow(1, 0, 12), all.narrow(1, 1, 13)];
    const step = (i: number): number =>
      scope(() => {
        optimizer.zeroGrad();
        const loss = crossEntropy(model.forward(ids, {}, training(i)).logits, targets);
        loss.backward({ release: true });
        optimizer.step({ gradScale: clipScale(gradNorm(model.parameters()), 1) });
        return loss.itemSync();
      });
    const first = step(0);
    step(1);
    const { liveBuffers } = ids.backend.stats();
    let last = first;
    for (let i = 2; i < 40; i++) last = step(i);
    expect(ids.backend.stats().liveBuffers).to.equal(liveBuffers);
    expect(first).to.be.above(1.5);
    expect(last).to.be.below(0.1);
  });

  it("takes anything as feed-forward, sums its losses by name and hands on its routings in layer order", () => {
    const calls: TokenInfo[] = [];
    class Counted extends Module implements FeedForward<{ layer: number } | null> {
      readonly layer: number;
      readonly inner: DenseFeedForward;
      constructor(layer: number, init: Init) {
        super();
        this.layer = layer;
        this.inner = new DenseFeedForward(8, 4, init);
      }
      forward(x: Tensor, tokens: TokenInfo) {
        calls.push(tokens);
        return { output: x, losses: { balance: tensor(this.layer + 1, { dtype: "float64" }) }, routing: { layer: this.layer } };
      }
    }
    const dense = (_: number, init: Init): DenseFeedForward => new DenseFeedForward(8, 4, init);
    const model = new DecoderLanguageModel({
      ...base,
      layers: 4,
      feedForward: (layer, init) => (layer % 2 ? new Counted(layer, init) : dense(layer, init)),
    });
    const [ids, mask] = [text([2, 6], 1), tensor(new Float32Array(12).fill(1), { shape: [2, 6] })];
    const { losses, routings } = model.forward(ids, { mask }, evaluating);
    expect(losses.balance.itemSync()).to.equal(2 + 4);
    expect(routings).to.deep.equal([{ layer: 1 }, { layer: 3 }]);
    expect(calls.map((tokens) => [tokens.ids, tokens.mask?.shape])).to.deep.equal([[ids, [2, 6]], [ids, [2, 6]]]); // prettier-ignore
    expect([...model.state().keys()]).to.include("blocks.1.feedForward.inner.hidden.weight");
  });

  it("starts experts and layers from different numbers, the same for the same key", () => {
    const [a, b] = [new DecoderLanguageModel(base), new DecoderLanguageModel(base)];
    for (const [name, p] of a.namedParameters())
      expect([...p.dataSync()], name).to.deep.equal([...(b.state().get(name)?.dataSync() ?? [])]);
    const weights = a.namedParameters().filter(([name]) => name.endsWith("hidden.weight"));
    expect([...weights[0][1].dataSync()]).to.not.deep.equal([...weights[1][1].dataSync()]);
  });

  it("says what it wants", () => {
    const model = new DecoderLanguageModel(base);
    expect(() => model.forward(tensor(Int32Array.of(1, 2)), {}, evaluating)).to.throw("DecoderLanguageModel: ids [2]: want [B, T]");
    expect(() => model.forward(tensor(Int32Array.of(V), { shape: [1, 1] }), {}, evaluating)).to.throw("index 7 at 0 is outside 0 to 6");
  });
});

describe("Block", () => {
  const init = { random: key(2), dtype: "float64" } as const;
  const parts = {
    attention: new MultiHeadAttention(8, { ...init, heads: 2 }),
    feedForward: new DenseFeedForward(8, 12, { ...init, kind: "gelu" }),
    norm: () => new LayerNorm(8, { dtype: "float64" }),
  };
  const x = drawn([2, 3, 8], 1);

  it("pre-norm adds what each sub-layer makes of the normalised stream", () => {
    const block = new Block(parts);
    const mixed = x.add(parts.attention.forward(block.attentionNorm.forward(x), { causal: true }, evaluating));
    expectClose(
      block.forward(x, { causal: true }, evaluating).output,
      mixed.add(parts.feedForward.apply(block.feedForwardNorm.forward(mixed), evaluating)),
    );
  });

  it("post-norm normalises the sum", () => {
    const block = new Block({ ...parts, order: "post" });
    const mixed = block.attentionNorm.forward(x.add(parts.attention.forward(x, {}, evaluating)));
    expectClose(
      block.forward(x, {}, evaluating).output,
      block.feedForwardNorm.forward(mixed.add(parts.feedForward.apply(mixed, evaluating))),
    );
  });

  it("reads a memory between the two, without its padding", () => {
    const crossAttention = new MultiHeadAttention(8, { ...init, random: key(3), heads: 2 });
    const block = new Block({ ...parts, crossAttention });
    const memory = drawn([2, 5, 8], 2);
    const memoryMask = tensor([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], { shape: [2, 5] });
    const { output } = block.forward(x, { causal: true, memory, memoryMask }, evaluating);
    const other = memory.add(memoryMask.cast("float64").neg().add(1).unsqueeze(2).mul(5));
    expectClose(block.forward(x, { causal: true, memory: other, memoryMask }, evaluating).output, output, 1e-12);
    expect(distance(block.forward(x, { causal: true, memory: other }, evaluating).output, output)).to.be.above(1e-3);
    expect(() => new Block(parts).forward(x, { memory }, evaluating)).to.throw(
      TypeError,
      "Block: given a memory, but made without crossAttention",
    );
    expect(() => block.forward(x, { causal: true }, evaluating)).to.throw(TypeError, "Block: made with crossAttention, which needs a memory [B, S, D]; none was given"); // prettier-ignore
  });
});
