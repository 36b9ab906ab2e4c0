/** The WebAssembly backend's memory is its own: the collector does not see it, and must be made to feel it. */
import { expect } from "chai";
import { key, random, scope, withBackend } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { WasmBackend } from "switchyard-moe/backend/wasm";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { AdamW } from "switchyard-moe/nn";

const MB = 2 ** 20;

describe("memory of the WebAssembly backend", function () {
  this.timeout(120_000);
  let backend: WasmBackend;
  const open = async (megabytes: number): Promise<void> => void (backend = await wasm({ threads: 1, maximumBytes: megabytes * MB }));

  /** Products of many bytes that take few operations. */
  const operands = (rows: number): Tensor[] =>
    withBackend(backend, () => [random.normal([rows, 4], key(1)), random.normal([4, 128], key(2))]);

  it("evaluations of 1.2 GB outside of a scope that each read their result stay below 512 MB", async () => {
    await open(512);
    const [x, w] = operands(1024);
    for (let i = 0; i < 800; i++) await x.matmul(w).tanh().mul(0.5).sum().item();
    expect(backend.stats().peakBytes).to.be.below(512 * MB);
  });

  it("the same without any read ends in an error that names scope()", async () => {
    await open(128);
    const [x, w] = operands(1024);
    const loop = (): void => {
      for (let i = 0; i < 100_000; i++) x.matmul(w).tanh().mul(0.5).sum();
    };
    expect(loop).to.throw(/wasm: no room for \d+ bytes: \d+ bytes are in use and this memory holds at most 134217728\..* scope\(\)/);
  });

  it("1,000 training steps live in the memory of the first", async () => {
    await open(512);
    withBackend(backend, () => {
      const layer = sparseLayer();
      const optimizer = new AdamW(layer, { lr: 1e-3 });
      const x = random.normal([2, 16, 8], key(3)).persist();
      const step = (i: number): void =>
        scope(() => {
          const { output, losses } = layer.forward(x, {}, { training: true, random: key(4).at(i) });
          output.sub(x).square().mean().add(losses.balance).backward({ release: true });
          optimizer.step();
          optimizer.zeroGrad();
        });
      for (let i = 0; i < 20; i++) step(i);
      const { peakBytes, liveBytes } = backend.stats();
      for (let i = 20; i < 1000; i++) step(i);
      expect(backend.stats().liveBytes).to.be.at.most(liveBytes + 32 * 1024);
      expect(backend.stats().peakBytes).to.be.at.most(peakBytes + 32 * 1024);
    });
  });
});

function sparseLayer(): MoE {
  const [width, experts] = [8, 3];
  return new MoE({
    router: new SwitchRouter({ width, experts, random: key(5) }),
    experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(6) }),
  });
}
