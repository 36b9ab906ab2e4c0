/** The museum has one worker at a time: who begins ends what another room has begun. */
let current: { readonly worker: Worker; readonly ended: () => void } | undefined;

/** Begins a worker. `ended` is called when another one takes its place. */
export function beginWorker(address: string, ended: () => void): Worker {
  const before = current;
  before?.worker.terminate();
  const worker = new Worker(address, { type: "module" });
  current = { worker, ended };
  before?.ended();
  return worker;
}

/** Ends a worker, if it is still the current one. */
export function endWorker(worker: Worker | null | undefined): void {
  worker?.terminate();
  if (current?.worker === worker) current = undefined;
}
