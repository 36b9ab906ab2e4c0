/** Options: filled up with defaults, checked, and picked for the class they are passed on to. */
import type { Kinds } from "../autograd/arguments.ts";
import { checkOptions, optional } from "../autograd/arguments.ts";

/** The options given, and defaults for the others; undefined counts as not given. Throws for an unknown option and for one of a wrong kind. */
export function withDefaults<O extends object>(where: string, kinds: Kinds<O>, defaults: O, given: Partial<O>): O {
  checkGiven(where, kinds, given);
  const all = { ...defaults, ...given };
  for (const name in defaults) if (all[name] === undefined) all[name] = defaults[name];
  return all;
}

/** Throws for an unknown option and for one of a wrong kind; all may be missing. */
export function checkGiven<O extends object>(where: string, kinds: Kinds<O>, given: Partial<O>): void {
  const all = Object.entries<Kinds<O>[keyof O]>(kinds).map(([name, kind]) => [name, optional(kind)] as const);
  checkOptions(where, given, Object.fromEntries(all));
}

/** Those of the named options that are given: what a class passes on to a part that takes only these. */
export function pick<O extends object, K extends keyof O>(options: O, ...names: readonly K[]): Partial<Pick<O, K>> {
  const found: Partial<Pick<O, K>> = {};
  for (const name of names) if (options[name] !== undefined) found[name] = options[name];
  return found;
}
