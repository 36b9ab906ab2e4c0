/** The page on which a browser runs the conformance suite and the training parity. */
import { runAll } from "./harness.ts";
import type { Outcome } from "./harness.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend, GpuMode } from "../../src/backend/gpu/index.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { useBackend } from "../../src/index.ts";
import { parityLosses } from "../parity/training.ts";
import { conformance } from "../backend/conformance.ts";
import { gpuOptions } from "../backend/gpuOptions.ts";

/** What the page answers with. */
export interface PageReport {
  readonly description: string;
  readonly outcomes: readonly Outcome[];
}

declare global {
  var runConformance: (mode: GpuMode) => Promise<PageReport>;
  var runParity: (mode: GpuMode) => Promise<number[]>;
}

globalThis.runConformance = async (mode) => {
  let description = "";
  const open = async (): Promise<Backend> => {
    const backend: GpuBackend = await gpu({ mode });
    description = backend.description;
    return backend;
  };
  conformance(`gpu.js ${mode}`, open, gpuOptions(mode));
  const outcomes = await runAll();
  return { description, outcomes };
};

globalThis.runParity = async (mode) => {
  const backend = await gpu({ mode });
  await useBackend(backend);
  return parityLosses();
};
