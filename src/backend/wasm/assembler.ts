/**
 * A WebAssembly module, put together from bytes.
 *
 * A module is eight magic bytes and then sections, each a number, a length and its content, in ascending order. We need six: the
 * *types* of functions, the one *import* (the memory), which *function* has which type, *globals*, the *exports*, and the *code*. A function's
 * code is its extra locals, then instructions; instructions.ts makes those. What is left for this file is control flow, locals
 * and the envelope. Format: WebAssembly Core Specification 2.0, 5.5.
 */
import { expr, f32, f64, flatten, i32, unsigned } from "./instructions.ts";
import type { Code, Expr, I32, Statement, ValueType } from "./instructions.ts";

const TYPE_CODE: Record<ValueType, number> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };
/** The file's magic number, "\0asm", and version 1. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const NO_RESULT = 0x40;
const BLOCK = 0x02,
  LOOP = 0x03,
  IF = 0x04,
  ELSE = 0x05,
  END = 0x0b,
  BRANCH = 0x0c,
  BRANCH_IF = 0x0d,
  RETURN = 0x0f,
  CALL = 0x10;

/** A variable of a function; as an expression, its value where it stands. */
export interface Local<T extends ValueType = ValueType> extends Expr<T> {
  readonly index: number;
}

export type Parameters = Readonly<Record<string, ValueType>>;
type Locals<P extends Parameters> = { readonly [Name in keyof P]: Local<P[Name]> };
type Arguments<P extends Parameters> = { readonly [Name in keyof P]: Expr<P[Name]> | number };

/** A function that later ones may call. */
export interface Func<P extends Parameters = Parameters, R extends ValueType | "void" = ValueType | "void"> {
  readonly name: string;
  readonly index: number;
  readonly parameters: P;
  readonly result: R;
}

function local<T extends ValueType>(type: T, index: number): Local<T> {
  return { type, index, code: [0x20, ...unsigned(index)] };
}

const LIFT: Record<ValueType, (value: number) => Expr> = {
  i32: i32.const,
  f32: f32.const,
  f64: f64.const,
  v128: () => {
    throw new TypeError("call: a v128 argument was given as a number; write f32x4.const or i32x4.const");
  },
};

/** The instructions of one function as they are written, one statement after the other. */
export class Body {
  readonly #locals: ValueType[];
  readonly #parameters: number;
  #code: (number | Code)[] = [];

  constructor(parameters: readonly ValueType[]) {
    this.#locals = [...parameters];
    this.#parameters = parameters.length;
  }

