/** What all optimisers share: parameters by name, options and state for each of them, and one step at a time. */
import type { Backend } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { context, noGrad } from "../autograd/context.ts";
import { full, zeros } from "../autograd/create.ts";
import { checkMade, locating } from "../autograd/debug.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import {
  aTensor,
  callable,
  check,
  checkOptions,
  describe,
  either,
  finite,
  instance,
  nothing,
  optional,
  whole,
} from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { Module, assignFresh } from "./module.ts";
import { withDefaults } from "./options.ts";

/** A model, or parameters by name. */
export type Parameters = Module | Iterable<readonly [string, Tensor]>;

/** Options that a single parameter has in place of the optimiser's: `(name) => (name.endsWith("bias") ? { weightDecay: 0 } : {})`. */
export type Groups<O> = (name: string, parameter: Tensor) => Partial<O>;

/** Factors of the learning rate and of the gradients in one step. */
export interface StepOptions {
  /** Multiplies the learning rate: what a schedule gives for this step. Default 1. */
  readonly factor?: number;
  /** Multiplies every gradient: a scalar tensor such as `clipScale` returns, so that clipping reads nothing back. Default null: none. */
  readonly gradScale?: Tensor | null;
}

/** What an optimiser saves so that it can continue later. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** By parameter and kind: "blocks.0.attention.output.weight/first". */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** One parameter and what an optimiser keeps for it. */
export interface ParameterState<O> {
  readonly name: string;
  readonly parameter: Tensor;
  readonly options: O;
  /** State by kind: moments, momentum. Persistent; only `assign` changes it. */
  readonly state: Record<string, Tensor>;
}

const learningRate: Kind = finite(0);

const stepOptions: Kinds<StepOptions> = { factor: optional(finite(0)), gradScale: optional(either(nothing, aTensor)) };

export const stateKinds: Kinds<OptimizerState> = { step: whole(), tensors: instance(Map, "a Map of tensors by name") };

/**
 * The base class of optimisers: it has parameters by name, options for each of them, and state that is saved and loaded by parameter name.
 * A subclass says what it keeps for one parameter (`initial`) and how one step moves the parameters (`update`).
 */
export abstract class Optimizer<O extends { readonly lr: number } = { readonly lr: number }> {
  /** The parameters in the order given, each with its options and its state. */
  protected readonly entries: readonly ParameterState<O>[];
  #steps = 0;

  /**
   * `groups` gives single parameters options of their own. `kinds` says what each option may be; without it only `lr` is checked.
   * Throws for parameters that cannot be trained, for two of one name, and for one tensor under two names.
   */
  protected constructor(parameters: Parameters, options: O, groups: Groups<O> = () => ({}), kinds?: Kinds<O>) {
    const optimizer = this.constructor.name;
    check(optimizer, "groups", groups, callable);
    this.entries = namedParameters(optimizer, parameters).map(([name, parameter]) => {
      const where = `${optimizer}, for "${name}"`;
      const given = groups(name, parameter);
      const own = kinds ? withDefaults(where, kinds, options, given) : { ...options, ...given };
      check(where, "lr", own.lr, learningRate);
      return { name, parameter, options: own, state: this.initial(parameter, own) };
    });
  }

  /** The state of one parameter before the first step; `persistent` zeros. */
  protected abstract initial(parameter: Tensor, options: O): Record<string, Tensor>;

