/** The same promises on WebAssembly; fused kernels in its own float32. */
import { useBackend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { WasmBackend } from "switchyard-moe/backend/wasm";
import { errors } from "./suites/errors.ts";
import { fused } from "./suites/fused.ts";
import { gradients } from "./suites/gradients.ts";
import { laws } from "./suites/laws.ts";
import { numbers } from "./suites/numbers.ts";
import { tape } from "./suites/tape.ts";

describe("autograd on WebAssembly", () => {
  let backend: WasmBackend;
  before(async () => void (await useBackend((backend = await wasm({ threads: 1 })))));
  after(async () => {
    await useBackend("cpu");
    backend.close();
  });
  gradients(3);
  laws();
  numbers();
  errors();
  tape();
});

fused("WebAssembly", () => wasm({ threads: 1 }), { dtype: "float32", tolerance: 2e-4, runs: 40, missing: ["logSumExp"] });
