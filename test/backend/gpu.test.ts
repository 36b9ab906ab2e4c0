/** The conformance of the gpu backend in Node: gpu.js's WebAssembly mode, and WebGPU where there is an adapter. */
import { existsSync } from "node:fs";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { conformance } from "./conformance.ts";
import type { ConformanceOptions } from "./conformance.ts";

// A software adapter, where there is no other: SwiftShader comes with Chromium.
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (!process.env["VK_ICD_FILENAMES"] && existsSync(swiftShader)) process.env["VK_ICD_FILENAMES"] = swiftShader;

const options: ConformanceOptions = {
  // Each layout is a kernel to compile: these three have every trait of the seven.
  layouts: ["contiguous", "swapped", "tangled"],
  // exp of shader languages is good to some 60 units in the last place.
  tolerances: { float32: { relative: 1e-5, absolute: 1e-37 } },
  close: (backend: Backend) => (backend as Awaited<ReturnType<typeof gpu>>).destroy(),
};

conformance("gpu.js webasm", () => gpu({ mode: "webasm" }), { ...options, tolerances: {} });

const webgpu = await gpu({ mode: "webgpu" }).catch((error: Error) => error);
if (!(webgpu instanceof Error)) conformance(`gpu.js webgpu, ${webgpu.description}`, () => webgpu, options);
else {
  describe("conformance of gpu.js webgpu", () => {
    it("finds an adapter", function () {
      if (process.env["CI"]) throw webgpu;
      this.skip();
    });
  });
}