  /** Moves the parameters of `entries`, all of which have gradients; `step` counts from 1. */
  protected abstract update(entries: readonly ParameterState<O>[], step: number, options: Required<StepOptions>): void;

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Takes one step: moves every parameter that has a gradient. Gradients stay until `zeroGrad`. Throws for a factor that is
   * negative or not finite, and for a gradScale that is no scalar; nothing has moved then.
   */
  step(options: StepOptions = {}): void {
    checkStep(this.constructor.name, options);
    const { factor = 1, gradScale = null } = options;
    this.#steps++;
    const ready = this.entries.filter(({ parameter }) => parameter.grad);
    const move = (entries: readonly ParameterState<O>[]): void =>
      noGrad(() => scope(() => this.update(entries, this.#steps, { factor, gradScale })));
    if (!context().debug) return move(ready);
    for (const entry of ready) this.#watch(entry, () => move([entry]));
  }

  /** In debug mode one parameter after the other: a number that a step makes non-finite is reported with the parameter's name. */
  #watch({ name, parameter, state }: ParameterState<O>, move: () => void): void {
    const place = { operation: this.constructor.name, phase: "optimizer", parameter: name } as const;
    const own = [parameter, ...Object.values(state)];
    scope(() => {
      const before = [...own.map((x) => x.detach()), ...(parameter.grad ? [parameter.grad] : [])];
      locating(place, move);
      for (const after of own) checkMade(place, after, before);
    });
  }

  /** Sets the gradients of all its parameters to null. */
  zeroGrad(): void {
    for (const { parameter } of this.entries) parameter.zeroGrad();
  }

  /** The steps taken and the state of all parameters: what `load` takes. The tensors are the optimiser's own, not copies. */
  state(): OptimizerState {
    const entries = this.entries.flatMap(({ name, state }) =>
      Object.entries(state).map(([kind, tensor]): [string, Tensor] => [`${name}/${kind}`, tensor]),
    );
    return { step: this.#steps, tensors: new Map(entries) };
  }

  /**
   * Assigns a saved state. Throws where a tensor is missing, unknown, or of another shape or dtype; everything is checked before
   * anything is assigned.
   */
  load(state: OptimizerState): void {
    checkOptions(`${this.constructor.name}.load`, state, stateKinds);
    const { step, tensors } = state;
    const own = this.state().tensors;
    for (const [name, tensor] of own) {
      const saved = tensors.get(name);
      check(`${this.constructor.name}.load`, `"${name}"`, saved, optional(aTensor));
      if (!saved || !sameShape(saved.shape, tensor.shape) || saved.dtype !== tensor.dtype)
        throw new RangeError(
          `${this.constructor.name}.load: "${name}" is ${saved ? `${saved.dtype} ${formatShape(saved.shape)}` : "missing"} in the saved state, ${tensor.dtype} ${formatShape(tensor.shape)} here`,
        );
    }
    const unknown = [...tensors.keys()].find((name) => !own.has(name));
    if (unknown !== undefined) throw new RangeError(`${this.constructor.name}.load: "${unknown}" of the saved state has no place here`);
    for (const [name, tensor] of own) assignFresh(tensor, tensors.get(name) ?? tensor);
    this.#steps = step;
  }
}

/** The pairs of name and tensor, none twice. */
function namedParameters(optimizer: string, parameters: Parameters): (readonly [string, Tensor])[] {
  const known = parameters instanceof Module || (typeof parameters === "object" && parameters !== null && Symbol.iterator in parameters);
  if (!known) throw new TypeError(`${optimizer}: parameters ${describe(parameters)}: want a module, or pairs [name, tensor]`);
  const named = parameters instanceof Module ? parameters.namedParameters() : [...parameters];
  if (named.length === 0) throw new RangeError(`${optimizer}: there is no parameter to train`);
  const names = new Set<string>();
  const tensors = new Map<Tensor, string>();
  for (const pair of named) {
    requireTrainable(optimizer, pair);
    const [name, parameter] = pair;
    if (names.has(name))
      throw new RangeError(`${optimizer}: two parameters are called "${name}"; state is saved by name, so each needs one of its own`);
    const other = tensors.get(parameter);
    if (other !== undefined) throw new RangeError(`${optimizer}: "${other}" and "${name}" are the same tensor, which would be moved twice`);
    names.add(name);
    tensors.set(parameter, name);
  }
  return named;
}

function requireTrainable(optimizer: string, pair: readonly [string, Tensor]): void {
  if (!Array.isArray(pair) || typeof pair[0] !== "string")
    throw new TypeError(`${optimizer}: parameters are a module, or pairs [name, tensor]; given was ${describe(pair)}`);
  const [name, parameter] = pair;
  check(optimizer, `"${name}"`, parameter, aTensor);
  if (!parameter.requiresGrad || parameter.line)
    throw new TypeError(`${optimizer}: "${name}", ${parameter.label}, is no leaf that requires a gradient, so it would never be trained`);
}

function checkStep(optimizer: string, options: StepOptions): void {
  checkOptions(`${optimizer}.step`, options, stepOptions);
  const { gradScale } = options;
  if (gradScale && gradScale.size !== 1)
    throw new RangeError(`${optimizer}.step: gradScale is a tensor of shape ${formatShape(gradScale.shape)}: want a scalar`);
}

/** Zeros that no scope frees, for optimiser state. */
export function stateLike(parameter: Tensor, shape = parameter.shape): Tensor {
  const backend: Backend = parameter.backend;
  return zeros(shape, { dtype: parameter.dtype, backend }).persist();
}

/** The gradient of a parameter, scaled as the step says. */
export function gradientOf({ parameter }: ParameterState<unknown>, gradScale: Tensor | null): Tensor {
  const { grad } = parameter;
  if (!grad) throw new ReferenceError(`step: ${parameter.label} has no gradient`);
  return gradScale ? grad.mul(gradScale.cast(grad.dtype)) : grad;
}

/** A scalar for a number that differs from step to step. A plain number beside a tensor would be cached as a constant, once for each step. */
export function once(value: number, like: Tensor): Tensor {
  return full([], value, { dtype: like.dtype, backend: like.backend });
}
