/** WebGPU in Node, through Dawn: the conformance suite, the training parity, and memory. A software adapter will do. */
import { cpuBackend, useBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import { useSwiftShader } from "../backend/adapter.ts";
import { conformance } from "../backend/conformance.ts";
import { gpuOptions } from "../backend/gpuOptions.ts";
import { expectSameLosses } from "../parity/agreement.ts";
import { expectBoundedReads } from "../parity/bounded.ts";
import { parityLosses } from "../parity/training.ts";

useSwiftShader();
const found = await gpu({ mode: "webgpu" }).catch((error: Error) => error);

if (found instanceof Error) {
  describe("gpu.js webgpu in Node", () => {
    it("finds an adapter", function () {
      if (process.env["CI"]) throw found;
      this.skip();
    });
  });
} else {
  conformance(`gpu.js webgpu in Node, ${found.description}`, () => gpu({ mode: "webgpu" }), gpuOptions("webgpu"));

  describe("gpu.js webgpu in Node", function () {
    this.timeout(120_000);
    afterEach(() => useBackend(cpuBackend()));
    after(() => found.destroy());

    it("trains to the reference's losses", async () => {
      await useBackend(cpuBackend());
      const want = await parityLosses();
      await useBackend(found);
      expectSameLosses(found.description, await parityLosses(), want);
    });

    it("gives back results outside of scopes", () => expectBoundedReads(found));
  });
}
