/** The conformance of the gpu backend in Node: gpu.js's WebAssembly mode, and WebGPU where there is an adapter. */
import { existsSync } from "node:fs";
import { gpu } from "../../src/backend/gpu/index.ts";
import { conformance } from "./conformance.ts";
import { gpuOptions } from "./gpuOptions.ts";

// A software adapter, where there is no other: SwiftShader comes with Chromium.
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (!process.env["VK_ICD_FILENAMES"] && existsSync(swiftShader)) process.env["VK_ICD_FILENAMES"] = swiftShader;

conformance("gpu.js webasm", () => gpu({ mode: "webasm" }), gpuOptions("webasm"));

const webgpu = await gpu({ mode: "webgpu" }).catch((error: Error) => error);
if (!(webgpu instanceof Error)) conformance(`gpu.js webgpu, ${webgpu.description}`, () => webgpu, gpuOptions("webgpu"));
else {
  describe("conformance of gpu.js webgpu", () => {
    it("finds an adapter", function () {
      if (process.env["CI"]) throw webgpu;
      this.skip();
    });
  });
}
