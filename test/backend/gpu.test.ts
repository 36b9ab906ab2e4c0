/** The conformance of the gpu backend where it needs neither a GPU nor a browser; its other modes are tried in test/browser. */
import { gpu } from "../../src/backend/gpu/index.ts";
import { conformance } from "./conformance.ts";
import { gpuOptions } from "./gpuOptions.ts";

conformance("gpu.js webasm", () => gpu({ mode: "webasm" }), gpuOptions("webasm"));
