/** What every layer is: a thing with named parameters, state that can be saved, a price per token, and a forward pass. */
import type { DType } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { noGrad } from "../autograd/context.ts";
import { contiguous } from "../autograd/movement.ts";
import { apply } from "../autograd/apply.ts";
import { scope } from "../autograd/scope.ts";
import { Key } from "../autograd/random.ts";
import { Tensor } from "../autograd/tensor.ts";

/** What surrounds one forward pass; the last argument of every `forward` that draws or differs between training and use. */
export interface Pass {
  /** Dropout, jitter and noise happen only while training. */
  readonly training: boolean;
  /** Where this pass draws from: the same key, the same pass. */
  readonly random: Key;
}

/** The pass as a part of a module sees it: a random stream of its own. Evaluation draws nothing, so its key stays. */
export function under(pass: Pass, ...path: readonly (string | number)[]): Pass {
  requirePass(pass);
  return pass.training ? { training: true, random: pass.random.at(...path) } : pass;
}

/** For JavaScript, where a layer may be called without its last argument. */
export function requirePass(pass: Pass | undefined): void {
  if (!pass) throw new TypeError("forward: there is no pass; end the call with { training: false, random: key(0) }");
}

/** What every constructor needs to make first weights. */
export interface Init {
  /** The key of the first weights; parts draw from keys under it. */
  readonly random: Key;
  /** Of the parameters; float32 unless said otherwise. */
  readonly dtype?: DType;
}

/** For JavaScript, where a layer may be made without a key. */
export function requireInit(layer: string, options: Init | undefined): void {
  if (!(options?.random instanceof Key))
    throw new TypeError(`${layer}: there is no key for the first weights; end the call with { random: key(0) }`);
}

/** What one token costs. */
export interface Cost {
  /** Parameters that take part in the computation of one token. */
  readonly active: number;
  /** Floating-point operations of the matrix products, a multiply-add counted as two. */
  readonly flops: number;
}

/**
 * Parameters are the fields that are tensors and require a gradient; buffers are those that do not (a router's bias, a running
 * count): state that is saved but not trained. Fields that are modules, or arrays of modules, are parts. Names are paths in
 * field order: "blocks.3.feedForward.hidden.weight". Private (#) fields are nobody's business.
 */
export abstract class Module {
  /** Own parts, by field name. */
  children(): [string, Module][] {
    return Object.entries(this).flatMap(([name, value]): [string, Module][] => {
      if (value instanceof Module) return [[name, value]];
      if (!Array.isArray(value)) return [];
      return value.flatMap((item: unknown, i): [string, Module][] => (item instanceof Module ? [[`${name}.${i}`, item]] : []));
    });
  }

  /** This module ("") and all below it. */
  namedModules(prefix = ""): [string, Module][] {
    const below = this.children().flatMap(([name, child]) => child.namedModules(prefix ? `${prefix}.${name}` : name));
    return [[prefix, this], ...below];
  }

  /** Parameters and buffers by path. One that is used in two places has the name of the first. */
  state(): Map<string, Tensor> {
    const seen = new Set<Tensor>();
    const found = new Map<string, Tensor>();
    for (const [path, module] of this.namedModules())
      for (const [name, value] of Object.entries(module)) {
        if (!(value instanceof Tensor) || value.line || seen.has(value)) continue;
        seen.add(value);
        found.set(path ? `${path}.${name}` : name, value);
      }
    return found;
  }

  namedParameters(): [string, Tensor][] {
    return [...this.state()].filter(([, tensor]) => tensor.requiresGrad);
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Writes the path of each tensor into its name, for errors and printed tapes. */
  label(): this {
    for (const [name, tensor] of this.state()) tensor.name = name;
    return this;
  }

  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * Assigns a saved state. Everything is checked before anything is assigned: a name that is missing or unknown, a shape or a
   * dtype that differs, and the module stays as it was.
   */
  load(saved: ReadonlyMap<string, Tensor>): void {
    const own = this.state();
    const faults = [...faultsOf(own, saved)];
    if (faults.length)
      throw new RangeError(`load: ${faults.slice(0, 5).join("; ")}${faults.length > 5 ? `; and ${faults.length - 5} more` : ""}`);
    for (const [name, tensor] of own) renew(tensor, saved.get(name) ?? tensor);
  }

  /** How often one token runs through a part of this, on average over a sequence of `length`; a sparse layer chooses among its parts. */
  runs(_part: Module, _length: number): number {
    return 1;
  }

  /** What one token costs when it attends to `length` others: own parameters, and each part as often as it is run through. */
  cost(length: number): Cost {
    const own = Object.values(this).filter((value): value is Tensor => value instanceof Tensor && value.requiresGrad);
    const parts = this.children().map(([, child]) => timesCost(this.runs(child, length), child.cost(length)));
    return addCosts([{ active: own.reduce((sum, tensor) => sum + tensor.size, 0), flops: 0 }, ...parts]);
  }
}

export function timesCost(times: number, { active, flops }: Cost): Cost {
  return { active: times * active, flops: times * flops };
}

export function addCosts(costs: readonly Cost[]): Cost {
  return costs.reduce((sum, cost) => ({ active: sum.active + cost.active, flops: sum.flops + cost.flops }), { active: 0, flops: 0 });
}

function* faultsOf(own: ReadonlyMap<string, Tensor>, saved: ReadonlyMap<string, Tensor>): Generator<string> {
  for (const [name, tensor] of own) {
    const value = saved.get(name);
    if (!value) yield `"${name}" ${formatShape(tensor.shape)} is not in the saved state`;
    else if (!sameShape(value.shape, tensor.shape))
      yield `"${name}" is ${formatShape(value.shape)} in the saved state, ${formatShape(tensor.shape)} here`;
    else if (value.dtype !== tensor.dtype) yield `"${name}" is ${value.dtype} in the saved state, ${tensor.dtype} here`;
  }
  for (const name of saved.keys()) if (!own.has(name)) yield `"${name}" of the saved state has no place here`;
}

/** Assigns the values of `from` in a buffer that `tensor` has for itself: a device may then overwrite it. */
export function renew(tensor: Tensor, from: Tensor): void {
  noGrad(() => scope(() => void tensor.assign(apply(contiguous, from))));
}

/** A float32 parameter beside bfloat16 activations is rounded where it is used; the master weight stays. */
export function beside(x: Tensor, parameter: Tensor): Tensor {
  return x.dtype === "bfloat16" ? parameter.cast("bfloat16") : parameter;
}
