/**
 * Calls every export of an entry wrongly, in each argument and each option. Runs in a process of its own, because a call that never returns
 * cannot be stopped from inside: before each call it says which one comes.
 */
import { entries } from "../../../scripts/entries.ts";
import { optionsOf, valueOf } from "../api/shapes.ts";
import type { Typed } from "../api/shapes.ts";
import { membersOf, parametersOf, publicNames } from "../api/sources.ts";
import type { Declaration, Member, Parameter } from "../api/sources.ts";
import { isClear } from "./clear.ts";
import { backend } from "./backend.ts";
import { core } from "./core.ts";
import { distributed } from "./distributed.ts";
import { nn } from "./nn.ts";
import { pretrained } from "./pretrained.ts";
import { makers, reset, wrongValues } from "./values.ts";
import type { Tables } from "./values.ts";

const tablesOf: Readonly<Record<string, Tables>> = {
  ".": core,
  "./nn": nn,
  "./backend": backend,
  "./pretrained": pretrained,
  "./distributed": distributed,
};

/** What the walk is told: which entry, and after how many calls it goes on. */
export interface Order {
  readonly specifier: string;
  readonly from: number;
}

/** What the walk tells. */
export type Report =
  | { readonly kind: "calling"; readonly index: number; readonly call: string }
  | { readonly kind: "called"; readonly verdict: Verdict; readonly call: string; readonly message: string }
  | { readonly kind: "target"; readonly name: string; readonly valid: boolean; readonly message: string }
  | { readonly kind: "end" };

/** error: clear; fine: an answer; obscure: an error that does not say who was given what; accepted: an option that does not exist. */
export type Verdict = "error" | "fine" | "obscure" | "accepted";

/** Something to call: a function, a constructor or a method, with arguments that fit. */
interface Target {
  readonly name: string;
  readonly parameters: readonly (Parameter & { readonly file: string })[];
  readonly call: (args: unknown[]) => unknown;
  readonly valid: () => unknown[];
}

type Calls = readonly (readonly [what: string, args: () => unknown[], optionIsUnknown: boolean])[];

/** Every wrong value in the place of each argument, and of each option. */
function carelessCalls({ parameters, valid }: Target): Calls {
  return parameters.flatMap((parameter, at): Calls => {
    const replaced = (value: unknown): unknown[] => {
      const args = valid();
      while (args.length < at) args.push(undefined);
      args[at] = value;
      return args;
    };
    const whole: Calls = wrongValues.map(([name, make]) => [`${parameter.name} = ${name}`, () => replaced(make()), false]);
    const options = parameter.type && optionsOf({ type: parameter.type, file: parameter.file });
    if (!options || parameter.rest) return whole;
    const base = (): object => {
      const given = valid()[at];
      return typeof given === "object" && given !== null ? given : {};
    };
    const single: Calls = options.flatMap((option) =>
      wrongValues.map(
        ([name, make]) =>
          [`${parameter.name}.${option.name} = ${name}`, () => replaced({ ...base(), [option.name]: make() }), false] as const,
      ),
    );
    const plain = Object.getPrototypeOf(base()) === Object.prototype;
    return [
      ...whole,
      ...single,
      ...(plain ? [[`${parameter.name}.bogus`, () => replaced({ ...base(), bogus: 1 }), parameter.name === "options"] as const] : []),
    ];
  });
}

