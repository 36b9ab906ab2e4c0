/** Choosing where new data goes. The only place of the core that knows devices by name. */
import type { Backend } from "../backend/backend.ts";
import { BackendError } from "../backend/backend.ts";
import { CpuBackend } from "../backend/cpu/cpuBackend.ts";
import { context, setContext, within } from "./context.ts";

let cpu: Backend | undefined;

/** The plain TypeScript reference backend; one for everybody. */
export function cpuBackend(): Backend {
  return (cpu ??= new CpuBackend());
}

/** Where new data goes now; the CPU reference until `useBackend` is called. */
export function defaultBackend(): Backend {
  return context().backend ?? cpuBackend();
}

/** "auto" is the fastest that works here without being asked for permissions: "wasm", and "cpu" where there is none, said once. */
export type BackendName = "auto" | "cpu" | "wasm" | "gpu";

const loaders: Record<BackendName, () => Promise<Backend>> = {
  auto: () =>
    load("wasm").catch((error: unknown) => {
      console.warn(`useBackend("auto"): no "wasm" here, so "cpu": ${error instanceof Error ? error.message : String(error)}`);
      return load("cpu");
    }),
  cpu: () => Promise.resolve(cpuBackend()),
  wasm: async () => (await import("../backend/wasm/index.ts")).wasm(),
  gpu: async () => (await import("../backend/gpu/index.ts")).gpu(),
};

const loaded = new Map<BackendName, Promise<Backend>>();

/**
 * From now on new data goes to this backend: `await useBackend("wasm")`, or one that you made yourself. Devices are loaded when
 * asked for and kept. It answers with the backend, whose `description` says what really runs. A device that cannot be had is an
 * error: there is no silent fallback.
 */
export async function useBackend(choice: BackendName | Backend): Promise<Backend> {
  const backend = typeof choice === "string" ? await load(choice) : choice;
  setContext({ backend });
  return backend;
}

async function load(name: BackendName): Promise<Backend> {
  if (!(name in loaders)) throw new BackendError(`useBackend: there is no "${name}"; there are ${Object.keys(loaders).join(", ")}`);
  let backend = loaded.get(name);
  if (!backend) loaded.set(name, (backend = loaders[name]()));
  try {
    return await backend;
  } catch (error) {
    loaded.delete(name);
    throw error;
  }
}

/** New data made by `fn` goes to `backend`. */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  return within({ backend }, fn, "withBackend");
}
