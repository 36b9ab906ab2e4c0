/**
 * Checks of arguments, for callers without a type checker: what a value may be is said once, as a kind, and every error has the
 * same grammar: `SwitchRouter: jitter "x": want a number from 0 to below 1`.
 */
import { nearest } from "./nearest.ts";

/** What an argument may be: how it is recognised, and how an error names it. */
export interface Kind {
  /** Follows "want": "a whole number of 1 or more". */
  readonly wanted: string;
  readonly accepts: (value: unknown) => boolean;
  /** Whether undefined, or an absent option, is accepted too. */
  readonly optional?: boolean;
}

/** One kind for each option of O. An option that the interface names and the table does not is a compile error. */
export type Kinds<O> = { readonly [K in keyof O]-?: Kind };

/** Throws unless `value` is of the kind. `where` is the class or function, `name` the argument. */
export function check(where: string, name: string, value: unknown, kind: Kind): void {
  if (value === undefined ? kind.optional : kind.accepts(value)) return;
  if (value === undefined) throw new TypeError(`${where}: ${name} is missing: want ${kind.wanted}`);
  const Fault = typeof value === "number" ? RangeError : TypeError;
  throw new Fault(`${where}: ${name} ${describe(value)}: want ${kind.wanted}`);
}

/**
 * Throws unless `options` is an object that holds only options of the table, each of its kind. An instance of a class is accepted where its
 * fields are such options; a tensor, a Map or a module in their place is not.
 */
export function checkOptions<O>(where: string, options: unknown, kinds: Kinds<O>): void {
  const table: Readonly<Record<string, Kind>> = kinds;
  if (fits(options, table)) return;
  const names = Object.keys(table);
  const given: Readonly<Record<string, unknown>> | null = typeof options === "object" && options !== null ? { ...options } : null;
  const unknown = Object.keys(given ?? {}).find((name) => !Object.hasOwn(table, name));
  const isInstance = typeof options === "object" && options !== null && nameOf(options) !== "Object";
  if (given === null || (isInstance && (unknown !== undefined || Object.keys(given).length === 0))) {
    const needed = names.filter((name) => !table[name]?.optional);
    const list = (needed.length > 0 ? needed : names).join(", ");
    throw new TypeError(`${where}: options ${describe(options)}: want an object with ${list}`);
  }
  if (unknown !== undefined) {
    const known = didYouMean(unknown, names) || `; the options are ${names.join(", ")}`;
    throw new TypeError(`${where}: there is no option ${unknown}${known}`);
  }
  for (const name of names) check(where, name, given[name], table[name]);
}

/** Whether a plain object holds right options only. It allocates nothing, because functions that run for every token check theirs. */
function fits(options: unknown, table: Readonly<Record<string, Kind>>): boolean {
  if (typeof options !== "object" || options === null || Object.getPrototypeOf(options) !== Object.prototype) return false;
  for (const name in options) {
    if (!Object.hasOwn(table, name)) return false;
  }
  for (const name in table) {
    const kind = table[name];
    const value: unknown = options[name as keyof typeof options];
    if (value === undefined ? !kind.optional : !kind.accepts(value)) return false;
  }
  return true;
}

const optionals = new WeakMap<Kind, Kind>();

/** The same kind, which accepts undefined too. Made once for each kind, because functions that run for every token use it. */
export function optional(kind: Kind): Kind {
  const known = optionals.get(kind) ?? { ...kind, optional: true };
  optionals.set(kind, known);
  return known;
}

/** Any of the kinds. */
export function either(...kinds: readonly Kind[]): Kind {
  return { wanted: kinds.map(({ wanted }) => wanted).join(", or "), accepts: (value) => kinds.some((kind) => kind.accepts(value)) };
}

/** A whole number from `low` to `high`. */
export function whole(low = 0, high = Number.MAX_SAFE_INTEGER): Kind {
  const wanted =
    high < Number.MAX_SAFE_INTEGER ? `a whole number from ${low} to ${high}` : `a whole number${low > -high ? ` of ${low} or more` : ""}`;
  return { wanted, accepts: (value) => Number.isSafeInteger(value) && Number(value) >= low && Number(value) <= high };
}

