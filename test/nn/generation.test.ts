/** What holds of everything that writes, on every device: cached is uncached, companions and padding do not matter. */
import { expect } from "chai";
import { key, noGrad, scope, tensor, withBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import { gpu } from "switchyard-moe/backend/gpu";
import { wasm } from "switchyard-moe/backend/wasm";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { DecoderLanguageModel, EncoderDecoder, beamSearch, generate, generateBatch } from "switchyard-moe/nn";
import type { Init, LanguageModel, LanguageModelOptions, PositionKind } from "switchyard-moe/nn";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";
import { evaluating } from "./plain.ts";

const V = 11;
const sizes = { vocabulary: V, width: 8, heads: 4, keyValueHeads: 2, headWidth: 4, hidden: 12, initScale: 1, random: key(3) };

const sparse = (_layer: number, { random, dtype = "float32" }: Init): MoE =>
  new MoE({
    router: new SwitchRouter({ experts: 3, width: 8, random: random.at("router"), dtype }),
    experts: new FeedForwardExperts({ experts: 3, width: 8, hidden: 12, kind: "swiglu", random: random.at("experts"), dtype }),
  });

const decoder = (positions: PositionKind, more: Partial<LanguageModelOptions> = {}): DecoderLanguageModel =>
  new DecoderLanguageModel({ ...sizes, layers: 2, positions, context: 32, ...more });

const models: Record<string, () => DecoderLanguageModel | EncoderDecoder> = {
  "rotary, sparse, normed": () => decoder("rotary", { feedForward: sparse, queryKeyNorm: "head" }),
  "buckets, tied": () => decoder("buckets", { tied: true }),
  learned: () => decoder("learned"),
  sinusoidal: () => decoder("sinusoidal"),
  windowed: () => decoder("distance", { window: 3 }),
  "encoder-decoder": () => new EncoderDecoder({ ...sizes, layers: 2, feedForward: (_, layer, init) => sparse(layer, init) }),
};

const devices: Record<string, () => Promise<Backend>> = {
  cpu: () => Promise.resolve(new CpuBackend()),
  asynchronous: () => Promise.resolve(new AsyncBackend()),
  WebAssembly: () => wasm({ threads: 1 }),
  "gpu.js": () => gpu({ mode: "webasm" }),
};

const int = (ids: readonly number[], shape: readonly number[]) => tensor(Int32Array.from(ids), { shape });
const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9], [2, 2]];

for (const [device, open] of Object.entries(devices))
  describe(`generation on ${device}`, () => {
    let backend: Backend;
    before(async () => void (backend = await open()));
    after(() => (backend as { close?: () => void }).close?.());

    for (const [name, make] of Object.entries(models))
      it(`${name}: cached is uncached, alone is in company`, async () => {
        const model = withBackend(backend, make);
        const options = { tokens: 4, temperature: 0.7, random: key(5) };
        const together = await generateBatch(model, prompts, options);
        const uncached = await generateBatch(model, prompts, { ...options, cache: false });
        for (const [b, prompt] of prompts.entries()) {
          expect(together[b].ids, `row ${b}, uncached`).to.deep.equal(uncached[b].ids);
          expect(together[b].logProbability).to.be.closeTo(uncached[b].logProbability, 1e-4);
          const alone: number[] = [];
          for await (const id of generate(model, prompt, { ...options, random: options.random.at(b) })) alone.push(id);
          expect(together[b].ids, `row ${b}, alone`).to.deep.equal(alone);
        }
        const beams = { tokens: 4, beams: 3, returned: 3, stop: 0 };
        const found = await beamSearch(model, prompts, beams);
        const [anew, lonely] = [
          await beamSearch(model, prompts, { ...beams, cache: false }),
          await beamSearch(model, prompts.slice(0, 1), beams),
        ];
        expect(found.map((list) => list.map(({ ids }) => ids))).to.deep.equal(anew.map((list) => list.map(({ ids }) => ids)));
        expect(found[0].map(({ ids }) => ids)).to.deep.equal(lonely[0].map(({ ids }) => ids));
      }).timeout(180_000); // gpu.js compiles a kernel for each shape
  });

