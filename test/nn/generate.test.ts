import { expect } from "chai";
import fc from "fast-check";
import { key, tensor } from "switchyard-moe";
import { DecoderLanguageModel, crossEntropy, evaluate, generate, sample } from "switchyard-moe/nn";
import type { GenerateOptions, LanguageModel } from "switchyard-moe/nn";
import { evaluating } from "./plain.ts";

const V = 7;
const model = new DecoderLanguageModel({ vocabulary: V, width: 8, layers: 2, heads: 2, hidden: 12, context: 8, random: key(1) });

async function written(options: GenerateOptions, prompt = [1, 2, 3], by: LanguageModel = model): Promise<number[]> {
  const ids: number[] = [];
  for await (const id of generate(by, prompt, options)) ids.push(id);
  return ids;
}

/** Shows how many tokens each pass is given. */
function watched(inner: LanguageModel): { model: LanguageModel; reads: number[] } {
  const reads: number[] = [];
  return { reads, model: { forward: (ids, input, pass) => (reads.push(ids.shape[1]), inner.forward(ids, input, pass)) } };
}

describe("sample", () => {
  const logits = [0, 2, 1, -Infinity, 2];
  const share = (options: Parameters<typeof sample>[1]): number[] => {
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 1000; i++) counts[sample(logits, options, i / 1000)]++;
    return counts.map((n) => n / 1000);
  };
  const near = (got: number[], wanted: number[]): void =>
    got.forEach((value, i) => expect(value, `id ${i}`).to.be.closeTo(wanted[i], 0.003));

  it("draws ids by their probabilities, at any temperature", () => {
    for (const temperature of [0.5, 1, 3]) {
      const weights = logits.map((x) => Math.exp(x / temperature));
      const total = weights.reduce((a, b) => a + b);
      near(share({ temperature }), weights.map((w) => w / total)); // prettier-ignore
    }
  });

  it("greedily takes the likeliest, the lowest id among equals", () => near(share({ temperature: 0 }), [0, 1, 0, 0, 0]));

  it("top-k keeps the k likeliest", () => near(share({ topK: 2 }), [0, 0.5, 0, 0, 0.5]));

  it("top-p keeps the fewest that reach p", () => {
    near(share({ topP: 0.3 }), [0, 1, 0, 0, 0]);
    expect(sample([0, 0], { topP: 0.5 }, 0.99)).to.equal(0); // the first reaches it exactly
    near(share({ topP: 0.5 }), [0, 0.5, 0, 0, 0.5]);
    const three = Math.exp(1) / (2 * Math.exp(2) + Math.exp(1));
    near(share({ topP: 0.9 }), [0, (1 - three) / 2, three, 0, (1 - three) / 2]);
  });

  it("draws evenly among infinite logits, and nothing beside them", () => {
    const drawnFrom = (u: number, options = {}): number => sample([5, Infinity, -Infinity, Infinity], options, u);
    expect([0, 0.4, 0.6, 0.99].map((u) => drawnFrom(u))).to.deep.equal([1, 1, 3, 3]);
    expect(drawnFrom(0.99, { topK: 1 })).to.equal(1);
  });

  it("never draws what has no probability", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(-Infinity, NaN, -2, 0, 3, 1e308, Infinity), { minLength: 1, maxLength: 6 }),
        fc.oneof(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.constant(1 - 2 ** -53)),
        fc.constantFrom(0, 1e-300, 0.1, 1, 10, 1e300, Infinity),
        fc.constantFrom(1, 2, Infinity),
        fc.constantFrom(0.5, 1),
        (x, u, temperature, topK, topP) => {
          fc.pre(x.some((value) => value > -Infinity));
          const id = sample(x, { temperature, topK, topP }, u);
          const top = Math.max(...x.filter((value) => !Number.isNaN(value)));
          expect(x[id]).to.be.above(-Infinity);
          if (top === Infinity || temperature === 0) expect(x[id]).to.equal(top);
          else expect(Math.exp((x[id] - top) / temperature), "probability, relative to the likeliest").to.be.above(0);
        },
      ),
      { numRuns: 1000 },
    );
    expect(sample([0, -Infinity, 2], { temperature: 1e300 }, 1 - 2 ** -53)).to.equal(0);
    expect(sample([0, -Infinity, 2], { temperature: Infinity }, 1 - 2 ** -53)).to.equal(0);
    expect(() => sample([-Infinity, NaN], {}, 0)).to.throw("sample: none of 2 logits is a number above -Infinity");
  });
});

