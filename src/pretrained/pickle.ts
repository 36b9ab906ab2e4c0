/**
 * Reads the part of Python's pickle format that files of tensors need. A pickle is a program for a stack machine, and Python's own reader calls
 * whatever the program names. This reader allows only the names that it is given; any other name is an error that says it, and nothing is
 * called. Operations: those of protocols 2 to 4 in Python's Lib/pickletools.py.
 */
import { describe } from "../autograd/arguments.ts";

/** A value of a pickle. Tuples and lists are arrays, dictionaries are Maps. */
export type Pickled = null | boolean | number | string | object;

/** A name that the program may use, and the function that a call of it runs. */
export class PickleGlobal {
  readonly call: (args: readonly Pickled[]) => Pickled;

  constructor(call: (args: readonly Pickled[]) => Pickled) {
    this.call = call;
  }
}

/** The names and objects outside of the pickle that its program may use. */
export interface PickleWorld {
  /** The global for "module name"; undefined: it is refused. */
  find(name: string): PickleGlobal | undefined;
  /** The object of a persistent id. */
  load(id: Pickled): Pickled;
}

/** Runs the program and returns its result. Throws a RangeError for damage, and for every name that `world` does not know. */
export function unpickle(bytes: Uint8Array, world: PickleWorld): Pickled {
  const machine = new Machine(bytes, world);
  for (;;) {
    const at = machine.at;
    const code = machine.byte();
    if (code === STOP) return machine.pop();
    const operation = operations[code] ?? fail(`byte ${at} of its pickle, 0x${code.toString(16)}, is no operation that tensors need`);
    operation(machine);
  }
}

function fail(why: string): never {
  throw new RangeError(why);
}

const damaged = (why: string): never => fail(`its pickle is damaged: ${why}`);

/** The stack machine: a program, its position in it, its stack and its memo. */
class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #world: PickleWorld;
  at = 0;
  #stack: Pickled[] = [];
  /** The stacks below each mark. */
  readonly #below: Pickled[][] = [];
  readonly #memo = new Map<number, Pickled>();

  constructor(bytes: Uint8Array, world: PickleWorld) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#world = world;
  }

  // The program

  #skip(length: number): number {
    const at = this.at;
    if (length > this.#bytes.length - at)
      fail(`its pickle is truncated: it holds ${this.#bytes.length} bytes and wants ${length} more at ${at}`);
    this.at += length;
    return at;
  }

  byte(): number {
    return this.#bytes[this.#skip(1)];
  }

  uint16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  float64(): number {
    return this.#view.getFloat64(this.#skip(8), false);
  }

  take(length: number): Uint8Array {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(length: number): string {
    return utf8(this.take(length));
  }

  line(): string {
    const end = this.#bytes.indexOf(10, this.at);
    if (end < 0) fail(`its pickle is truncated: the line at ${this.at} has no end`);
    const line = this.text(end - this.at);
    this.at++;
    return line;
  }

  // Its memory

  push(value: Pickled): void {
    this.#stack.push(value);
  }

  top(): Pickled {
    return this.#stack.length > 0 ? this.#stack[this.#stack.length - 1] : damaged("it takes more than it has");
  }

  pop(): Pickled {
    const value = this.top();
    this.#stack.pop();
    return value;
  }

  mark(): void {
    this.#below.push(this.#stack);
    this.#stack = [];
  }

  /** What was pushed since the last mark, which goes away. */
  sinceMark(): Pickled[] {
    const items = this.#stack;
    this.#stack = this.#below.pop() ?? damaged("a mark is missing");
    return items;
  }

  remember(place = this.#memo.size): void {
    this.#memo.set(place, this.top());
  }

  recall(place: number): void {
    const value = this.#memo.get(place);
    this.push(value === undefined ? damaged(`it recalls ${place}, which it never kept`) : value);
  }

  // The world outside

  name(module: Pickled, name: Pickled): void {
    if (typeof module !== "string" || typeof name !== "string") return damaged(`it names ${describe(module)}, ${describe(name)}`);
    const full = `${module} ${name}`;
    const shown = JSON.stringify(full.replace(" ", ".").slice(0, 120));
    this.push(
      this.#world.find(full) ??
        fail(`its pickle names ${shown}, which no file of tensors needs. A pickle is a program; nothing of it was run`),
    );
  }

  /** Calls what lies under the arguments. */
  call(): void {
    const [args, callee] = [this.pop(), this.pop()];
    if (!Array.isArray(args) || !(callee instanceof PickleGlobal)) return damaged(`it calls ${describe(callee)} with ${describe(args)}`);
    this.push(callee.call(args));
  }

  persistent(): void {
    this.push(this.#world.load(this.pop()));
  }

  // Containers

  append(items: readonly Pickled[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return damaged(`it appends to ${describe(list)}`);
    for (const item of items) list.push(item);
  }

  /** Keys and values in turn. */
  setItems(items: readonly Pickled[]): void {
    const into = this.top();
    if (!(into instanceof Map) || items.length % 2 !== 0) return damaged(`it sets ${items.length} items of ${describe(into)}`);
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== "string" && typeof key !== "number") return damaged(`${describe(key)} is a key`);
      into.set(key, items[i + 1]);
    }
  }

  /** Attributes of an object. State dictionaries of PyTorch carry the versions of their modules so, which say nothing of tensors. */
  build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) damaged(`it sets attributes of ${describe(this.top())}`);
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return damaged("a text is not UTF-8");
  }
}

