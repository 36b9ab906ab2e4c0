/** Device memory of gpu.js stays bounded: steps in scopes give it back at once, results outside of scopes through the collector. */
import { expect } from "chai";
import { scope, tensor, useBackend, cpuBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend } from "../../src/backend/gpu/index.ts";
import { AdamW } from "../../src/nn/index.ts";
import { useSwiftShader } from "../backend/adapter.ts";
import { parityModel, trainStep } from "./training.ts";

describe("memory of gpu.js", function () {
  this.timeout(60_000);
  afterEach(() => useBackend(cpuBackend()));

  async function open(mode: "webasm" | "webgpu"): Promise<GpuBackend | undefined> {
    useSwiftShader();
    const backend = await gpu({ mode }).catch((error: Error) => {
      if (mode === "webasm" || process.env["CI"]) throw error;
      return undefined;
    });
    if (backend) await useBackend(backend);
    return backend;
  }

  it("training: after 100 steps as many buffers and bytes live as after 20", async () => {
    const backend = await open("webasm");
    const model = parityModel();
    const optimizer = new AdamW(model, { lr: 1e-3 });
    const books: [number, number][] = [];
    for (let step = 0; step < 100; step++) {
      scope(() => void trainStep(model, optimizer, step));
      if (step % 20 === 19) books.push([backend?.stats().liveBuffers ?? 0, backend?.stats().liveBytes ?? 0]);
    }
    expect(new Set(books.map(String)).size, books.join(" | ")).to.equal(1);
    await backend?.destroy();
  });

  for (const mode of ["webasm", "webgpu"] as const) {
    it(`${mode}: 900 results outside of scopes, each read, never hold more than 600 of them`, async function () {
      const backend = await open(mode);
      if (!backend) return this.skip();
      const x = tensor(new Float32Array(256 * 256).fill(0.5), { shape: [256, 256] });
      let most = 0;
      for (let i = 0; i < 900; i++) {
        const sum = await x.add(1).data();
        expect(sum[0]).to.equal(1.5);
        most = Math.max(most, backend.stats().liveBytes);
      }
      expect(most).to.be.lessThan(600 * 4 * 256 * 256);
      expect(x.size).to.equal(256 * 256);
      await backend.destroy();
    });
  }
});
