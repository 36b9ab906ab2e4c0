/**
 * The ambient context: settings that hold for all operations of the code that runs now. It says where new data goes, whether lines
 * are recorded and which scope owns new tensors; an operation itself runs on the device of its inputs.
 */
import type { Backend } from "../backend/backend.ts";
import { callable, check } from "./arguments.ts";
import type { Recomputation } from "./recompute.ts";
import type { Scope } from "./scope.ts";

export interface Context {
  /** Where new data goes. */
  readonly backend: Backend | null;
  /** Whether operations are written on the tape. */
  readonly recording: boolean;
  /** Owner of the tensors made now; null: the garbage collector. */
  readonly scope: Scope | null;
  /** Whether each result is checked for NaN and infinities. */
  readonly debug: boolean;
  /** Whether random tensors are drawn; else they are zeros. */
  readonly drawing: boolean;
  /** Watches the run of a recomputed function; null: no recomputation is under way. */
  readonly recomputation: Recomputation | null;
}

let current: Context = { backend: null, recording: true, scope: null, debug: false, drawing: true, recomputation: null };

/** The context of the code that runs now. */
export function context(): Context {
  return current;
}

/** Changes the context from now on, not for the run of a function. Only `useBackend` does. */
export function setContext(change: Partial<Context>): void {
  current = { ...current, ...change };
}

/** Runs `fn` in a changed context. Throws for an asynchronous function: the change would also hold for other code that runs before it ends. */
export function within<T>(change: Partial<Context>, fn: () => T, name = "within"): T {
  const before = current;
  current = { ...current, ...change };
  try {
    return synchronous(fn(), name);
  } finally {
    current = before;
  }
}

/** Runs `fn` without recording: results inside are constants, and no gradient flows through them. Throws for asynchronous functions. */
export function noGrad<T>(fn: () => T): T {
  check("noGrad", "fn", fn, callable);
  return within({ recording: false }, fn, "noGrad");
}

/** Returns `result`. Throws a TypeError that names the function `name` where it is a promise. */
export function synchronous<T>(result: T, name: string): T {
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw new TypeError(
      `${name}: the function returned a promise; await outside of ${name} (for example: const x = ${name}(() => f()); await x.data())`,
    );
  }
  return result;
}
