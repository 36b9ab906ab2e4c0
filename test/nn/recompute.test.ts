import { expect } from "chai";
import { key, scope, tensor, useBackend, withBackend } from "../../src/index.ts";
import { FeedForwardExperts, MoE, SwitchRouter } from "../../src/moe/index.ts";
import { DecoderLanguageModel, EncoderDecoder, crossEntropy } from "../../src/nn/index.ts";
import type { Module } from "../../src/nn/index.ts";

const [V, D, E] = [20, 16, 4];
const ids = (length: number, seed: number) =>
  tensor(
    Int32Array.from({ length: 3 * length }, (_, i) => key(seed).bits(i) % V),
    { shape: [3, length] },
  );
const sparse = (random: ReturnType<typeof key>): MoE =>
  new MoE({ router: new SwitchRouter({ width: D, experts: E, random: random.at("router") }), experts: new FeedForwardExperts({ experts: E, width: D, hidden: 24, random: random.at("experts") }) }); // prettier-ignore

const gradientsOf = (model: Module): [string, number[]][] =>
  model.namedParameters().map(([name, { grad }]) => [name, Array.from(grad?.dataSync() ?? [])]);

describe("a stack that recomputes its blocks", () => {
  it("learns the same bits in a decoder, sparse layers, losses and dropout included, with less memory", async () => {
    const wasm = await useBackend("wasm");
    await useBackend("cpu");
    withBackend(wasm, () => {
      // Left out, the option is off.
      const runs = [{}, { recompute: false }, { recompute: true }].map((option) => {
        const model = new DecoderLanguageModel({ vocabulary: V, width: D, layers: 3, heads: 2, context: 12, random: key(1), dropout: 0.2, ...option, feedForward: (layer, { random }) => (layer === 1 ? sparse(random) : undefined) }); // prettier-ignore
        let held = 0;
        scope(() => {
          const before = wasm.stats().liveBytes;
          const { logits, losses, routings } = model.forward(ids(12, 2), {}, { training: true, random: key(3) });
          expect(routings).to.have.length(1);
          const loss = crossEntropy(logits, ids(12, 4)).add(losses["balance"] ?? 0);
          held = wasm.stats().liveBytes - before;
          loss.backward({ release: true });
        });
        return { held, gradients: gradientsOf(model) };
      });
      const [usual, off, on] = runs;
      expect(on.gradients).to.deep.equal(usual.gradients);
      expect(usual.held, "apart from constants, which the first run makes").to.be.within(off.held, 1.1 * off.held);
      expect(on.held).to.be.below(0.5 * usual.held);
    });
  });

  it("learns the same in both stacks of an encoder-decoder", () => {
    const gradients = [false, true].map((recompute) => {
      const model = new EncoderDecoder({ vocabulary: V, width: D, layers: 2, heads: 2, random: key(1), dtype: "float64", recompute, feedForward: (_stack, layer, { random, dtype }) => (layer === 1 ? new MoE({ router: new SwitchRouter({ width: D, experts: E, random: random.at("router"), dtype: dtype ?? "float64" }), experts: new FeedForwardExperts({ experts: E, width: D, hidden: 24, random: random.at("experts"), dtype: dtype ?? "float64" }) }) : undefined) }); // prettier-ignore
      const { logits, losses } = model.forward({ ids: ids(7, 2), decoderIds: ids(5, 3) }, { training: true, random: key(4) });
      Object.values(losses)
        .reduce((sum, loss) => sum.add(loss), logits.square().mean())
        .backward();
      return gradientsOf(model);
    });
    // The memory is read by every block of the decoder; a recomputed block adds up its own part of that gradient first.
    gradients[0].forEach(([name, wanted], i) => {
      expect(gradients[1][i][0]).to.equal(name);
      wanted.forEach((g, j) => expect(gradients[1][i][1][j], `${name}[${j}]`).to.be.closeTo(g, 1e-12 * Math.max(1, Math.abs(g))));
    });
  });
});
