/**
 * The instructions of WebAssembly as expressions.
 *
 * WebAssembly is a stack machine whose code is a tree in disguise: an instruction follows the code of its operands. So an expression
 * here is just its type and its bytes, and `f32x4.add(x, y)` is the bytes of x, the bytes of y, and the opcode. Names are those of the
 * specification's text format; a plain number is lifted to a constant of the type the operand must have.
 *
 * An expression is code, not a value: used twice it runs twice, and a local in it is read where the code stands.
 * `Body.let` computes it once. Opcodes: WebAssembly Core Specification 2.0, 5.4, and the relaxed SIMD and threads extensions.
 */
export type ValueType = "i32" | "f32" | "f64" | "v128";
export type Code = readonly (number | Code)[];

export interface Expr<T extends ValueType | "void" = ValueType | "void"> {
  readonly type: T;
  readonly code: Code;
}
export type I32 = Expr<"i32">;
export type F32 = Expr<"f32">;
export type F64 = Expr<"f64">;
export type V128 = Expr<"v128">;
export type Statement = Expr<"void">;

export function expr<T extends ValueType | "void">(type: T, ...code: Code): Expr<T> {
  return { type, code };
}

/** Little-endian base 128, the format's integers: seven bits a byte, the eighth says "more". */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value >>> 0; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

export function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value | 0; ; rest >>= 7) {
    if (rest >= -64 && rest < 64) return [...bytes, rest & 0x7f];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function ieee(value: number, bytes: 4 | 8): number[] {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer)];
}

/** The same 32 bits in all four lanes. */
function splatConstant(lane: readonly number[]): V128 {
  return expr("v128", 0xfd, 0x0c, ...lane, ...lane, ...lane, ...lane);
}

type Operand<T extends ValueType> = Expr<T> | number;
type Lift = (value: number) => Expr;

const constant = {
  i32: (value: number): I32 => expr("i32", 0x41, ...signed(value)),
  f32: (value: number): F32 => expr("f32", 0x43, ...ieee(value, 4)),
  f64: (value: number): F64 => expr("f64", 0x44, ...ieee(value, 8)),
  f32x4: (value: number): V128 => splatConstant(ieee(value, 4)),
  f64x2: (value: number): V128 => expr("v128", 0xfd, 0x0c, ...ieee(value, 8), ...ieee(value, 8)),
  i32x4: (value: number): V128 => splatConstant([value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255]),
};

const codeOf = (operand: Expr | number, lift: Lift): Code => (typeof operand === "number" ? lift(operand) : operand).code;

type Unary<R extends ValueType, T extends ValueType> = (x: Operand<T>) => Expr<R>;
type Binary<R extends ValueType, T extends ValueType> = (x: Operand<T>, y: Operand<T>) => Expr<R>;

function unary<R extends ValueType, T extends ValueType>(result: R, lift: Lift, ...opcode: number[]): Unary<R, T> {
  return (x) => expr(result, codeOf(x, lift), ...opcode);
}

function binary<R extends ValueType, T extends ValueType>(result: R, lift: Lift, ...opcode: number[]): Binary<R, T> {
  return (x, y) => expr(result, codeOf(x, lift), codeOf(y, lift), ...opcode);
}

const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];

/** A memory access: the address on the stack, then alignment (always 1, which is always true) and a constant offset. */
const access = (offset: number): number[] => [0, ...unsigned(offset)];

function load<R extends ValueType>(result: R, ...opcode: number[]) {
  return (address: I32, offset = 0): Expr<R> => expr(result, address.code, ...opcode, ...access(offset));
}

function store<T extends ValueType>(lift: Lift, ...opcode: number[]) {
  return (address: I32, value: Operand<T>, offset = 0): Statement =>
    expr("void", address.code, codeOf(value, lift), ...opcode, ...access(offset));
}

const I = constant.i32;
const S = constant.f32;
const D = constant.f64;
const I4 = constant.i32x4;
const F4 = constant.f32x4;
const D2 = constant.f64x2;

