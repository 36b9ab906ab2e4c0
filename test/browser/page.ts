/** The page on which a browser runs the conformance suite and the training parity. */
import { runAll } from "./harness.ts";
import type { Outcome } from "./harness.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend, GpuMode } from "../../src/backend/gpu/index.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { useBackend } from "../../src/index.ts";
import { fewSteps, parityLosses } from "../parity/training.ts";
import { conformance } from "../backend/conformance.ts";
import type { Cases } from "../backend/workbench.ts";
import { gpuOptions } from "../backend/gpuOptions.ts";
import { accuracy } from "../backend/laws/accuracy.ts";
import { companions } from "../backend/laws/companions.ts";
import { outside } from "../backend/laws/outside.ts";

/** What the page answers with. */
export interface PageReport {
  readonly description: string;
  readonly outcomes: readonly Outcome[];
}

declare global {
  var runConformance: (mode: GpuMode) => Promise<PageReport>;
  /** Computes, loses the device, computes again, and answers with both messages; "" is success. */
  var runLoss: (mode: GpuMode) => Promise<[before: string, after: string]>;
  var runParity: (mode: GpuMode) => Promise<number[]>;
}

/** Chromium's WebGPU is Dawn, which tries every case in Node. */
const tried: Partial<Record<GpuMode, Cases>> = { webgpu: "first", webgl2: "some" };

globalThis.runConformance = async (mode) => {
  let description = "";
  const open = async (): Promise<Backend> => {
    const backend: GpuBackend = await gpu({ mode });
    description = backend.description;
    return backend;
  };
  const exceptions = { ...gpuOptions(mode).exceptions, ...untried };
  conformance(`gpu.js ${mode}`, open, { ...gpuOptions(mode), exceptions, cases: tried[mode] ?? "every" });
  const outcomes = await runAll();
  return { description, outcomes };
};

globalThis.runParity = async (mode) => {
  const backend = await gpu({ mode });
  await useBackend(backend);
  return parityLosses(fewSteps);
};

globalThis.runLoss = async (mode) => {
  const lose = catchDevice();
  const backend = await gpu({ mode });
  const type = { shape: [300], dtype: "float32" } as const;
  const attempt = async (): Promise<string> => {
    try {
      const x = { ...type, buffer: backend.upload(type, new Float32Array(300).fill(2)), strides: [1], offset: 0 };
      const [four] = await backend.download(backend.binary("mul", type, x, x), type);
      return four === 4 ? "" : `2 x 2 is ${four}`;
    } catch (error) {
      return String(error);
    }
  };
  const before = await attempt();
  lose();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return [before, await attempt()];
};

interface Losable {
  destroy?(): void;
  getExtension?(name: string): { loseContext(): void } | null;
}
interface Prototype {
  prototype: Record<string, (...args: unknown[]) => Losable | Promise<Losable>>;
}

/** Watches for the device or context that gpu.js opens, and answers with what takes it away. */
/** Laws that were written for all devices and have not been seen to end in a browser yet; in Node they hold on gpu.js. */
const untried = Object.fromEntries(
  Object.keys({ ...accuracy, ...companions, ...outside }).map((title) => [
    title,
    "takes minutes on a software GPU; not yet tried in browsers",
  ]),
);

function catchDevice(): () => void {
  const caught: Losable[] = [];
  const watch = (name: string, method: string): void => {
    const { prototype } = (globalThis as unknown as Record<string, Prototype>)[name];
    const original = prototype[method];
    prototype[method] = function (...args) {
      const made = original.apply(this, args);
      void Promise.resolve(made).then((device) => caught.push(device));
      return made;
    };
  };
  watch("HTMLCanvasElement", "getContext");
  watch("OffscreenCanvas", "getContext");
  if ("GPUAdapter" in globalThis) watch("GPUAdapter", "requestDevice");
  return () =>
    caught.forEach((device) => {
      device.destroy?.();
      device.getExtension?.("WEBGL_lose_context")?.loseContext();
    });
}
