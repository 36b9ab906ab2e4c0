/** How each mode of gpu.js is held to the contract. */
import type { Backend } from "../../src/backend/backend.ts";
import type { GpuBackend, GpuMode } from "../../src/backend/gpu/index.ts";
import type { ConformanceOptions } from "./conformance.ts";

const why = "int32 is kept as float32, exact up to 2^24";
const wholeNumbers = { "int32 wraps around: elementwise": why, "int32 wraps around: sums": why };

export function gpuOptions(mode: GpuMode): ConformanceOptions {
  return {
    layouts: "in turn",
    seesIndices: false,
    exceptions: {
      ...wholeNumbers,
      ...(mode === "webasm" ? {} : { "order tells the smallest numbers from zero": "shader languages may take denormal numbers for 0" }),
    },
    // exp of shader languages is good to some 60 units in the last place.
    tolerances: mode === "webasm" ? {} : { float32: { relative: 1e-5, absolute: 1e-37 } },
    close: (backend: Backend) => (backend as GpuBackend).destroy(),
  };
}