export const i32 = {
  const: I,
  load: load("i32", 0x28),
  load8: load("i32", 0x2d),
  load16: load("i32", 0x2f),
  store: store<"i32">(I, 0x36),
  store16: store<"i32">(I, 0x3b),
  eqz: unary<"i32", "i32">("i32", I, 0x45),
  eq: binary<"i32", "i32">("i32", I, 0x46),
  ne: binary<"i32", "i32">("i32", I, 0x47),
  lt: binary<"i32", "i32">("i32", I, 0x48),
  ltU: binary<"i32", "i32">("i32", I, 0x49),
  gt: binary<"i32", "i32">("i32", I, 0x4a),
  gtU: binary<"i32", "i32">("i32", I, 0x4b),
  le: binary<"i32", "i32">("i32", I, 0x4c),
  ge: binary<"i32", "i32">("i32", I, 0x4e),
  geU: binary<"i32", "i32">("i32", I, 0x4f),
  add: binary<"i32", "i32">("i32", I, 0x6a),
  sub: binary<"i32", "i32">("i32", I, 0x6b),
  mul: binary<"i32", "i32">("i32", I, 0x6c),
  div: binary<"i32", "i32">("i32", I, 0x6d),
  divU: binary<"i32", "i32">("i32", I, 0x6e),
  rem: binary<"i32", "i32">("i32", I, 0x6f),
  remU: binary<"i32", "i32">("i32", I, 0x70),
  and: binary<"i32", "i32">("i32", I, 0x71),
  or: binary<"i32", "i32">("i32", I, 0x72),
  xor: binary<"i32", "i32">("i32", I, 0x73),
  shl: binary<"i32", "i32">("i32", I, 0x74),
  shr: binary<"i32", "i32">("i32", I, 0x75),
  shrU: binary<"i32", "i32">("i32", I, 0x76),
  truncF32: (x: F32): I32 => expr("i32", x.code, 0xfc, 0x00),
  reinterpret: (x: F32): I32 => expr("i32", x.code, 0xbc),
  /** The first where `condition` is not 0. Both are computed. */
  select: (condition: I32, x: Operand<"i32">, y: Operand<"i32">): I32 => expr("i32", codeOf(x, I), codeOf(y, I), condition.code, 0x1b),
};

export const f32 = {
  const: S,
  load: load("f32", 0x2a),
  store: store<"f32">(S, 0x38),
  eq: binary<"i32", "f32">("i32", S, 0x5b),
  ne: binary<"i32", "f32">("i32", S, 0x5c),
  lt: binary<"i32", "f32">("i32", S, 0x5d),
  gt: binary<"i32", "f32">("i32", S, 0x5e),
  le: binary<"i32", "f32">("i32", S, 0x5f),
  ge: binary<"i32", "f32">("i32", S, 0x60),
  abs: unary<"f32", "f32">("f32", S, 0x8b),
  neg: unary<"f32", "f32">("f32", S, 0x8c),
  sqrt: unary<"f32", "f32">("f32", S, 0x91),
  add: binary<"f32", "f32">("f32", S, 0x92),
  sub: binary<"f32", "f32">("f32", S, 0x93),
  mul: binary<"f32", "f32">("f32", S, 0x94),
  div: binary<"f32", "f32">("f32", S, 0x95),
  min: binary<"f32", "f32">("f32", S, 0x96),
  max: binary<"f32", "f32">("f32", S, 0x97),
  fromI32: (x: I32): F32 => expr("f32", x.code, 0xb2),
  fromF64: (x: F64): F32 => expr("f32", x.code, 0xb6),
  reinterpret: (x: I32): F32 => expr("f32", x.code, 0xbe),
  select: (condition: I32, x: Operand<"f32">, y: Operand<"f32">): F32 => expr("f32", codeOf(x, S), codeOf(y, S), condition.code, 0x1b),
};

export const f64 = {
  const: D,
  load: load("f64", 0x2b),
  store: store<"f64">(D, 0x39),
  sqrt: unary<"f64", "f64">("f64", D, 0x9f),
  add: binary<"f64", "f64">("f64", D, 0xa0),
  sub: binary<"f64", "f64">("f64", D, 0xa1),
  mul: binary<"f64", "f64">("f64", D, 0xa2),
  div: binary<"f64", "f64">("f64", D, 0xa3),
  fromF32: (x: F32): F64 => expr("f64", x.code, 0xbb),
  fromI32: (x: I32): F64 => expr("f64", x.code, 0xb7),
};

function lane<R extends ValueType>(result: R, opcode: number) {
  return (x: V128, index: number): Expr<R> => expr(result, x.code, ...simd(opcode), index);
}

