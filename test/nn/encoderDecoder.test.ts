/** B batch, T tokens of the input, U of the output, V vocabulary, D width. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, key, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { EncoderDecoder, crossEntropy, shiftRight } from "switchyard-moe/nn";
import type { EncoderDecoderOptions, Init, Seen, StackName } from "switchyard-moe/nn";
import { FeedForwardExperts, MoE, SwitchAttention, SwitchRouter } from "switchyard-moe/moe";
import { checkGradients } from "switchyard-moe/testing";
import { distance, drawn, evaluating, expectClose, training } from "./plain.ts";

const V = 9;
const base: EncoderDecoderOptions = {
  vocabulary: V,
  width: 8,
  headWidth: 3,
  layers: { encoder: 2, decoder: 1 },
  heads: 2,
  hidden: 10,
  buckets: 6,
  maxDistance: 7,
  random: key(1),
  dtype: "float64",
};

/** Every other layer is sparse, as in the paper. */
const sparse = (stack: StackName, layer: number, { random, dtype = "float64" }: Init): MoE | undefined =>
  stack === "encoder" && layer === 0
    ? undefined
    : new MoE({
        router: new SwitchRouter({ experts: 3, width: 8, random: random.at("router"), dtype }),
        experts: new FeedForwardExperts({ experts: 3, width: 8, hidden: 10, bias: false, random: random.at("experts"), dtype }),
      });

/** Both stacks attend to themselves through experts. */
const sparseAttention = (_stack: StackName, _layer: number, init: Init): SwitchAttention =>
  new SwitchAttention(8, { ...init, heads: 2, experts: 3, scale: 1, router: (of) => new SwitchRouter({ ...of, experts: 3, width: 8 }) });

const variants: Record<string, Partial<EncoderDecoderOptions>> = {
  "T5 1.0": {},
  "T5 1.1": { kind: "gegluTanh", tied: false },
  "a table for each stack": { shared: false },
  Switch: { feedForward: sparse },
  "Switch, attention too": { feedForward: sparse, attention: sparseAttention },
};

function text(shape: readonly [number, number], seed: number | string): Tensor {
  return tensor(
    Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.floor(key(seed).number(i) * V)),
    { shape },
  );
}

/** Weights large enough that everything matters: those of a fresh model nearly cancel. */
function lively(options: Partial<EncoderDecoderOptions>): EncoderDecoder {
  const model = new EncoderDecoder({ ...base, ...options, initScale: 1 });
  for (const { positionBias } of [model.encoder, model.decoder]) positionBias?.weight.assign(drawn(positionBias.weight.shape, "bias"));
  return model;
}