/** A finite number from `low` to `high`, both included. */
export function finite(low = -Infinity, high = Infinity): Kind {
  const range =
    low === -Infinity && high === Infinity
      ? ""
      : high === Infinity
        ? ` of ${low} or more`
        : low === -Infinity
          ? ` of ${high} or less`
          : ` from ${low} to ${high}`;
  return { wanted: `a finite number${range}`, accepts: (value) => Number.isFinite(value) && Number(value) >= low && Number(value) <= high };
}

/** A finite number above 0. */
export const positive: Kind = { wanted: "a finite number above 0", accepts: (value) => Number.isFinite(value) && Number(value) > 0 };

/** A share that is never all: 0 <= value < 1. */
export const rate: Kind = {
  wanted: "a number from 0 to below 1",
  accepts: (value) => typeof value === "number" && value >= 0 && value < 1,
};

/** Any number, NaN and infinities too. */
export const number: Kind = { wanted: "a number", accepts: (value) => typeof value === "number" };

export const flag: Kind = { wanted: "true or false", accepts: (value) => typeof value === "boolean" };

export const text: Kind = { wanted: "a string", accepts: (value) => typeof value === "string" };

export const callable: Kind = { wanted: "a function", accepts: (value) => typeof value === "function" };

export const nothing: Kind = { wanted: "null", accepts: (value) => value === null };

/** One of the given values, as they are. */
export function oneOf(...values: readonly (string | number | boolean | null)[]): Kind {
  const shown = values.map((value) => describe(value));
  const wanted = shown.length > 1 ? `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}` : String(shown[0]);
  return { wanted, accepts: (value) => values.some((known) => known === value) };
}

/** An array whose every entry is of the kind. */
export function listOf(kind: Kind, length?: number): Kind {
  return {
    wanted: `an array${length === undefined ? "" : ` of ${length}`}, each entry ${kind.wanted}`,
    accepts: (value) =>
      Array.isArray(value) && (length === undefined || value.length === length) && value.every((entry) => kind.accepts(entry)),
  };
}

/** An instance of the class, or of one below it. */
export function instance(Class: abstract new (...args: never[]) => unknown, wanted = `a ${Class.name}`): Kind {
  return { wanted, accepts: (value) => value instanceof Class };
}

/** An object that has all of these members, of whatever class: how interfaces are recognised. */
export function having(wanted: string, ...members: readonly string[]): Kind {
  return {
    wanted,
    accepts(value) {
      if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
      for (const member of members) if (!(member in value)) return false;
      return true;
    },
  };
}

/** A value as errors show it: short, and never by calling its own methods. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "function") return value.name ? `(the function ${value.name})` : "(a function)";
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return `[${value.slice(0, 6).map(shallow).join(", ")}${value.length > 6 ? ", …" : ""}]`;
  if (typeof value === "object" && value !== null) return shallow(value);
  return String(value);
}

function shallow(value: unknown): string {
  if (Array.isArray(value)) return "[…]";
  if (typeof value !== "object" || value === null) return describe(value);
  if ("shape" in value && Array.isArray(value.shape)) return `(a ${nameOf(value)} of shape [${value.shape.join(", ")}])`;
  const keys = Object.keys(value);
  return nameOf(value) === "Object" ? `{ ${keys.slice(0, 4).join(", ")}${keys.length > 4 ? ", …" : ""} }` : `(a ${nameOf(value)})`;
}

function nameOf(value: object): string {
  const { constructor } = value;
  return typeof constructor === "function" && constructor.name ? constructor.name : "Object";
}

const texts = listOf(text);

/** "; did you mean a, b or c?" or nothing. Throws where `word` is no text. */
export function didYouMean(word: string, words: readonly string[]): string {
  check("didYouMean", "word", word, text);
  check("didYouMean", "words", words, texts);
  const near = nearest(word, words);
  const last = near.pop();
  if (last === undefined) return "";
  return `; did you mean ${near.length > 0 ? `${near.join(", ")} or ${last}` : last}?`;
}
