/**
 * Options of a command as one function of a reader: with a reader of arguments it gives typed values, with a reader that takes
 * notes it gives `--help`; so an option, its default and its help cannot part.
 */
import { parseArgs } from "node:util";
import { didYouMean } from "switchyard-moe";
import { UserError } from "./userError.ts";

/** How the text of an option becomes a value. */
export interface Kind<T> {
  readonly placeholder: string;
  /** What a good value is: "a whole number of at least 1". */
  readonly expected: string;
  /** All good values, where they are words. */
  readonly words?: readonly string[];
  /** undefined: the text is no such value. */
  parse(text: string): T | undefined;
  readonly required?: boolean;
}

/** One option: returns the typed value, or the default. */
export type Reader = <T>(name: string, kind: Kind<T>, value: T, help: string) => T;

export const integer = (least: number): Kind<number> => ({
  placeholder: "N",
  expected: `a whole number of at least ${least}`,
  parse: (text) => numberIf(text, (x) => Number.isSafeInteger(x) && x >= least),
});

export const real = (least: number, most = Infinity): Kind<number> => ({
  placeholder: "X",
  expected: most === Infinity ? `a number of at least ${least}` : `a number from ${least} to ${most}`,
  parse: (text) => numberIf(text, (x) => Number.isFinite(x) && x >= least && x <= most),
});

export const positive = (most = Infinity): Kind<number> => ({
  placeholder: "X",
  expected: most === Infinity ? "a number above 0" : `a number above 0, at most ${most}`,
  parse: (text) => numberIf(text, (x) => Number.isFinite(x) && x > 0 && x <= most),
});

/** A factor, or "none" for as many slots as there are tokens. */
export const factor: Kind<number> = {
  placeholder: "X",
  expected: 'a number above 0, or "none"',
  parse: (text) => (text === "none" ? Infinity : positive().parse(text)),
};

export const choice = <const T extends string>(...words: readonly T[]): Kind<T> => ({
  placeholder: words.join("|"),
  expected: `one of ${words.join(", ")}`,
  words,
  parse: (text) => words.find((word) => word === text),
});

export const text = (placeholder: string): Kind<string> => ({
  placeholder,
  expected: "a text of at least one character",
  parse: (value) => (value === "" ? undefined : value),
});

export const required = <T>(kind: Kind<T>): Kind<T> => ({ ...kind, required: true });

const FLAG = "";
export const flag: Kind<boolean> = { placeholder: FLAG, expected: "no value", parse: () => true };

function numberIf(digits: string, fits: (x: number) => boolean): number | undefined {
  const x = digits.trim() === "" ? NaN : Number(digits);
  return fits(x) ? x : undefined;
}

/** The values of the options in `argv`. Throws a UserError, one line, for what it does not understand. */
export function readOptions<T>(command: string, options: (read: Reader) => T, argv: readonly string[]): T {
  const given = givenOptions(command, rowsOf(options), argv);
  return options((name, kind, value) => {
    const typed = given.get(name);
    if (typed !== undefined) return parsed(name, kind, typed);
    if (kind.required) throw new UserError(`${command}: --${name} ${kind.placeholder} is missing`);
    return value;
  });
}

function parsed<T>(name: string, kind: Kind<T>, typed: string): T {
  const value = kind.parse(typed);
  if (value === undefined) throw new UserError(`--${name}: "${typed}" is not ${kind.expected}${didYouMean(typed, kind.words ?? [])}`);
  return value;
}

/** What was typed, by name of option. */
function givenOptions(command: string, rows: readonly Row[], argv: readonly string[]): Map<string, string> {
  const known = Object.fromEntries(
    rows.map((row) => [row.name, { type: row.placeholder === FLAG ? ("boolean" as const) : ("string" as const) }]),
  );
  const { tokens } = parseArgs({ args: [...argv], options: known, strict: false, tokens: true, allowPositionals: true });
  const given = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw new UserError(`${command}: "${token.value}" is not expected; options begin with --`);
    checkToken(command, rows, token);
    given.set(token.name, token.value ?? "");
  }
  return given;
}

interface Typed {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function checkToken(command: string, rows: readonly Row[], { rawName, value, inlineValue }: Typed): void {
  const row = rows.find(({ name }) => rawName === `--${name}`);
  if (row === undefined) {
    const near = didYouMean(
      rawName,
      rows.map(({ name }) => `--${name}`),
    );
    throw new UserError(`${command}: ${rawName} is no option${near || "; --help lists them"}`);
  }
  const isFlag = row.placeholder === FLAG;
  if (isFlag && value !== undefined) throw new UserError(`${rawName} takes no value, but was given "${value}"`);
  if (!isFlag && (value === undefined || (value.startsWith("--") && !inlineValue)))
    throw new UserError(`${rawName} needs a value: ${rawName} ${row.placeholder}`);
}

interface Row {
  readonly name: string;
  readonly placeholder: string;
  readonly help: string;
  readonly shown: string;
}

function rowsOf(options: (read: Reader) => unknown): Row[] {
  const rows: Row[] = [];
  options((name, kind, value, help) => {
    rows.push({ name, placeholder: kind.placeholder, help, shown: shownDefault(kind.required === true, value) });
    return value;
  });
  return rows;
}

function shownDefault(isRequired: boolean, value: unknown): string {
  if (isRequired) return "required";
  if (value === "" || value === false) return "";
  if (value === Infinity) return "none";
  return typeof value === "string" ? value.replaceAll("\n", "\\n") : String(value);
}

/** Those entries of a record that an options function reads. */
export function selected<T extends object>(options: (read: Reader) => T, from: T): T {
  const names = Object.keys(options((_name, _kind, value) => value));
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name))) as T;
}

/** A line per option: name, meaning and default. */
export function describeOptions(options: (read: Reader) => unknown): string[] {
  return rowsOf(options).map(helpLine);
}

function helpLine({ name, placeholder, help, shown }: Row): string {
  const left = `  --${name} ${placeholder}`;
  const lines = folded(`${help}${shown === "" ? "" : ` [${shown}]`}`, COLUMNS - MARGIN);
  const right = lines.join(`\n${" ".repeat(MARGIN)}`);
  return left.length >= MARGIN ? `${left}\n${" ".repeat(MARGIN)}${right}` : `${left.padEnd(MARGIN)}${right}`;
}

/** Of the terminal that help is written for, and of those where the explanations begin. */
const [COLUMNS, MARGIN] = [120, 26];

/** Words in lines of at most this many characters. */
function folded(text: string, most: number): string[] {
  return text.split(" ").reduce((lines: string[], word) => {
    const last = lines[lines.length - 1];
    if (last === undefined || last.length + 1 + word.length > most) return [...lines, word];
    return [...lines.slice(0, -1), `${last} ${word}`];
  }, []);
}
