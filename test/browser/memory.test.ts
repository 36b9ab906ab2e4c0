/** Long runs, in the mode of gpu.js that is quick without a GPU. */
import { cpuBackend, useBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend } from "../../src/backend/gpu/index.ts";
import { expectBoundedReads, expectBoundedTraining } from "../parity/bounded.ts";
import { smallest } from "../parity/training.ts";

describe("memory of gpu.js webasm in long runs", function () {
  this.timeout(600_000);
  let backend: GpuBackend;
  before(async () => void (backend = await gpu({ mode: "webasm" })));
  after(async () => {
    await useBackend(cpuBackend());
    await backend.destroy();
  });

  it("800 training steps: as many buffers, bytes and kernels live as after 40", () => expectBoundedTraining(backend, 800, smallest));

  it("20,000 results of 64 KB outside of scopes, each read: at most a fifth alive at once", () =>
    expectBoundedReads(backend, 20_000, 128, 4000));
});
