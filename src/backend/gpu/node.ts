/** WebGPU for Node: Dawn, from the optional package `webgpu`, put where gpu.js looks for it. */

interface DawnModule {
  create(options: readonly string[]): object;
  readonly globals: Readonly<Record<string, unknown>>;
}

// Why: Dawn's instance must outlive every device made from it; a reference from the module keeps it.
let instance: object | undefined;

/** Gives Node a `navigator.gpu`; does nothing where there is one, or where the package is missing. */
export async function installWebgpu(): Promise<void> {
  const scope = globalThis as { navigator?: { gpu?: object } };
  if (instance || scope.navigator?.gpu) return;
  const dawn = await loadDawn();
  if (!dawn) return;
  instance = dawn.create([]);
  if (!scope.navigator) Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  Object.defineProperty(scope.navigator, "gpu", { value: instance, configurable: true });
}

async function loadDawn(): Promise<DawnModule | undefined> {
  const name = "webgpu"; // a variable, so that bundlers for browsers leave it alone
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as DawnModule;
  } catch {
    return undefined;
  }
}
