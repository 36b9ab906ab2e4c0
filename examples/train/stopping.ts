/** Ending a run from outside: each signal that asks a program to end asks the run to save first. */

/** Ctrl-C; docker stop, batch systems and shutdowns; a closed terminal. With the code that a shell expects afterwards, 128 + number. */
export const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
export type SignalName = keyof typeof signals;

export interface Stop {
  /** Whether someone asked. */
  asked(): boolean;
  /** The exit code that belongs to what was asked. */
  code(): number;
  /** Listens no longer. */
  end(): void;
}

/**
 * The first signal asks to stop after the step; a second one ends the program as usual. So does a reader that leaves: in
 * `npm start | tee log` Ctrl-C ends tee as well, and a run is to be saved all the same.
 */
export function listenForStop(): Stop {
  let code: number | null = null;
  const stop = (exitCode: number) => (): void => {
    code ??= exitCode;
    end();
  };
  const handlers = Object.entries(signals).map(([signal, exitCode]) => [signal, stop(exitCode)] as const);
  const leave = stop(signals.SIGHUP);
  const end = (): void => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    process.stdout.off("error", leave);
  };
  for (const [signal, handler] of handlers) process.on(signal, handler);
  process.stdout.on("error", leave);
  return { asked: () => code !== null, code: () => code ?? 0, end };
}
