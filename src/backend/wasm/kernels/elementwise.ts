/**
 * Elementwise kernels. Each comes *flat*, over whole vectors of contiguous arrays (the last vector may reach past the array's end, but not past
 * its block), and binary ones also by *rows*, for operands that are stretched along rows or columns.
 */
import { f32x4, i32, i32x4, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import { callOf } from "../assembler.ts";
import type { Body, Module } from "../assembler.ts";
import type { BinaryOp, UnaryOp } from "../../backend.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { integerBinary, integerUnary } from "./integer.ts";
import { forVectors, store } from "./loops.ts";
import { kernelName } from "./names.ts";
import * as math from "./math.ts";
import type { Binary, Unary } from "./math.ts";
import * as viaFloat64 from "./viaFloat64.ts";

const ONE = f32x4.const(1);

const unaryFunctions: Record<UnaryOp, Unary> = {
  neg: (_, x) => f32x4.neg(x),
  abs: (_, x) => f32x4.abs(x),
  sign: math.sign,
  floor: (_, x) => f32x4.floor(x),
  ceil: (_, x) => f32x4.ceil(x),
  round: (_, x) => f32x4.nearest(x),
  trunc: (_, x) => f32x4.trunc(x),
  exp: (s, x) => math.exp(s, x),
  expm1: math.expm1,
  log: math.log,
  log1p: math.log1p,
  sqrt: (_, x) => f32x4.sqrt(x),
  rsqrt: (_, x) => f32x4.div(1, f32x4.sqrt(x)),
  reciprocal: (_, x) => f32x4.div(1, x),
  square: ({ f }, x) => {
    const value = f.let(x);
    return f32x4.mul(value, value);
  },
  sin: viaFloat64.sin,
  cos: viaFloat64.cos,
  tanh: math.tanh,
  sigmoid: math.sigmoid,
  softplus: math.softplus,
  relu: (_, x) => f32x4.max(x, 0),
  erf: math.erf,
  erfc: math.erfc,
  normalCdf: math.normalCdf,
  isFinite: (_, x) => v128.and(f32x4.lt(f32x4.abs(x), Infinity), ONE),
};

const holds =
  (compare: (x: V128, y: V128) => V128): Binary =>
  (_, x, y) =>
    v128.and(compare(x, y), ONE);

const binaryFunctions: Record<BinaryOp, Binary> = {
  add: (_, x, y) => f32x4.add(x, y),
  sub: (_, x, y) => f32x4.sub(x, y),
  mul: (_, x, y) => f32x4.mul(x, y),
  div: (_, x, y) => f32x4.div(x, y),
  pow: viaFloat64.pow,
  maximum: (_, x, y) => f32x4.max(x, y),
  minimum: (_, x, y) => f32x4.min(x, y),
  floorDiv: viaFloat64.floorDiv,
  mod: viaFloat64.mod,
  equal: holds(f32x4.eq),
  notEqual: holds(f32x4.ne),
  less: holds(f32x4.lt),
  lessEqual: holds(f32x4.le),
  greater: holds(f32x4.gt),
  greaterEqual: holds(f32x4.ge),
};

/** Functions of so many instructions that the six loops around them call one copy. */
const long: ReadonlySet<string> = new Set<BinaryOp>(["pow", "floorDiv", "mod"]);

/** A function that the module has once. */
function shared(m: Module, { madd }: Arithmetic, name: string, of: Binary): Binary {
  const func = m.func(name, { x: "v128", y: "v128" }, (f, { x, y }) => f.return(of({ f, madd }, x, y)), "v128");
  return (_, x, y) => callOf(func, { x, y });
}

/** How an operand lies along a row: one number after the other, or the same throughout. */
export type Along = "v" | "s";
const ALONGS = ["vv", "vs", "sv"] as const;

const FLAT = { out: "i32", x: "i32", begin: "i32", end: "i32" } as const;
const PAIR = { out: "i32", x: "i32", y: "i32", begin: "i32", end: "i32" } as const;
const PAIR_ROWS = { out: "i32", x: "i32", y: "i32", columns: "i32", xRow: "i32", yRow: "i32", begin: "i32", end: "i32" } as const;

/** Reads vectors from `address` on; a scalar is read once. */
function reader(f: Body, along: string, address: I32): (at: I32) => V128 {
  if (along === "v") return (at) => v128.load(i32.add(address, at));
  const value = f.let(v128.load32Splat(address));
  return () => value;
}

function unaryKernel(m: Module, { madd }: Arithmetic, name: string, of: Unary): void {
  m.export(name, FLAT, (f, { out, x, begin, end }) => {
    f.for(i32.shl(begin, 4), i32.shl(end, 4), 16, (at) =>
      f.do(v128.store(i32.add(out, at), of({ f, madd }, f.let(v128.load(i32.add(x, at)))))),
    );
  });
}

function binaryKernels(m: Module, arithmetic: Arithmetic, op: string, whole: Binary, isLong: boolean): void {
  const of = isLong ? shared(m, arithmetic, `${op}Lanes`, whole) : whole;
  const { madd } = arithmetic;
  for (const along of ALONGS) {
    m.export(`${op}_${along}`, PAIR, (f, { out, x, y, begin, end }) => {
      const left = reader(f, along[0], x);
      const right = reader(f, along[1], y);
      f.for(i32.shl(begin, 4), i32.shl(end, 4), 16, (at) => f.do(v128.store(i32.add(out, at), of({ f, madd }, left(at), right(at)))));
    });
    m.export(`${op}_${along}_rows`, PAIR_ROWS, (f, { out, x, y, columns, xRow, yRow, begin, end }) => {
      const row = f.let(i32.shl(columns, 2));
      f.for(begin, end, 1, (r) => {
        const to = f.let(i32.add(out, i32.mul(r, row)));
        const left = reader(f, along[0], f.let(i32.add(x, i32.mul(r, xRow))));
        const right = reader(f, along[1], f.let(i32.add(y, i32.mul(r, yRow))));
        forVectors(f, row, (at, tail) => store(f, i32.add(to, at), of({ f, madd }, left(at), right(at)), tail));
      });
    });
  }
}

/** condition ? x : y, of any four bytes; x and y may be single ones. */
function selectKernels(m: Module, name: string, holds: (condition: V128) => V128): void {
  for (const along of ["vv", "vs", "sv", "ss"]) {
    m.export(`${name}_${along}`, { out: "i32", condition: "i32", x: "i32", y: "i32", begin: "i32", end: "i32" }, (f, p) => {
      const left = reader(f, along[0], p.x);
      const right = reader(f, along[1], p.y);
      f.for(i32.shl(p.begin, 4), i32.shl(p.end, 4), 16, (at) => {
        const mask = holds(v128.load(i32.add(p.condition, at)));
        f.do(v128.store(i32.add(p.out, at), v128.select(mask, left(at), right(at))));
      });
    });
  }
}

/** Between float32 and its upper half, bfloat16: rounding to nearest, ties to even, is adding 0x7fff and the last kept bit. */
function castKernels(m: Module, arithmetic: Arithmetic): void {
  m.export("bfloat16ToFloat32", FLAT, (f, { out, x, begin, end }) => {
    f.for(begin, end, 1, (i) => f.do(v128.store(i32.add(out, i32.shl(i, 4)), i32x4.shl(v128.load16x4(i32.add(x, i32.shl(i, 3))), 16))));
  });
  m.export("float32ToBfloat16", FLAT, (f, { out, x, begin, end }) => {
    f.for(begin, end, 1, (i) => {
      const bits = f.let(v128.load(i32.add(x, i32.shl(i, 4))));
      const even = v128.and(i32x4.shrU(bits, 16), i32x4.const(1));
      const rounded = i32x4.add(bits, i32x4.add(even, 0x7fff));
      // A NaN must not round to infinity: it keeps its upper half, made quiet.
      const kept = f.let(i32x4.shrU(v128.select(f32x4.ne(bits, bits), v128.or(bits, i32x4.const(0x400000)), rounded), 16));
      f.do(v128.store64Lane(i32.add(out, i32.shl(i, 3)), v128.lowHalves(kept, kept), 0));
    });
  });
  unaryKernel(m, arithmetic, "int32ToFloat32", (_, x) => f32x4.fromI32x4(x));
  unaryKernel(m, arithmetic, "float32ToInt32", ({ f }, x) => toInt32(f, x));
}

/** Truncated, and modulo 2^32, as an Int32Array stores it; NaN and infinities give 0. */
function toInt32(f: Body, x: V128): V128 {
  const turns = f.let(f32x4.mul(x, 2 ** -32));
  const rest = f.let(f32x4.mul(f32x4.sub(turns, f32x4.nearest(turns)), 2 ** 32));
  // Truncation gives 2^31 - 1 for 2^31; one more wraps to -2^31.
  return i32x4.sub(i32x4.truncF32x4(rest), f32x4.ge(rest, 2 ** 31));
}

export function elementwiseKernels(m: Module, arithmetic: Arithmetic): void {
  for (const [op, of] of Object.entries(unaryFunctions)) unaryKernel(m, arithmetic, op, of);
  for (const [op, of] of Object.entries(integerUnary)) unaryKernel(m, arithmetic, kernelName(op, "int32"), of);
  for (const [op, of] of Object.entries(binaryFunctions)) binaryKernels(m, arithmetic, op, of, long.has(op));
  for (const [op, of] of Object.entries(integerBinary)) binaryKernels(m, arithmetic, kernelName(op, "int32"), of, long.has(op));
  selectKernels(m, "select", (condition) => f32x4.ne(condition, 0));
  selectKernels(m, kernelName("select", "int32"), (condition) => i32x4.ne(condition, i32x4.const(0)));
  castKernels(m, arithmetic);
  m.export("fill", { out: "i32", bits: "i32", begin: "i32", end: "i32" }, (f, { out, bits, begin, end }) => {
    const vector = f.let(i32x4.splat(bits));
    f.for(i32.shl(begin, 4), i32.shl(end, 4), 16, (at) => f.do(v128.store(i32.add(out, at), vector)));
  });
}
