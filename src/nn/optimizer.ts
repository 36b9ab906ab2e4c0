/** What all optimisers share: named parameters in groups, state per parameter that is saved with the model, one step at a time. */
import type { Backend } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { context, noGrad } from "../autograd/context.ts";
import { full, zeros } from "../autograd/create.ts";
import { checkMade, locating } from "../autograd/debug.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Module, renew } from "./module.ts";

/** A model, or parameters by name. */
export type Parameters = Module | Iterable<readonly [string, Tensor]>;

/** Options of single parameters, by name: `(name) => (name.endsWith("bias") ? { weightDecay: 0 } : {})`. */
export type Groups<O> = (name: string, parameter: Tensor) => Partial<O>;

export interface StepOptions {
  /** Times the learning rate: what a schedule gives for this step. Default 1. */
  readonly factor?: number;
  /** Times every gradient: a scalar on the device, so that clipping needs no reading back. See gradScale. */
  readonly gradScale?: Tensor | null;
}

/** Everything an optimiser needs to go on where it stopped. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** By parameter and kind: "blocks.0.attention.output.weight/first". */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** One parameter and what belongs to it. */
export interface Slot<O> {
  readonly name: string;
  readonly parameter: Tensor;
  readonly options: O;
  /** State by kind: moments, momentum. Persistent; only `assign` changes it. */
  readonly state: Record<string, Tensor>;
}

/** Extend it with `initial`, the state of one parameter, and `update`, one step; state is saved and loaded by parameter name. */
export abstract class Optimizer<O extends { readonly lr: number } = { readonly lr: number }> {
  protected readonly slots: readonly Slot<O>[];
  #steps = 0;

  protected constructor(parameters: Parameters, options: O, groups: Groups<O> = () => ({})) {
    const kind = this.constructor.name;
    const named = parameters instanceof Module ? parameters.namedParameters() : [...parameters];
    if (named.length === 0) throw new RangeError(`${kind}: there is no parameter to train`);
    for (const pair of named) requireTrainable(kind, pair);
    this.slots = named.map(([name, parameter]) => {
      const own = { ...options, ...groups(name, parameter) };
      if (!(own.lr >= 0 && own.lr < Infinity)) throw new RangeError(`${kind}: learning rate ${own.lr} of "${name}": want 0 or more`);
      return { name, parameter, options: own, state: this.initial(parameter, own) };
    });
  }

  /** The state of one parameter before the first step; `persistent` zeros. */
  protected abstract initial(parameter: Tensor, options: O): Record<string, Tensor>;

  /** Moves the parameters of `slots`, all of which have gradients; `step` counts from 1. */
  protected abstract update(slots: readonly Slot<O>[], step: number, options: Required<StepOptions>): void;

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Moves every parameter that has a gradient. Gradients stay until `zeroGrad`. */
  step({ factor = 1, gradScale = null }: StepOptions = {}): void {
    this.#steps++;
    const ready = this.slots.filter(({ parameter }) => parameter.grad);
    const move = (slots: readonly Slot<O>[]): void => noGrad(() => scope(() => this.update(slots, this.#steps, { factor, gradScale })));
    if (!context().debug) return move(ready);
    for (const slot of ready) this.#watch(slot, () => move([slot]));
  }

  /** In debug mode one parameter after the other: a number that a step makes non-finite is reported with the parameter's name. */
  #watch({ name, parameter, state }: Slot<O>, move: () => void): void {
    const place = { operation: this.constructor.name, phase: "optimizer", parameter: name } as const;
    const own = [parameter, ...Object.values(state)];
    scope(() => {
      const before = [...own.map((x) => x.detach()), ...(parameter.grad ? [parameter.grad] : [])];
      locating(place, move);
      for (const after of own) checkMade(place, after, before);
    });
  }

  /** Lets go of all gradients. */
  zeroGrad(): void {
    for (const { parameter } of this.slots) parameter.zeroGrad();
  }

  /** What `load` takes; the tensors are the optimiser's own, not copies. */
  state(): OptimizerState {
    const entries = this.slots.flatMap(({ name, state }) =>
      Object.entries(state).map(([kind, tensor]): [string, Tensor] => [`${name}/${kind}`, tensor]),
    );
    return { step: this.#steps, tensors: new Map(entries) };
  }

  /** Everything is checked before anything is assigned. */
  load({ step, tensors }: OptimizerState): void {
    const own = this.state().tensors;
    for (const [name, tensor] of own) {
      const saved = tensors.get(name);
      if (!saved || !sameShape(saved.shape, tensor.shape) || saved.dtype !== tensor.dtype)
        throw new RangeError(
          `${this.constructor.name}.load: "${name}" is ${saved ? `${saved.dtype} ${formatShape(saved.shape)}` : "missing"} in the saved state, ${tensor.dtype} ${formatShape(tensor.shape)} here`,
        );
    }
    const unknown = [...tensors.keys()].find((name) => !own.has(name));
    if (unknown !== undefined) throw new RangeError(`${this.constructor.name}.load: "${unknown}" of the saved state has no place here`);
    for (const [name, tensor] of own) renew(tensor, tensors.get(name) ?? tensor);
    this.#steps = step;
  }
}

function requireTrainable(operation: string, pair: readonly [string, Tensor]): void {
  if (!Array.isArray(pair)) throw new TypeError(`${operation}: parameters are a module, or pairs [name, tensor]`);
  const [name, parameter] = pair;
  if (!parameter.requiresGrad || parameter.line)
    throw new TypeError(`${operation}: "${name}", ${parameter.label}, is no leaf that requires a gradient, so it would never be trained`);
}

/** Zeros that no scope frees, for optimiser state. */
export function stateLike(parameter: Tensor, shape = parameter.shape): Tensor {
  const backend: Backend = parameter.backend;
  return zeros(shape, { dtype: parameter.dtype, backend }).persist();
}

/** The gradient of a slot, scaled as the step says. */
export function gradientOf({ parameter }: Slot<unknown>, gradScale: Tensor | null): Tensor {
  const { grad } = parameter;
  if (!grad) throw new ReferenceError(`step: ${parameter.label} has no gradient`);
  return gradScale ? grad.mul(gradScale.cast(grad.dtype)) : grad;
}

/** A number that differs from step to step, for one use: the numbers that stand beside tensors are kept, these need not be. */
export function once(value: number, like: Tensor): Tensor {
  return full([], value, { dtype: like.dtype, backend: like.backend });
}
