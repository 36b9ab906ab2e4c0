/** Choosing where new data goes. The only place of the core that knows devices by name. */
import type { Backend } from "../backend/backend.ts";
import { BackendError } from "../backend/backend.ts";
import { CpuBackend } from "../backend/cpu/cpuBackend.ts";
import { aBackend, callable, check, either, oneOf } from "./arguments.ts";
import { context, setContext, within } from "./context.ts";

let cpu: Backend | undefined;

/** The reference backend in plain TypeScript, the same at each call. It has every dtype, and the other backends are tested against it. */
export function cpuBackend(): Backend {
  return (cpu ??= new CpuBackend());
}

/** The backend where new data goes now: the CPU reference until `useBackend` is called. */
export function defaultBackend(): Backend {
  return context().backend ?? cpuBackend();
}

/** A device by name. "auto" is "wasm", or "cpu" with a warning on the console where "wasm" cannot be had. */
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

const names = Object.keys(loaders);
const aChoice = either({ ...oneOf(...names), wanted: names.join(", ") }, aBackend);

const loaded = new Map<BackendName, Promise<Backend>>();

/**
 * Makes a backend the place of new data from now on: `await useBackend("wasm")`, or one that you made yourself. A named device is loaded
 * at its first use and kept. Resolves to the backend, whose `description` says what really runs. Throws a BackendError where the device
 * cannot be had; only "auto" takes another one instead.
 */
export async function useBackend(choice: BackendName | Backend): Promise<Backend> {
  if (typeof choice !== "string") check("useBackend", "choice", choice, aChoice);
  const backend = typeof choice === "string" ? await load(choice) : choice;
  setContext({ backend });
  return backend;
}

async function load(name: BackendName): Promise<Backend> {
  if (!Object.hasOwn(loaders, name)) throw new BackendError(`useBackend: there is no "${name}"; there are ${names.join(", ")}`);
  let backend = loaded.get(name);
  if (!backend) loaded.set(name, (backend = loaders[name]()));
  try {
    return await backend;
  } catch (error) {
    loaded.delete(name);
    throw error;
  }
}

/** Runs `fn` with `backend` as the place of new data, and answers with its result. Throws for asynchronous functions. */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  check("withBackend", "backend", backend, aBackend);
  check("withBackend", "fn", fn, callable);
  return within({ backend }, fn, "withBackend");
}