describe("EncoderDecoder", () => {
  for (const [name, options] of Object.entries(variants)) {
    const model = lively(options);
    const logitsOf = (ids: Tensor, decoderIds: Tensor, mask?: Tensor, decoderMask?: Tensor): Tensor =>
      model.forward({ ids, mask, decoderIds, decoderMask }, evaluating).logits;

    it(`${name}: the decoder sees no later token, and every token of the input`, () => {
      const [ids, a, b] = [text([2, 5], 1), text([2, 4], 2), text([2, 4], 3)];
      const mixed = concat([a.narrow(1, 0, 2), b.narrow(1, 2, 4)], 1);
      expectClose(logitsOf(ids, a).narrow(1, 0, 2), logitsOf(ids, mixed).narrow(1, 0, 2), 1e-12);
      for (let t = 0; t < 5; t++) {
        const changed = tensor(Int32Array.from(ids.dataSync(), (id, i) => (i % 5 === t ? (id + 1) % V : id)), { shape: [2, 5] }); // prettier-ignore
        expect(distance(logitsOf(ids, a).narrow(1, 0, 1), logitsOf(changed, a).narrow(1, 0, 1)), `token ${t}`).to.be.above(1e-6);
      }
    });

    it(`${name}: the encoder reads both ways, and tells them apart`, () => {
      const memory = (...ids: number[]): Tensor => model.encode(tensor(Int32Array.from(ids), { shape: [1, 3] }), {}, evaluating).memory;
      expect(distance(memory(1, 2, 3).narrow(1, 0, 1), memory(1, 2, 4).narrow(1, 0, 1))).to.be.above(1e-4);
      expect(distance(memory(1, 2, 3).narrow(1, 2, 3), memory(4, 2, 3).narrow(1, 2, 3))).to.be.above(1e-4);
      expect(distance(memory(1, 2, 2).narrow(1, 1, 2), memory(2, 2, 1).narrow(1, 1, 2))).to.be.above(1e-4);
    });

    it(`${name}: padding on either side of the input, and a pair's companions, change nothing`, () => {
      fc.assert(
        fc.property(fc.nat(999), fc.integer({ min: 1, max: 4 }), fc.boolean(), (seed, length, left) => {
          const [ids, decoderIds] = [text([1, length], seed), text([1, 3], seed + 1)];
          const pads = text([1, 2], seed + 2);
          const padded = concat(left ? [pads, ids] : [ids, pads], 1);
          const others = text([1, length + 2], seed + 3);
          const real = Array.from({ length: length + 2 }, (_, i) => Number(left ? i >= 2 : i < length));
          const mask = tensor([...real, ...real.map(() => 1)], { shape: [2, length + 2] });
          const together = logitsOf(concat([padded, others], 0), concat([decoderIds, text([1, 3], seed + 4)], 0), mask);
          expectClose(together.narrow(0, 0, 1), logitsOf(ids, decoderIds), 1e-12);
        }),
        { numRuns: 15 },
      );
    });

    it(`${name}: written token by token is written at once, the memory read once`, () => {
      const [ids, decoderIds] = [text([2, 5], 1), text([2, 4], 2)];
      const mask = tensor([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], { shape: [2, 5] });
      const encoded = model.encode(ids, { mask }, evaluating);
      let past: readonly Seen[] | undefined;
      const parts = [0, 1, 2, 3].map((t) => {
        const { logits, seen } = model.decode(decoderIds.narrow(1, t, t + 1), encoded, { past }, evaluating);
        if (past) expect(seen[0].memory?.keys).to.equal(past[0].memory?.keys);
        past = seen;
        return logits;
      });
      expectClose(concat(parts, 1), logitsOf(ids, decoderIds, mask), 1e-10);
    });

    it(`${name}: right derivatives in every parameter`, () => {
      const [ids, targets] = [text([2, 4], 1), text([2, 3], 2)];
      const mask = tensor([1, 1, 1, 0, 1, 1, 1, 1], { shape: [2, 4] });
      const run = (): Tensor => {
        const { logits, losses } = model.forward({ ids, mask, decoderIds: shiftRight(targets) }, evaluating);
        return Object.values(losses).reduce((sum, loss) => sum.add(loss), crossEntropy(logits, targets));
      };
      return checkGradients(run, [], { parameters: model.parameters(), order: 1, step: 1e-5, tolerance: 1e-5 });
    });
  }

  it("tells losses and routings of its stacks apart", () => {
    const { losses, routings } = lively({ feedForward: sparse }).forward(
      { ids: text([2, 5], 1), decoderIds: text([2, 4], 2) },
      training(1),
    );
    expect(Object.keys(losses)).to.deep.equal(["encoder.balance", "decoder.balance"]);
    expect([routings.encoder.length, routings.decoder.length]).to.deep.equal([1, 1]);
  });

  it("asks for the attention of each layer of each stack, and leaves the default where there is none", () => {
    const asked: string[] = [];
    const attention: typeof sparseAttention = (stack, layer, init) => {
      asked.push(`${stack} ${layer}`);
      return sparseAttention(stack, layer, init);
    };
    const { routings } = lively({ attention }).forward({ ids: text([2, 5], 1), decoderIds: text([2, 4], 2) }, training(1));
    expect(asked).to.deep.equal(["encoder 0", "encoder 1", "decoder 0"]);
    expect([routings.encoder.length, routings.decoder.length]).to.deep.equal([4, 2]);
    const none = lively({ attention: () => undefined });
    expect([...none.state().keys()]).to.deep.equal([...lively({}).state().keys()]);
  });

  it("drops in T5's places, each differently, while training only", () => {
    const [ids, decoderIds] = [text([2, 5], 1), text([2, 4], 2)];
    const run = (pass: typeof evaluating, share: number): Tensor => lively({ dropout: share }).forward({ ids, decoderIds }, pass).memory;
    expectClose(run(evaluating, 0.4), run(evaluating, 0));
    expectClose(run(training(1), 0.4), run(training(1), 0.4));
    const zeros = run(training(1), 0.4).equal(0).mean().itemSync(); // the last dropout, after the norm
    expect(zeros).to.be.within(0.2, 0.6);
  });

  it("a tied model has one table, and its logits are divided by sqrt(D)", () => {
    const model = lively({});
    const names = [...model.state().keys()];
    expect(names.filter((name) => /embedding|head/i.test(name))).to.deep.equal(["embedding.weight"]);
    expect(names.some((name) => name.endsWith("bias"))).to.equal(false);
    const encoded = model.encode(text([1, 4], 1), {}, evaluating);
    const output = model.decoder.transform(model.embedding.forward(text([1, 3], 2)), { memory: encoded.memory }, evaluating).output;
    const wanted = output.matmul(model.embedding.weight.transpose()).div(Math.sqrt(8));
    expectClose(model.decode(text([1, 3], 2), encoded, {}, evaluating).logits, wanted);
  });

  it("says what does not fit", () => {
    const model = lively({});
    expect(() => model.encode(tensor(Int32Array.of(1)), {}, evaluating)).to.throw("EncoderDecoder.encode: ids [1]: want [B, T]");
    expect(() => new EncoderDecoder({ ...base, start: 9 })).to.throw("EncoderDecoder: start 9: want a whole number from 0 to 8");
    expect(() => new EncoderDecoder({ ...base, dropuot: 1 } as EncoderDecoderOptions)).to.throw(
      "EncoderDecoder: there is no option dropuot",
    );
    const mask = tensor([[1, 1]]);
    expect(() => model.encode(text([1, 3], 1), { mask }, evaluating)).to.throw("Stack: mask [1, 2]: want [B, past + T] = [1, 3]");
  });
});

describe("shiftRight", () => {
  it("starts with the start id, leaves the last target out, and reads what is not scored as padding", () => {
    const targets = tensor(Int32Array.of(4, 5, 1, 6, -100, -100), { shape: [2, 3] });
    expect([...shiftRight(targets, { start: 7, padding: 8 }).dataSync()]).to.deep.equal([7, 4, 5, 7, 6, 8]);
  });
});
