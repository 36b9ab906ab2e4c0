/** Device memory of gpu.js stays bounded: steps in scopes give it back at once, results outside of scopes through the collector. */
import { expect } from "chai";
import { cpuBackend, scope, useBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend } from "../../src/backend/gpu/index.ts";
import { AdamW } from "../../src/nn/index.ts";
import { expectBoundedReads } from "./bounded.ts";
import { parityModel, trainStep } from "./training.ts";

describe("memory of gpu.js", function () {
  this.timeout(60_000);
  let backend: GpuBackend;
  before(async () => void (backend = await gpu({ mode: "webasm" })));
  beforeEach(() => useBackend(backend));
  after(async () => {
    await useBackend(cpuBackend());
    await backend.destroy();
  });

  it("training: after 100 steps as many buffers and bytes live as after 20", () => {
    const model = parityModel();
    const optimizer = new AdamW(model, { lr: 1e-3 });
    const books: string[] = [];
    for (let step = 0; step < 100; step++) {
      scope(() => void trainStep(model, optimizer, step));
      const { liveBuffers, liveBytes } = backend.stats();
      if (step % 20 === 19) books.push(`${liveBuffers} buffers, ${liveBytes} bytes`);
    }
    expect(new Set(books).size, books.join(" | ")).to.equal(1);
  });

  it("gives back results outside of scopes", () => expectBoundedReads(backend));
});
