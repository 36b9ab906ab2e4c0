import { gpu } from "../../src/backend/gpu/index.ts";
import { conformance } from "./conformance.ts";

conformance("gpu.js webasm", () => gpu({ mode: "webasm" }), {
  close: (backend) => (backend as { destroy?: () => Promise<void> }).destroy?.(),
});