export const v128 = {
  load: load("v128", ...simd(0x00)),
  store: store<"v128">(I4, ...simd(0x0b)),
  /** One number into all four lanes. */
  load32Splat: load("v128", ...simd(0x09)),
  /** One or two numbers into the low lanes, zeros above. */
  load32Zero: load("v128", ...simd(0x5c)),
  load64Zero: load("v128", ...simd(0x5d)),
  /** Four 16-bit numbers, each widened with zeros to 32 bits. */
  load16x4: load("v128", ...simd(0x04)),
  store32Lane: (address: I32, value: V128, index: number, offset = 0): Statement =>
    expr("void", address.code, value.code, ...simd(0x5a), ...access(offset), index),
  store64Lane: (address: I32, value: V128, index: number, offset = 0): Statement =>
    expr("void", address.code, value.code, ...simd(0x5b), ...access(offset), index),
  not: unary<"v128", "v128">("v128", I4, ...simd(0x4d)),
  and: binary<"v128", "v128">("v128", I4, ...simd(0x4e)),
  andnot: binary<"v128", "v128">("v128", I4, ...simd(0x4f)),
  or: binary<"v128", "v128">("v128", I4, ...simd(0x50)),
  xor: binary<"v128", "v128">("v128", I4, ...simd(0x51)),
  anyTrue: (x: V128): I32 => expr("i32", x.code, ...simd(0x53)),
  /** Bits of x where `mask` has a one, of y elsewhere. */
  select: (mask: V128, x: V128, y: V128): V128 => expr("v128", x.code, y.code, mask.code, ...simd(0x52)),
  /** Lanes 0..3 are x's, 4..7 are y's. */
  shuffle: (x: V128, y: V128, lanes: readonly [number, number, number, number]): V128 =>
    expr("v128", x.code, y.code, ...simd(0x0d), ...lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3])),
  /** The low halves of eight 32-bit lanes as eight 16-bit lanes: x's four, then y's. */
  lowHalves: (x: V128, y: V128): V128 =>
    expr("v128", x.code, y.code, ...simd(0x0d), ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((l) => [4 * l, 4 * l + 1])),
};

export const i32x4 = {
  const: I4,
  lanes: (a: number, b: number, c: number, d: number): V128 =>
    expr("v128", ...simd(0x0c), ...[a, b, c, d].flatMap((v) => [v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >> 24) & 255])),
  splat: unary<"v128", "i32">("v128", I, ...simd(0x11)),
  lane: lane("i32", 0x1b),
  abs: unary<"v128", "v128">("v128", I4, ...simd(0xa0)),
  neg: unary<"v128", "v128">("v128", I4, ...simd(0xa1)),
  eq: binary<"v128", "v128">("v128", I4, ...simd(0x37)),
  ne: binary<"v128", "v128">("v128", I4, ...simd(0x38)),
  lt: binary<"v128", "v128">("v128", I4, ...simd(0x39)),
  gt: binary<"v128", "v128">("v128", I4, ...simd(0x3b)),
  le: binary<"v128", "v128">("v128", I4, ...simd(0x3d)),
  ge: binary<"v128", "v128">("v128", I4, ...simd(0x3f)),
  shl: (x: V128, bits: number): V128 => expr("v128", x.code, I(bits).code, ...simd(0xab)),
  shr: (x: V128, bits: number): V128 => expr("v128", x.code, I(bits).code, ...simd(0xac)),
  shrU: (x: V128, bits: number): V128 => expr("v128", x.code, I(bits).code, ...simd(0xad)),
  add: binary<"v128", "v128">("v128", I4, ...simd(0xae)),
  sub: binary<"v128", "v128">("v128", I4, ...simd(0xb1)),
  mul: binary<"v128", "v128">("v128", I4, ...simd(0xb5)),
  min: binary<"v128", "v128">("v128", I4, ...simd(0xb6)),
  max: binary<"v128", "v128">("v128", I4, ...simd(0xb8)),
  /** What does not fit becomes the nearest that does; NaN becomes 0. */
  truncF32x4: unary<"v128", "v128">("v128", F4, ...simd(0xf8)),
  /** The same of an f64x2 into the low lanes, zeros above. */
  truncF64x2: unary<"v128", "v128">("v128", D2, ...simd(0xfc)),
};

