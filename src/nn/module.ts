/** The base class of layers: named parameters, state that can be saved, and the cost of a token. */
import { aKey, aTensor, check, flag, instance, optional, text } from "../autograd/arguments.ts";
import type { Kind } from "../autograd/arguments.ts";
import type { DType } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { noGrad } from "../autograd/context.ts";
import { contiguous } from "../autograd/movement.ts";
import { apply } from "../autograd/apply.ts";
import { scope } from "../autograd/scope.ts";
import type { Key } from "../autograd/random.ts";
import { Tensor } from "../autograd/tensor.ts";
import { heldBy } from "./fields.ts";
import type { Held } from "./fields.ts";

/** The settings of one forward pass: the last argument of every `forward` that draws random numbers or differs between training and evaluation. */
export interface Pass {
  /** Dropout, jitter and noise happen only while training. */
  readonly training: boolean;
  /** The key that all random numbers of the pass are drawn from; the same key gives the same numbers. */
  readonly random: Key;
  /** Whether routers compute their auxiliary losses. Default true; generation and scoring set false. */
  readonly losses?: boolean;
}

/** The pass for a part of a module, with a key of its own, derived by `path`. In evaluation nothing is drawn, and the pass stays as it is. */
export function under(pass: Pass, ...path: readonly (string | number)[]): Pass {
  requirePass(pass);
  return pass.training ? { ...pass, random: pass.random.at(...path) } : pass;
}

/** Recognises a pass. */
export const aPass: Kind = {
  wanted: "a pass, such as { training: false, random: key(0) }",
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    "training" in value &&
    flag.accepts(value.training) &&
    "random" in value &&
    aKey.accepts(value.random) &&
    (!("losses" in value) || optional(flag).accepts(value.losses)),
};

/** Throws where a layer is called without its last argument, or with something else. */
export function requirePass(pass: Pass | undefined): void {
  if (pass === undefined || pass === null)
    throw new TypeError("forward: there is no pass; end the call with { training: false, random: key(0) }");
  check("forward", "the pass", pass, aPass);
}

/** What every constructor needs to draw initial weights. */
export interface Init {
  /** The key that initial weights are drawn from; parts use keys derived from it. */
  readonly random: Key;
  /** Of the parameters. Default "float32". */
  readonly dtype?: DType;
}

/** Throws where a layer is made without a key. */
export function requireInit(layer: string, options: Init | undefined): void {
  if (!aKey.accepts(options?.random))
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
 * The base class of every layer and model. Its parameters are the fields that are tensors and require a gradient; its buffers are the other tensors
 * (a router's bias, a running count), which are saved but not trained. Fields that are modules are its parts. Tensors and modules in arrays,
 * plain objects and Maps of a field count as well; private (#) fields do not. Names are paths in field order:
 * "blocks.3.feedForward.hidden.weight".
 */
export abstract class Module {
  /** Its parts, by field name. Throws for a field that gives them no names, such as a Set. */
  children(): [string, Module][] {
    return heldBy(this, (value) => value instanceof Module).map(({ name, value }) => [name, value]);
  }

  /** This module, whose path is "" or the prefix given, and all below it, by path. Throws for a prefix that is no text. */
  namedModules(prefix = ""): [string, Module][] {
    check(`${this.constructor.name}.namedModules`, "prefix", prefix, text);
    const below = this.children().flatMap(([name, child]) => child.namedModules(prefix ? `${prefix}.${name}` : name));
    return [[prefix, this], ...below];
  }

  /**
   * Its parameters and buffers and those below it, by path. A tensor that is used in two places has the path of the first. They have any
   * shape. Throws where two have the same path, as keys with a dot in them can make it.
   */
  state(): Map<string, Tensor> {
    const seen = new Set<Tensor>();
    const found = new Map<string, Tensor>();
    for (const [path, module] of this.namedModules())
      for (const { name, value } of ownTensors(module)) {
        if (seen.has(value)) continue;
        const full = path ? `${path}.${name}` : name;
        if (found.has(full)) throw new RangeError(`${this.constructor.name}.state: two tensors have the path "${full}"`);
        seen.add(value);
        found.set(full, value);
      }
    return found;
  }

  /** The tensors that are trained, by path, in field order. They have any shape. */
  namedParameters(): [string, Tensor][] {
    return [...this.state()].filter(([, tensor]) => tensor.requiresGrad);
  }

  /** The tensors that are trained, in field order. They have any shape. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Writes the path of each tensor into its name, which errors and printed tapes show. Returns the module. */
  label(): this {
    for (const [name, tensor] of this.state()) tensor.name = name;
    return this;
  }

  /** Sets the gradients of all parameters to null. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.zeroGrad();
  }

  /**
   * Assigns a saved state, tensors by path as `state` returns them. Throws for a name that is missing or unknown, and for a shape or
   * a dtype that differs; everything is checked before anything is assigned.
   */
  load(saved: ReadonlyMap<string, Tensor>): void {
    check(
      `${this.constructor.name}.load`,
      "saved",
      saved,
      instance(Map, "a Map of tensors by name, such as readSafetensors(file).tensors"),
    );
    for (const [name, value] of saved) check(`${this.constructor.name}.load`, `"${name}"`, value, aTensor);
    const own = this.state();
    const faults = [...faultsOf(own, saved)];
    if (faults.length)
      throw new RangeError(
        `${this.constructor.name}.load: ${faults.slice(0, 5).join("; ")}${faults.length > 5 ? `; and ${faults.length - 5} more` : ""}`,
      );
    for (const [name, tensor] of own) assignFresh(tensor, saved.get(name) ?? tensor);
  }

  /**
   * How often one token passes through a part, on average over a sequence of `length` tokens: 1 unless a layer says otherwise. A
   * sparse layer, which sends a token to few of its experts, says less.
   */
  runs(_part: Module, _length: number): number {
    return 1;
  }

  /** What one token costs when it attends to `length` tokens: the layer's own parameters, and each part as often as a token passes through it. */
  cost(length: number): Cost {
    const own = ownTensors(this).filter(({ value }) => value.requiresGrad);
    const parts = this.children().map(([, child]) => timesCost(this.runs(child, length), child.cost(length)));
    return addCosts([{ active: own.reduce((sum, { value }) => sum + value.size, 0), flops: 0 }, ...parts]);
  }
}

/** The parameters and buffers among a module's own fields. A tensor that an operation computed is neither. */
export function ownTensors(module: Module): Held<Tensor>[] {
  return heldBy(module, (value) => value instanceof Tensor).filter(({ value }) => !value.line);
}

/** A cost multiplied by a number of times. */
export function timesCost(times: number, { active, flops }: Cost): Cost {
  return { active: times * active, flops: times * flops };
}

/** The sum of costs. */
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

/** Assigns a copy of `from`, in a buffer that no other tensor reads, so that a device may overwrite it in place. */
export function assignFresh(tensor: Tensor, from: Tensor): void {
  noGrad(() => scope(() => void tensor.assign(apply(contiguous, from))));
}

/** The parameter as bfloat16 where the activations x are bfloat16: it is rounded where it is used, and the parameter itself stays float32. */
export function inDtypeOf(x: Tensor, parameter: Tensor): Tensor {
  return x.dtype === "bfloat16" ? parameter.cast("bfloat16") : parameter;
}