function targetsOf(path: string, declaration: Declaration, value: unknown, tables: Tables): Target[] {
  const { instances, skipped } = tables;
  const { node, file } = declaration;
  if (typeof value !== "function" || skipped.has(path + ".*")) return [];
  if (node.type !== "ClassDeclaration") {
    if (!("params" in node)) return [];
    return [target(path, { file, parameters: parametersOf(node), tables }, (args) => (value as (...args: unknown[]) => unknown)(...args))];
  }
  const members = membersOf(declaration).filter(
    ({ function: method, abstract, name, owner }) =>
      method && !abstract && !skipped.has(`${path}.${name}`) && !inherited(path, owner, tables),
  );
  const Class = value as new (...args: unknown[]) => object;
  const constructor = members.find(({ kind }) => kind === "constructor");
  const parameters = constructor?.function ? parametersOf(constructor.function) : [];
  const build = target(path, { file: constructor?.owner.file ?? file, parameters, tables }, (args) => new Class(...args));
  const made = instances.get(path) ?? (() => build.call(build.valid()));
  const methods = members
    .filter(({ kind }) => kind === "method")
    .map((member) =>
      target(`${path}.${member.name}`, parametersOfMember(member, tables), (args) => {
        const instance = instances.get(`${path}.${member.name}`) ?? made;
        const owner = (member.static ? Class : instance()) as Record<string, (...args: unknown[]) => unknown>;
        return owner[member.name](...args);
      }),
    );
  if (node.abstract) return instances.has(path) ? methods : [];
  return skipped.has(path) ? methods : [build, ...methods];
}

/** What many classes inherit is called on one of them. */
function inherited(path: string, owner: Declaration, { onceFor }: Tables): boolean {
  const once = onceFor?.[owner.name];
  return once !== undefined && once !== path;
}

interface Called {
  readonly file: string;
  readonly parameters: readonly Parameter[];
  readonly tables: Tables;
}

function parametersOfMember({ owner, function: method }: Member, tables: Tables): Called {
  return { file: owner.file, parameters: method ? parametersOf(method) : [], tables };
}

function target(name: string, { file, parameters, tables }: Called, call: Target["call"]): Target {
  const byHand = tables.callsByHand.get(name);
  const known = new Map([...makers, ...(tables.makers ?? [])]);
  const fits = (parameter: Parameter): unknown => valueOf({ type: parameter.type, file } as Typed, known);
  const valid = byHand ?? (() => parameters.filter(({ optional }) => !optional).map(fits));
  return { name, parameters: parameters.map((parameter) => ({ ...parameter, file })), call, valid };
}

/** What a call comes to, also when it answers later. */
async function outcome(run: () => unknown): Promise<unknown> {
  const result: unknown = await run();
  if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) {
    const steps = (result as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    await steps.next();
    await steps.return?.();
  }
  return result;
}

async function walk({ specifier, from }: Order): Promise<void> {
  const entry = entries.find((known) => known.specifier === specifier);
  if (!entry) throw new Error(`${specifier}: no such entry`);
  const exported = (await import(specifier)) as Record<string, unknown>;
  const tables = tablesOf[entry.subpath];
  const { instances, callsByHand, skipped } = tables;
  const tell = (report: Report): void => void process.send?.(report);
  let index = 0;
  const unmet = new Set([...callsByHand.keys(), ...skipped.keys(), ...instances.keys()]);
  for (const { path, declaration } of publicNames(entry)) {
    const value = path.split(".").reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], exported);
    unmet.delete(path);
    unmet.delete(`${path}.*`);
    if (declaration.node.type === "ClassDeclaration") for (const { name } of membersOf(declaration)) unmet.delete(`${path}.${name}`);
    for (const one of targetsOf(path, declaration, value, tables)) {
      let calls: Calls = [];
      try {
        const args = one.valid();
        calls = carelessCalls(one);
        if (from === 0 || index >= from) await outcome(() => one.call(args));
        tell({ kind: "target", name: one.name, valid: true, message: "" });
      } catch (error) {
        tell({ kind: "target", name: one.name, valid: false, message: String(error) });
      }
      for (const [what, args, unknownOption] of calls) {
        if (index++ < from) continue;
        const call = `${one.name}(${what})`;
        tell({ kind: "calling", index: index - 1, call });
        try {
          await outcome(() => one.call(args()));
          tell({ kind: "called", verdict: unknownOption ? "accepted" : "fine", call, message: "" });
        } catch (error) {
          tell({ kind: "called", verdict: isClear(error) ? "error" : "obscure", call, message: String(error) });
        }
        await reset();
      }
    }
  }
  for (const name of unmet) tell({ kind: "target", name, valid: false, message: "is in the tables by hand, but is no export" });
  tell({ kind: "end" });
}

process.on("message", (order) => void walk(order as Order));
