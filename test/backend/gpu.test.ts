/** The conformance of the gpu backend in Node: gpu.js's WebAssembly mode, and WebGPU where there is an adapter. */
import { gpu } from "../../src/backend/gpu/index.ts";
import { useSwiftShader } from "./adapter.ts";
import { conformance } from "./conformance.ts";
import { gpuOptions } from "./gpuOptions.ts";

useSwiftShader();
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