  /** A new variable; 0 until it is set (in a loop: until it is set again). */
  local<T extends ValueType>(type: T): Local<T> {
    this.#locals.push(type);
    return local(type, this.#locals.length - 1);
  }

  /** A new variable that holds `value`. */
  let<T extends ValueType>(value: Expr<T>): Local<T> {
    const name = this.local(value.type);
    this.set(name, value);
    return name;
  }

  set<T extends ValueType>(name: Local<T>, value: Expr<T> | number): void {
    const { code } = typeof value === "number" ? LIFT[name.type](value) : value;
    this.#code.push(code, 0x21, ...unsigned(name.index));
  }

  do(...statements: Statement[]): void {
    for (const { code } of statements) this.#code.push(code);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#code.push(condition.code, IF, NO_RESULT);
    then();
    if (otherwise) {
      this.#code.push(ELSE);
      otherwise();
    }
    this.#code.push(END);
  }

  while(condition: I32, body: () => void): void {
    this.#code.push(BLOCK, NO_RESULT, LOOP, NO_RESULT, i32.eqz(condition).code, BRANCH_IF, 1);
    body();
    this.#code.push(BRANCH, 0, END, END);
  }

  /** Counts an unsigned variable from `from` while it is below `to`. */
  for(from: I32 | number, to: I32 | number, step: I32 | number, body: (i: Local<"i32">) => void): void {
    const i = this.local("i32");
    this.set(i, from);
    this.walk(i, to, step, () => body(i));
  }

  /** The same with a variable that has its value already. The test stands at the end, so that a turn costs one jump. */
  walk(i: Local<"i32">, to: I32 | number, step: I32 | number, body: () => void): void {
    this.#code.push(BLOCK, NO_RESULT, i32.geU(i, to).code, BRANCH_IF, 0, LOOP, NO_RESULT);
    body();
    this.set(i, i32.add(i, step));
    this.#code.push(i32.ltU(i, to).code, BRANCH_IF, 0, END, END);
  }

  call<P extends Parameters>(func: Func<P, "void">, given: Arguments<P>): void {
    this.do(callOf(func, given));
  }

  return(value?: Expr): void {
    this.#code.push(value?.code ?? [], RETURN);
  }

  /** The function as the code section wants it: runs of equal locals, code, end; all after its length. */
  bytes(): Uint8Array {
    const own = this.#locals.slice(this.#parameters);
    const runs: [number, ValueType][] = [];
    for (const type of own) {
      const last = runs.at(-1);
      if (last?.[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    return joined(
      sized([unsigned(runs.length), ...runs.map(([n, type]) => [...unsigned(n), TYPE_CODE[type]]), flatten(this.#code), [END]]),
    );
  }
}

/** The value of a call. */
export function callOf<P extends Parameters, R extends ValueType | "void">(func: Func<P, R>, given: Arguments<P>): Expr<R> {
  const operands = Object.entries(func.parameters).map(([name, type]) => {
    const value = given[name];
    return (typeof value === "number" ? LIFT[type](value) : value).code;
  });
  return expr(func.result, ...operands, CALL, ...unsigned(func.index));
}

/** Bytes in pieces. They are joined once, at the end, because each copy of a module costs milliseconds. */
type Piece = ArrayLike<number>;

const lengthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { length }) => sum + length, 0);
const sized = (pieces: readonly Piece[]): Piece[] => [unsigned(lengthOf(pieces)), ...pieces];
const text = (value: string): number[] => [...joined(sized([new TextEncoder().encode(value)]))];
const vector = (items: readonly Piece[]): Piece[] => [unsigned(items.length), ...items];

function joined(pieces: readonly Piece[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

export interface MemoryLimits {
  /** 64 KiB pages. */
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/** A module under construction: functions that share one imported memory, `env.memory`. */
export class Module {
  readonly #limits: MemoryLimits;
  readonly #types: string[] = [];
  readonly #functions: number[] = [];
  readonly #code: Uint8Array[] = [];
  readonly #names: string[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  #globals = 0;

  constructor(limits: MemoryLimits) {
    this.#limits = limits;
  }

  /** A function for other functions of the module. */
  func<P extends Parameters, R extends ValueType | "void" = "void">(
    name: string,
    parameters: P,
    body: (f: Body, parameters: Locals<P>) => void,
    result: R = "void" as R,
  ): Func<P, R> {
    const types = Object.values(parameters);
    const f = new Body(types);
    const named = Object.fromEntries(Object.entries(parameters).map(([key, type], i) => [key, local(type, i)]));
    body(f, named as Locals<P>);
    this.#functions.push(this.#typeIndex(types, result));
    this.#code.push(f.bytes());
    this.#names.push(name);
    return { name, index: this.#functions.length - 1, parameters, result };
  }

  /** A function that JavaScript may call too. */
  export<P extends Parameters, R extends ValueType | "void" = "void">(
    name: string,
    parameters: P,
    body: (f: Body, parameters: Locals<P>) => void,
    result: R = "void" as R,
  ): Func<P, R> {
    const func = this.func(name, parameters, body, result);
    this.#exports.push({ name, kind: 0, index: func.index });
    return func;
  }

  /** A number that each instance of the module has for itself, and that JavaScript may set. */
  global(name: string): I32 {
    this.#exports.push({ name, kind: 3, index: this.#globals });
    return expr("i32", 0x23, ...unsigned(this.#globals++));
  }

  #typeIndex(parameters: readonly ValueType[], result: ValueType | "void"): number {
    const results = result === "void" ? [] : [result];
    const bytes = [0x60, parameters.length, ...parameters.map((p) => TYPE_CODE[p]), results.length, ...results.map((r) => TYPE_CODE[r])];
    const type = String.fromCharCode(...bytes);
    const known = this.#types.indexOf(type);
    return known >= 0 ? known : this.#types.push(type) - 1;
  }

  /** The names of functions, which profiles and stack traces show; engines run without them. */
  #nameSection(): Piece[] {
    const names = vector(this.#names.map((name, index) => [...unsigned(index), ...text(name)]));
    return [[0], ...sized([text("name"), [1], ...sized(names)])];
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const { initial, maximum, shared } = this.#limits;
    const section = (id: number, items: readonly Piece[]): Piece[] => [[id], ...sized(vector(items))];
    return joined([
      HEADER,
      ...section(
        1,
        this.#types.map((type) => Array.from(type, (c) => c.charCodeAt(0))),
      ),
      ...section(2, [[...text("env"), ...text("memory"), 0x02, shared ? 3 : 1, ...unsigned(initial), ...unsigned(maximum)]]),
      ...section(3, this.#functions.map(unsigned)),
      ...section(
        6,
        Array.from({ length: this.#globals }, () => [TYPE_CODE.i32, 1, 0x41, 0, END]),
      ),
      ...section(
        7,
        this.#exports.map(({ name, kind, index }) => [...text(name), kind, ...unsigned(index)]),
      ),
      ...section(10, this.#code),
      ...this.#nameSection(),
    ]);
  }
}
