/**
 * Memory without bookkeeping: `scope(fn)` frees what was made inside, except what it returns and what hangs on a leaf.
 */
import { callable, check } from "./arguments.ts";
import { context, within } from "./context.ts";
import { Holder } from "./life.ts";

/** The tensors made since a scope opened. */
export class Scope {
  readonly parent: Scope | null;
  #tensors: Holder[] = [];

  constructor(parent: Scope | null) {
    this.parent = parent;
  }

  add(tensor: Holder): void {
    this.#tensors.push(tensor);
  }

  /** Frees everything but `kept`, which move to the parent. */
  close(kept: ReadonlySet<Holder>): void {
    for (const tensor of this.#tensors) {
      if (tensor.owner !== this) continue; // it was made persistent
      if (kept.has(tensor)) tensor.adoptBy(this.parent);
      else tensor.dispose();
    }
    this.#tensors = [];
  }
}

/**
 * Runs `fn` and frees every tensor made inside, except those it returns (through arrays and plain objects) and those that hang
 * on a leaf: parameters, their `.grad`, optimiser state. When `fn` throws, everything is freed. Throws where `fn` returns a promise.
 */
export function scope<T>(fn: () => T): T {
  check("scope", "fn", fn, callable);
  const inner = new Scope(context().scope);
  const kept = new Set<Holder>();
  try {
    const result = within({ scope: inner }, fn, "scope");
    collect(result, kept);
    return result;
  } finally {
    inner.close(kept);
  }
}

/** The tensors reachable from a result through arrays and plain objects. */
function collect(value: unknown, into: Set<Holder>, seen = new Set<unknown>()): void {
  if (value instanceof Holder) into.add(value);
  if (seen.has(value) || !(Array.isArray(value) || isPlain(value))) return;
  seen.add(value);
  for (const item of Object.values(value)) collect(item, into, seen);
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
