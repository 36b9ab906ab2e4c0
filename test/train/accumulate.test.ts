/**
 * Gradients of micro-batches, averaged, against those of one large batch. A dense model cannot tell the difference. A Switch layer can: its
 * capacity and its f and P are those of a micro-batch; without drops and without balance loss it cannot either.
 */
import { expect } from "chai";
import { key, scope, tensor } from "switchyard-moe";
import { crossEntropy } from "switchyard-moe/nn";
import { buildModel } from "../../examples/train/model.ts";
import type { ModelConfig } from "../../examples/train/modelOptions.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { configOf } from "../../examples/train/configuration.ts";

const [SEQUENCES, LENGTH] = [8, 12];
const ids = Int32Array.from({ length: SEQUENCES * LENGTH }, (_, i) => Math.floor(key(1).number(i) * 256));
const targets = Int32Array.from(ids, (_, i) => Math.floor(key(2).number(i) * 256));

/** The gradient of every parameter after `parts` micro-batches, one behind the other. */
async function gradients(config: ModelConfig, parts: number): Promise<Float64Array> {
  const model = buildModel(config, key(3));
  const size = SEQUENCES / parts;
  for (let part = 0; part < parts; part++)
    scope(() => {
      const of = (all: Int32Array) => tensor(all.slice(part * size * LENGTH, (part + 1) * size * LENGTH), { shape: [size, LENGTH] });
      const out = model.forward(of(ids), {}, { training: true, random: key(4) });
      const loss = Object.values(out.losses).reduce((sum, auxiliary) => sum.add(auxiliary), crossEntropy(out.logits, of(targets)));
      loss.mul(1 / parts).backward();
    });
  const all = await Promise.all(model.parameters().map(async ({ grad }) => (grad ? [...(await grad.data())] : [])));
  return Float64Array.from(all.flat());
}

/** The distance of two gradients over the length of the first. */
async function difference(change: Partial<ModelConfig>): Promise<number> {
  const { model } = configOf({ ...trainDefaults(), width: 8, heads: 2, hidden: 16, experts: 3, length: LENGTH, jitter: 0 });
  const [whole, parts] = [await gradients({ ...model, ...change }, 1), await gradients({ ...model, ...change }, 4)];
  return Math.hypot(...whole.map((g, i) => g - parts[i])) / Math.hypot(...whole);
}

describe("gradients added up over micro-batches", () => {
  it("are those of one large batch in a dense model", async () => {
    expect(await difference({ router: "dense" })).to.be.below(1e-5);
  });

  it("are not in a Switch model: capacity and balance are those of a micro-batch", async () => {
    expect(await difference({ router: "switch", capacityFactor: 1 })).to.be.above(1e-2);
    expect(await difference({ router: "switch", capacityFactor: Infinity, alpha: 0.1 })).to.be.above(1e-4);
  });

  it("are again where nothing is dropped and nothing balanced", async () => {
    expect(await difference({ router: "switch", capacityFactor: Infinity, alpha: 0 })).to.be.below(1e-5);
  });
});