export const f32x4 = {
  const: F4,
  splat: unary<"v128", "f32">("v128", S, ...simd(0x13)),
  lane: lane("f32", 0x1f),
  eq: binary<"v128", "v128">("v128", F4, ...simd(0x41)),
  ne: binary<"v128", "v128">("v128", F4, ...simd(0x42)),
  lt: binary<"v128", "v128">("v128", F4, ...simd(0x43)),
  gt: binary<"v128", "v128">("v128", F4, ...simd(0x44)),
  le: binary<"v128", "v128">("v128", F4, ...simd(0x45)),
  ge: binary<"v128", "v128">("v128", F4, ...simd(0x46)),
  ceil: unary<"v128", "v128">("v128", F4, ...simd(0x67)),
  floor: unary<"v128", "v128">("v128", F4, ...simd(0x68)),
  trunc: unary<"v128", "v128">("v128", F4, ...simd(0x69)),
  /** To the nearest whole number, ties to even. */
  nearest: unary<"v128", "v128">("v128", F4, ...simd(0x6a)),
  abs: unary<"v128", "v128">("v128", F4, ...simd(0xe0)),
  neg: unary<"v128", "v128">("v128", F4, ...simd(0xe1)),
  sqrt: unary<"v128", "v128">("v128", F4, ...simd(0xe3)),
  add: binary<"v128", "v128">("v128", F4, ...simd(0xe4)),
  sub: binary<"v128", "v128">("v128", F4, ...simd(0xe5)),
  mul: binary<"v128", "v128">("v128", F4, ...simd(0xe6)),
  div: binary<"v128", "v128">("v128", F4, ...simd(0xe7)),
  min: binary<"v128", "v128">("v128", F4, ...simd(0xe8)),
  max: binary<"v128", "v128">("v128", F4, ...simd(0xe9)),
  /** y < x ? y : x, and x < y ? y : x: one machine instruction each, where min and max (NaN, signed zeros) take several. */
  pmin: binary<"v128", "v128">("v128", F4, ...simd(0xea)),
  pmax: binary<"v128", "v128">("v128", F4, ...simd(0xeb)),
  fromI32x4: unary<"v128", "v128">("v128", I4, ...simd(0xfa)),
  /** The two lanes of an f64x2 rounded into the low lanes, zeros above. */
  fromF64x2: unary<"v128", "v128">("v128", D2, ...simd(0x5e)),
  /** x y + z, rounded once or twice as the processor likes. */
  relaxedMadd: (x: V128, y: V128, z: V128): V128 => expr("v128", x.code, y.code, z.code, ...simd(0x105)),
};

export const f64x2 = {
  const: D2,
  splat: unary<"v128", "f64">("v128", D, ...simd(0x14)),
  lane: lane("f64", 0x21),
  eq: binary<"v128", "v128">("v128", D2, ...simd(0x47)),
  ne: binary<"v128", "v128">("v128", D2, ...simd(0x48)),
  lt: binary<"v128", "v128">("v128", D2, ...simd(0x49)),
  ge: binary<"v128", "v128">("v128", D2, ...simd(0x4c)),
  floor: unary<"v128", "v128">("v128", D2, ...simd(0x75)),
  trunc: unary<"v128", "v128">("v128", D2, ...simd(0x7a)),
  nearest: unary<"v128", "v128">("v128", D2, ...simd(0x94)),
  abs: unary<"v128", "v128">("v128", D2, ...simd(0xec)),
  add: binary<"v128", "v128">("v128", D2, ...simd(0xf0)),
  sub: binary<"v128", "v128">("v128", D2, ...simd(0xf1)),
  mul: binary<"v128", "v128">("v128", D2, ...simd(0xf2)),
  div: binary<"v128", "v128">("v128", D2, ...simd(0xf3)),
  pmin: binary<"v128", "v128">("v128", D2, ...simd(0xf6)),
  pmax: binary<"v128", "v128">("v128", D2, ...simd(0xf7)),
  /** The two low lanes of an i32x4. */
  fromLowI32x4: unary<"v128", "v128">("v128", I4, ...simd(0xfe)),
  /** The two low lanes of an f32x4. */
  fromLowF32x4: unary<"v128", "v128">("v128", F4, ...simd(0x5f)),
};

export const memory = {
  copy: (to: I32, from: I32, bytes: I32): Statement => expr("void", to.code, from.code, bytes.code, 0xfc, 0x0a, 0, 0),
  fill: (to: I32, byte: number, bytes: I32): Statement => expr("void", to.code, I(byte).code, bytes.code, 0xfc, 0x0b, 0),
};

/** Stops the program with an error. */
export const unreachable: Statement = expr("void", 0x00);

/** Bytes in order. */
export function flatten(code: Code, into: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === "number") into.push(part);
    else flatten(part, into);
  }
  return into;
}
