import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { conformance } from "./conformance.ts";

for (const threads of [1, 2]) {
  conformance(`wasm, threads: ${threads}`, () => wasm({ threads }), { close: (backend) => (backend as WasmBackend).close() });
}