describe("generateBatch and beamSearch", () => {
  const model = decoder("rotary", { dtype: "float64" });
  const both = new EncoderDecoder({ ...sizes, layers: 1, dtype: "float64" });

  /** The sum of log-probabilities of `ids` after `prompt`, read at once. */
  function recomputed(by: LanguageModel, prompt: readonly number[], ids: readonly number[]): number {
    const all = [...prompt, ...ids];
    const { logits } = by.forward(tensor(Int32Array.from(all), { shape: [1, all.length] }), {}, evaluating);
    const logProbs = logits.logSoftmax(-1).dataSync();
    return ids.reduce((sum, id, i) => sum + logProbs[(prompt.length - 1 + i) * V + id], 0);
  }

  it("score what they write by the sum of its log-probabilities", async () => {
    const written = await generateBatch(model, prompts, { tokens: 6, random: key(1), stop: 4 });
    for (const [b, { ids, logProbability }] of written.entries())
      expect(logProbability).to.be.closeTo(recomputed(model, prompts[b], ids), 1e-9);
    for (const lengthPenalty of [0, 1, 2, -1]) {
      const found = await beamSearch(model, prompts, { tokens: 6, beams: 4, returned: 4, stop: [3, 4], lengthPenalty });
      for (const [b, list] of found.entries()) {
        expect(list).to.have.length(4);
        for (const { ids, logProbability, score } of list) {
          expect(logProbability).to.be.closeTo(recomputed(model, prompts[b], ids), 1e-9);
          expect(score).to.be.closeTo(logProbability / ids.length ** lengthPenalty, 1e-9);
        }
        expect(list.map(({ score }) => score)).to.deep.equal(list.map(({ score }) => score).toSorted((x, y) => y - x));
      }
    }
  });

  for (const [name, by] of Object.entries({ "a decoder": model, "an encoder-decoder": both })) {
    it(`${name}: one beam is greedy`, async () => {
      for (const stop of [undefined, 4, [1, 2, 3]]) {
        const options = { tokens: 6, ...(stop === undefined ? {} : { stop }) };
        const greedy = await generateBatch(by, prompts, { ...options, temperature: 0 });
        const beams = await beamSearch(by, prompts, { ...options, beams: 1 });
        expect(beams.map(([{ ids }]) => ids)).to.deep.equal(greedy.map(({ ids }) => ids));
      }
    });

    it(`${name}: as many beams as there are texts finds the likeliest of all`, async () => {
      const start = name === "a decoder" ? [1, 2] : [both.start];
      const memory = name === "a decoder" ? undefined : both.encode(tensor(Int32Array.of(1, 2), { shape: [1, 2] }), {}, evaluating);
      const reader: LanguageModel = memory ? both.given(memory) : model;
      let most = -Infinity;
      for (let i = 0; i < V ** 2; i++) most = Math.max(most, recomputed(reader, start, [Math.floor(i / V), i % V]));
      const [[best]] = await beamSearch(by, [[1, 2]], { tokens: 2, beams: V });
      expect(best.logProbability).to.be.closeTo(most, 1e-9);
    });
  }

  it("write nothing where no token is asked for", async () => {
    expect(await generateBatch(model, prompts, { tokens: 0, temperature: 0 })).to.deep.equal(
      prompts.map(() => ({ ids: [], logProbability: 0 })),
    );
    for await (const id of generate(model, [1], { tokens: 0, temperature: 0 })) expect.fail(`it wrote ${id}`);
  });

  it("end at once where every token stops, with the likeliest ones", async () => {
    const stop = Array.from({ length: V }, (_, id) => id);
    const [found] = await beamSearch(model, [[1]], { tokens: 3, beams: 3, returned: 3, stop });
    const [all] = await beamSearch(model, [[1]], { tokens: 1, beams: V, returned: V });
    expect(found.map(({ ids }) => ids)).to.deep.equal(all.slice(0, 3).map(({ ids }) => ids));
  });

  it("stop early as asked: at once, by the heuristic, or when nothing better can come", async () => {
    const found = async (earlyStopping: boolean | "never") =>
      (await beamSearch(model, prompts, { tokens: 8, beams: 2, stop: [0, 1, 2, 3, 4, 5], earlyStopping })).map(([{ score }]) => score);
    const [eager, usual, never] = [await found(true), await found(false), await found("never")];
    never.forEach((score, b) => {
      expect(score).to.be.at.least(usual[b] - 1e-9);
      expect(usual[b]).to.be.at.least(eager[b] - 1e-9);
    });
  });

  it("leave nothing behind, not even when something throws", async () => {
    const { backend } = both.parameters()[0];
    const options = { tokens: 4, temperature: 0, random: key(1) };
    await generateBatch(both, prompts, options); // tables of positions
    await beamSearch(both, prompts, { tokens: 4, beams: 2 });
    const encoded = noGrad(() => scope(() => both.encode(tensor(Int32Array.of(1), { shape: [1, 1] }), {}, evaluating)));
    const { liveBuffers } = backend.stats();
    await generateBatch(both, prompts, options);
    await beamSearch(both, prompts, { tokens: 4, beams: 2 });
    let reads = 0;
    const failing = both.given(encoded);
    const breaking: LanguageModel = {
      forward: (...all) => {
        if (++reads === 3) throw new Error("broken");
        return failing.forward(...all);
      },
    };
    expect(String(await generateBatch(breaking, [[0]], options).catch(String))).to.contain("broken");
    expect(backend.stats().liveBuffers).to.equal(liveBuffers);
  });

  it("take padded tensors too, whichever side the padding is on", async () => {
    const options = { tokens: 4, temperature: 0 };
    const wanted = await generateBatch(model, prompts, options);
    for (const left of [false, true]) {
      const rows = prompts.map((ids) => {
        const rest = new Array<number>(5 - ids.length).fill(0);
        return {
          ids: left ? [...rest, ...ids] : [...ids, ...rest],
          mask: left ? [...rest, ...ids.map(() => 1)] : [...ids.map(() => 1), ...rest],
        };
      });
      const [ids, mask] = (["ids", "mask"] as const).map((name) => tensor(Int32Array.from(rows.flatMap((row) => row[name])), { shape: [4, 5] })); // prettier-ignore
      expect(await generateBatch(model, { ids, mask }, options)).to.deep.equal(wanted);
      expect((await beamSearch(model, { ids, mask }, { tokens: 4, beams: 1 })).map(([one]) => one.ids)).to.deep.equal(
        wanted.map((one) => one.ids),
      );
    }
    const nothing = tensor(Int32Array.of(1, 2, 0, 0), { shape: [2, 2] });
    expect(String(await generateBatch(model, { ids: nothing, mask: nothing }, options).catch(String))).to.contain("prompt 1 is empty");
  });

  it("say what cannot be", async () => {
    const failure = async (run: () => Promise<unknown>): Promise<string> => String(await run().catch((reason: unknown) => reason));
    const cases: [() => Promise<unknown>, string][] = [
      [() => generateBatch(model, [], { tokens: 1, temperature: 0 }), "generateBatch: prompts []: want an array of prompts, not empty"],
      [() => generateBatch(model, [[1], []], { tokens: 1, temperature: 0 }), "generateBatch: prompts [[…], […]]: want"],
      [() => generateBatch(model, [[1]], { tokens: 1 }), "generateBatch: random is missing: want a key, such as key(1)"],
      [() => generateBatch({} as never, [[1]], { tokens: 1, temperature: 0 }), "generateBatch: model {  }: want a language model"],
      [() => beamSearch(model, [[1]], { tokens: 1, beams: 2, returned: 3 }), "beamSearch: returned 3: want a whole number from 1 to 2"],
      [() => beamSearch(model, [[1]], { tokens: 1, beams: 0 }), "beamSearch: beams 0: want a whole number from 1 to 65536"],
      [() => beamSearch(model, [[1]], { tokens: 1, beam: 2 } as never), "beamSearch: there is no option beam"],
      [() => generateBatch(model, { ids: int([1, 2], [2]) }, { tokens: 1, temperature: 0 }), "generateBatch: ids [2]: want [B, T] both"],
      [() => generateBatch(model, { ids: int([1, 2], [1, 2]), mask: int([1], [1, 1]) }, { tokens: 1, temperature: 0 }), "generateBatch: ids [1, 2] and mask [1, 1]: want [B, T] both"], // prettier-ignore
    ];
    for (const [run, message] of cases) expect(await failure(run)).to.contain(message);
  });
});