/** Two's complement, little-endian. */
function long(bytes: Uint8Array): number {
  if (bytes.length === 0) return 0;
  if (bytes.length > 8) return fail(`its pickle holds an integer of ${bytes.length} bytes`);
  const digits = [...bytes].toReversed().map((byte) => byte.toString(16).padStart(2, "0"));
  const value = Number(BigInt.asIntN(8 * bytes.length, BigInt(`0x${digits.join("")}`)));
  return Number.isSafeInteger(value) ? value : fail(`its pickle holds the integer ${value}`);
}

/** The `count` values on top, the deepest first. */
function popped(m: Machine, count: number): Pickled[] {
  return Array.from({ length: count }, () => m.pop()).toReversed();
}

const STOP = 0x2e;

/** The operations by opcode: only those that files of tensors need. */
const operations: Readonly<Record<number, ((m: Machine) => void) | undefined>> = {
  0x80: (m) => void m.byte(), // PROTO
  0x95: (m) => void m.take(8), // FRAME: a length that streams need
  0x28: (m) => m.mark(), // MARK
  0x30: (m) => void m.pop(), // POP
  0x31: (m) => void m.sinceMark(), // POP_MARK
  0x32: (m) => m.push(m.top()), // DUP

  0x4e: (m) => m.push(null), // NONE
  0x88: (m) => m.push(true), // NEWTRUE
  0x89: (m) => m.push(false), // NEWFALSE
  0x4a: (m) => m.push(m.int32()), // BININT
  0x4b: (m) => m.push(m.byte()), // BININT1
  0x4d: (m) => m.push(m.uint16()), // BININT2
  0x8a: (m) => m.push(long(m.take(m.byte()))), // LONG1
  0x47: (m) => m.push(m.float64()), // BINFLOAT
  0x8c: (m) => m.push(m.text(m.byte())), // SHORT_BINUNICODE
  0x58: (m) => m.push(m.text(m.uint32())), // BINUNICODE
  0x55: (m) => m.push(m.text(m.byte())), // SHORT_BINSTRING, as Python 2 writes
  0x54: (m) => m.push(m.text(m.uint32())), // BINSTRING

  0x29: (m) => m.push([]), // EMPTY_TUPLE
  0x85: (m) => m.push(popped(m, 1)), // TUPLE1
  0x86: (m) => m.push(popped(m, 2)), // TUPLE2
  0x87: (m) => m.push(popped(m, 3)), // TUPLE3
  0x74: (m) => m.push(m.sinceMark()), // TUPLE
  0x5d: (m) => m.push([]), // EMPTY_LIST
  0x6c: (m) => m.push(m.sinceMark()), // LIST
  0x61: (m) => m.append(popped(m, 1)), // APPEND
  0x65: (m) => m.append(m.sinceMark()), // APPENDS
  0x7d: (m) => m.push(new Map()), // EMPTY_DICT
  0x73: (m) => m.setItems(popped(m, 2)), // SETITEM
  0x75: (m) => m.setItems(m.sinceMark()), // SETITEMS

  0x71: (m) => m.remember(m.byte()), // BINPUT
  0x72: (m) => m.remember(m.uint32()), // LONG_BINPUT
  0x94: (m) => m.remember(), // MEMOIZE
  0x68: (m) => m.recall(m.byte()), // BINGET
  0x6a: (m) => m.recall(m.uint32()), // LONG_BINGET

  0x63: (m) => m.name(m.line(), m.line()), // GLOBAL
  0x93: (m) => m.name(...pair(popped(m, 2))), // STACK_GLOBAL
  0x52: (m) => m.call(), // REDUCE
  0x81: (m) => m.call(), // NEWOBJ
  0x51: (m) => m.persistent(), // BINPERSID
  0x62: (m) => m.build(), // BUILD
};

function pair([a, b]: readonly Pickled[]): [Pickled, Pickled] {
  return [a, b];
}
