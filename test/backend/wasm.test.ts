import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { conformance } from "./conformance.ts";

conformance("wasm", () => wasm({ threads: 2 }), { close: (backend) => (backend as WasmBackend).close() });
