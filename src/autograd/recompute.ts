/**
 * Recomputation: less memory for more time. What a function computes inside is freed after the forward pass, and computed again when the
 * backward walk needs it. Griewank 1992; Chen et al. 2016, arXiv:1604.06174 ("gradient checkpointing").
 *
 * Decisions are kept, not made again: an int32 result that was computed from real numbers (argmax, topK, argsort, a cast) is stored in the
 * first run and replayed in the second. So a router decides a near-tie alike in both runs, and gradients go to the experts that were used.
 */
import type { ArrayType } from "../backend/backend.ts";
import { formatShape, sameShape } from "../backend/shape.ts";
import { callable, check } from "./arguments.ts";
import { context, synchronous, within } from "./context.ts";
import { concat } from "./operations.ts";
import { scope } from "./scope.ts";
import type { Storage } from "./storage.ts";
import { Line } from "./tape.ts";
import { Tensor } from "./tensor.ts";
import { localGradients } from "./walk.ts";

/** Collects what one run of a recomputed function reads and decides; operations report to it. */
export class Recomputation {
  /** Tracked tensors from outside that the function reads: gradients can flow to them. */
  readonly used = new Set<Tensor>();
  readonly #decisions: { readonly type: ArrayType; readonly storage: Storage }[];
  readonly #outer: Recomputation | null;
  /** The decision that is replayed next; null: this is the first run, which stores them. */
  #next: number | null;

  constructor(outer: Recomputation | null, stored?: Recomputation) {
    this.#outer = outer;
    this.#decisions = stored ? stored.#decisions : [];
    this.#next = stored ? 0 : null;
  }

  /** Takes note of the inputs of an operation. */
  read(inputs: readonly Tensor[]): void {
    if (this.#next !== null) return;
    for (const input of inputs) if (input.requiresGrad) this.used.add(input);
    this.#outer?.read(inputs);
  }

  /** The result of a decision: made and stored in the first run, replayed in the second. */
  decide(type: ArrayType, make: () => Storage): Storage {
    if (this.#next === null) {
      const storage = this.#outer ? this.#outer.decide(type, make) : make();
      this.#decisions.push({ type, storage: storage.retain() });
      return storage;
    }
    const stored = this.#decisions[this.#next++];
    if (!stored || !sameShape(stored.type.shape, type.shape))
      throw new Error(
        `recompute: the function ran otherwise the second time: decision ${this.#next} is ${formatShape(type.shape)}, it was ${stored ? formatShape(stored.type.shape) : "not made"}`,
      );
    return stored.storage;
  }

  /** The storages of the decisions, each with an owner that must be released. */
  get storages(): Storage[] {
    return this.#decisions.map(({ storage }) => storage);
  }

  /** Releases the decisions: nothing will be replayed. */
  forget(): void {
    for (const { storage } of this.#decisions.splice(0)) storage.release();
  }
}

/**
 * Runs `fn` and keeps its results and its decisions alone; a backward walk runs it again. Returns what `fn` returns: a tensor, or arrays and
 * plain objects of tensors. Values and gradients are the same bits as without it, for the time of about one more forward pass. It may be walked
 * with `createGraph`, and nested. `fn` must do the same when it runs again: randomness comes from keys. Throws for an asynchronous function, and
 * for one that makes other decisions in its second run.
 */
export function recompute<T>(fn: () => T): T {
  check("recompute", "fn", fn, callable);
  return recomputeKeeping(() => ({ value: synchronous(fn(), "recompute"), constants: null })).value;
}

/** The same of a function that also answers constants, which are kept as the first run made them and get no gradient. */
export function recomputeKeeping<T, C>(fn: () => { readonly value: T; readonly constants: C }): { value: T; constants: C } {
  if (!context().recording) return fn();
  const first = new Recomputation(context().recomputation);
  const kept = firstRun(first, () => {
    const { value, constants } = fn();
    const results = resultsOf(value);
    first.read(results); // a result may be a tensor from outside, which no operation reads
    const made = results.filter(({ owner }) => owner === context().scope);
    return { value, constants, results, made, bundle: results.length > 0 ? bundled(results).alias() : null };
  });
  const { value, constants, results, made, bundle } = kept;
  const inputs = [...first.used];
  if (!bundle || inputs.length === 0) {
    first.forget();
    bundle?.dispose();
    return { value, constants };
  }
  bundle.line = new Line("recompute", inputs, bundle, (g, line) => pull(fn, first, line, g));
  bundle.holdAlso(first.storages);
  const parts = unbundled(bundle, results);
  for (const result of made) result.dispose();
  return { value: replaced(value, new Map(results.map((result, i) => [result, parts[i]]))), constants };
}

/** Runs `fn` unrecorded and in a scope of its own, watched by `first`. Where it throws, its decisions are released. */
function firstRun<T>(first: Recomputation, fn: () => T): T {
  try {
    return scope(() => within({ recording: false, recomputation: first }, fn));
  } catch (error) {
    first.forget();
    throw error;
  }
}

/** The cotangents of the inputs, from a second run that is recorded and walked at once. */
function pull(fn: () => { readonly value: unknown }, first: Recomputation, line: Line, g: Tensor): (Tensor | null)[] {
  const createGraph = context().recording;
  const again = new Recomputation(null, first);
  const root = within({ recording: true, recomputation: again }, () => bundled(resultsOf(fn().value)));
  return localGradients(root, line.inputs, g, { createGraph, release: !createGraph });
}

/** The tensors of a result that can have a gradient, each once. */
function resultsOf(value: unknown): Tensor[] {
  const found = new Set<Tensor>();
  visit(value, (tensor) => {
    if (tensor.dtype !== "int32") found.add(tensor);
  });
  return [...found];
}

/** Several results as one, so that one line leads to all of them: flat, side by side, in the widest of their dtypes. */
function bundled(results: readonly Tensor[]): Tensor {
  if (results.length === 1) return results[0];
  const dtype = widest(results);
  return concat(results.map((result) => result.cast(dtype).reshape([result.size])));
}

function unbundled(bundle: Tensor, results: readonly Tensor[]): Tensor[] {
  if (results.length === 1) return [bundle];
  let at = 0;
  return results.map(({ size, shape, dtype }) => {
    const part = bundle.narrow(0, at, at + size).reshape(shape);
    at += size;
    return part.cast(dtype);
  });
}

function widest(results: readonly Tensor[]): "float64" | "float32" | "bfloat16" {
  if (results.some(({ dtype }) => dtype === "float64")) return "float64";
  return results.some(({ dtype }) => dtype === "float32") ? "float32" : "bfloat16";
}

/** Every tensor in arrays and plain objects. */
function visit(value: unknown, each: (tensor: Tensor) => void): void {
  if (value instanceof Tensor) each(value);
  else if (isStructure(value)) for (const item of Object.values(value)) visit(item, each);
}

/** The same structure with other tensors. */
function replaced<T>(value: T, tensors: ReadonlyMap<Tensor, Tensor>): T {
  const swap = (item: unknown): unknown => {
    if (item instanceof Tensor) return tensors.get(item) ?? item;
    if (Array.isArray(item)) return item.map(swap);
    return isStructure(item) ? Object.fromEntries(Object.entries(item).map(([name, part]) => [name, swap(part)])) : item;
  };
  return swap(value) as T;
}

function isStructure(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
