/** Who may see whom, in biases and in models. B batch, T queries, S keys. */
import { expect } from "chai";
import { concat, key, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { DecoderLanguageModel, documentBias, paddingBias, prefixBias } from "switchyard-moe/nn";
import { windowBias } from "../../src/nn/masks.ts";
import { distance, evaluating, expectClose } from "./plain.ts";

/** 1 where a key may be seen. */
function seen(bias: Tensor): unknown {
  return bias.exp().arraySync();
}

const ids = (...values: number[]): Tensor => tensor(Int32Array.from(values), { shape: [1, values.length] });

describe("masks", () => {
  it("documents see themselves alone; the queries are the last places", () => {
    const documents = tensor(Int32Array.of(1, 1, 2, 2, 2, 2), { shape: [2, 3] });
    expect(seen(documentBias(documents, "float64"))).to.deep.equal([[[[1, 1, 0], [1, 1, 0], [0, 0, 1]]], [[[1, 1, 1], [1, 1, 1], [1, 1, 1]]]]); // prettier-ignore
    expect(seen(documentBias(documents, "float64", 1))).to.deep.equal([[[[0, 0, 1]]], [[[1, 1, 1]]]]);
  });

  it("a prefix is seen by all, the rest by what follows", () => {
    const prefix = tensor(Int32Array.of(2, 0), { shape: [2] });
    expect(seen(prefixBias(prefix, 3, 3, "float64"))).to.deep.equal([[[[1, 1, 0], [1, 1, 0], [1, 1, 1]]], [[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]]); // prettier-ignore
    expect(seen(prefixBias(prefix, 1, 3, "float64"))).to.deep.equal([[[[1, 1, 1]]], [[[1, 1, 1]]]]);
  });

  it("a window holds its query's place and those before it", () => {
    const { backend } = ids(1);
    expect(seen(windowBias(2, 2, 3, { dtype: "float64", backend }))).to.deep.equal([[1, 1, 1], [0, 1, 1]]); // prettier-ignore
  });

  it("padding is seen by nobody", () => {
    expect(seen(paddingBias(tensor([[1, 0]]), "float32"))).to.deep.equal([[[[1, 0]]]]);
  });

  it("say what does not fit", () => {
    expect(() => documentBias(tensor([[1.5]]), "float32")).to.throw("documentBias: documents is float32 [1, 1], indices are int32");
    expect(() => documentBias(ids(1, 1), "float32", 3)).to.throw("documentBias: queries 3: want a whole number from 0 to 2");
    expect(() => prefixBias(ids(1), 1, 1, "float32")).to.throw("prefixBias: prefix [1, 1]: want [B]");
    expect(() => paddingBias(tensor([1]), "float32")).to.throw("paddingBias: mask [1]: want [B, S]");
    expect(() => paddingBias([1] as never, "float32")).to.throw("paddingBias: mask [1]: want a tensor");
  });
});

describe("masks in a model", () => {
  const options = { vocabulary: 9, width: 8, layers: 2, heads: 2, initScale: 1, random: key(1), dtype: "float64" } as const;

  for (const positions of ["distance", "rotary", "buckets"] as const)
    it(`${positions}: documents packed in one sequence are read as if each stood alone`, () => {
      const model = new DecoderLanguageModel({ ...options, positions });
      const [a, b] = [ids(1, 2, 3), ids(4, 5)];
      const documents = ids(7, 7, 7, 8, 8);
      const packed = model.forward(concat([a, b], 1), { documents }, evaluating).logits;
      const apart = [a, b].map((one) => model.forward(one, {}, evaluating).logits);
      expectClose(packed, concat(apart, 1), 1e-10);
      expect(distance(packed, model.forward(concat([a, b], 1), {}, evaluating).logits)).to.be.above(1e-3);
    });

  it("tokens of a prefix see each other; later ones do not look ahead", () => {
    const model = new DecoderLanguageModel({ ...options, positions: "rotary" });
    const prefix = tensor(Int32Array.of(3), { shape: [1] });
    const logits = (...values: number[]): Tensor => model.forward(ids(...values), { prefix }, evaluating).logits;
    const base = logits(1, 2, 3, 4, 5);
    expect(distance(base.narrow(1, 0, 1), logits(1, 2, 8, 4, 5).narrow(1, 0, 1))).to.be.above(1e-4);
    expectClose(base.narrow(1, 0, 3), logits(1, 2, 3, 8, 5).narrow(1, 0, 3), 1e-12);
    expectClose(base.narrow(1, 3, 4), logits(1, 2, 3, 4, 8).narrow(1, 3, 4), 1e-12);
    expectClose(model.forward(ids(1, 2, 3), { prefix: tensor(Int32Array.of(0), { shape: [1] }) }, evaluating).logits, model.forward(ids(1, 2, 3), {}, evaluating).logits, 1e-12); // prettier-ignore
  });

  it("a window hides what is farther back, in each layer", () => {
    const one = new DecoderLanguageModel({ ...options, layers: 1, window: 2 });
    const logits = (...values: number[]): Tensor => one.forward(ids(...values), {}, evaluating).logits.narrow(1, 3, 4);
    expectClose(logits(1, 2, 3, 4), logits(5, 6, 3, 4), 1e-12);
    expect(distance(logits(1, 2, 3, 4), logits(1, 2, 5, 4))).to.be.above(1e-4);
    const wide = new DecoderLanguageModel({ ...options, window: 9 });
    expectClose(wide.forward(ids(1, 2, 3), {}, evaluating).logits, new DecoderLanguageModel(options).forward(ids(1, 2, 3), {}, evaluating).logits, 1e-12); // prettier-ignore
  });

  it("learned and sinusoidal places can be given", () => {
    for (const positions of ["learned", "sinusoidal"] as const) {
      const model = new DecoderLanguageModel({ ...options, positions });
      const [usual, given, moved] = [undefined, ids(0, 1, 2), ids(0, 2, 1)].map(
        (places) => model.forward(ids(1, 2, 3), { positions: places }, evaluating).logits,
      );
      expectClose(given, usual, 1e-12);
      expect(distance(moved, usual)).to.be.above(1e-4);
    }
  });

  it("say what does not fit", () => {
    const model = new DecoderLanguageModel(options);
    const failure = (input: object) => () => model.forward(ids(1, 2), input, evaluating);
    expect(failure({ documents: ids(1) })).to.throw("Stack: documents [1, 1]: want [B, past + T] = [1, 2]");
    expect(failure({ past: [] })).to.throw("Stack: past of 0 layers, there are 2");
    expect(() => new DecoderLanguageModel({ ...options, window: 0 })).to.throw("DecoderLanguageModel: window 0: want a whole number of 1 or more, or null"); // prettier-ignore
  });
});