describe("generate", () => {
  it("continues greedily as the whole text read anew would", async () => {
    const text = [1, 2, 3];
    for (let i = 0; i < 10; i++) {
      const { logits } = model.forward(tensor(Int32Array.from(text), { shape: [1, text.length] }), {}, evaluating);
      text.push(logits.argmax(-1).dataSync()[text.length - 1]);
    }
    expect(await written({ tokens: 10, temperature: 0, random: key(1) })).to.deep.equal(text.slice(3));
  });

  it("writes the same for the same key, something else for another", async () => {
    const options = { tokens: 20, temperature: 2, random: key(1) };
    expect(await written(options)).to.deep.equal(await written(options));
    expect(await written(options)).to.not.deep.equal(await written({ ...options, random: key(2) }));
  });

  it("reads each token once, and begins anew with the younger half where the context ends", async () => {
    const { model: seen, reads } = watched(model);
    await written({ tokens: 8, random: key(1), context: 6 }, [1, 2, 3, 4], seen);
    expect(reads).to.deep.equal([4, 1, 1, 3, 1, 1, 1, 3]);
  });

  it("shows no more of the prompt than the context holds", async () => {
    const { model: seen, reads } = watched(model);
    await written({ tokens: 1, random: key(1), context: 2 }, [1, 2, 3, 4], seen);
    expect(reads).to.deep.equal([2]);
  });

  it("stops where told, and leaves nothing behind, even when left early", async () => {
    const [, second] = await written({ tokens: 2, temperature: 0, random: key(1) });
    expect(await written({ tokens: 9, temperature: 0, random: key(1), stop: second })).to.have.length.within(1, 2);
    const { liveBuffers } = model.parameters()[0].backend.stats();
    for await (const id of generate(model, [1], { tokens: 9, random: key(1) })) if (id >= 0) break;
    await written({ tokens: 5, random: key(1) });
    expect(model.parameters()[0].backend.stats().liveBuffers).to.be.at.most(liveBuffers + 8); // tables of positions
  });

  it("says what cannot be", async () => {
    const failure = async (options: Partial<GenerateOptions>, prompt = [1]): Promise<string> =>
      String(await written({ tokens: 1, random: key(1), ...options }, prompt).catch((reason: unknown) => reason));
    expect(await failure({}, [])).to.contain("generate: prompt []: want an array of ids, not empty");
    expect(await failure({ temperature: -1 })).to.contain("generate: temperature -1: want a number of 0 or more");
    expect(await failure({ topK: 0 })).to.contain("generate: topK 0: want a whole number of 1 or more, or Infinity");
    expect(await failure({ topP: 1.5 })).to.contain("generate: topP 1.5: want a number above 0, to 1");
  });
});

describe("evaluate", () => {
  it("is the mean over all scored tokens, however they are spread over batches", async () => {
    const ids = tensor(Int32Array.of(1, 2, 3, 4, 5, 6), { shape: [2, 3] });
    const targets = tensor(Int32Array.of(2, 3, -100, 5, -100, -100), { shape: [2, 3] });
    const row = (i: number) => ({ ids: ids.narrow(0, i, i + 1), targets: targets.narrow(0, i, i + 1) });
    const wanted = crossEntropy(model.forward(ids, {}, evaluating).logits, targets).itemSync();
    for (const data of [[{ ids, targets }], [row(0), row(1)]]) {
      await evaluate(model, data); // tables of positions are made once
      const { liveBuffers } = ids.backend.stats();
      const { loss, bits, tokens } = await evaluate(model, data);
      expect(ids.backend.stats().liveBuffers, "nothing is kept").to.equal(liveBuffers);
      expect(loss).to.be.closeTo(wanted, 1e-6);
      expect(bits).to.be.closeTo(wanted / Math.LN2, 1e-6);
      expect(tokens).to.equal(3);
    }
  });

  it("shows the model the mask of a batch", async () => {
    const ids = tensor(Int32Array.of(1, 2, 3), { shape: [1, 3] });
    const targets = tensor(Int32Array.of(2, 3, 4), { shape: [1, 3] });
    const mask = tensor([[0, 1, 1]]);
    const wanted = crossEntropy(model.forward(ids, { mask }, evaluating).logits, targets).itemSync();
    expect((await evaluate(model, [{ ids, targets, mask }])).loss).to.be.closeTo(wanted, 1e-6);
    expect((await evaluate(model, [{ ids, targets }])).loss).not.to.be.closeTo(wanted, 1e-6);
  });

  it("refuses data without a token to score", async () => {
    const ids = tensor(Int32Array.of(1), { shape: [1, 1] });
    const error: unknown = await evaluate(model, [{ ids, targets: tensor(Int32Array.of(-100), { shape: [1, 1] }) }]).catch(
      (reason: unknown) => reason,
    );
    expect(String(error)).to.contain("evaluate: the data holds no token to score");
  });
});
