/** Functions of four int32. What does not fit wraps around, as it does in the reference, whose results go into an Int32Array. */
import { f64x2, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body } from "../assembler.ts";
import type { BinaryOp, UnaryOp } from "../../backend.ts";
import type { Binary, Unary } from "./math.ts";

const ONE = i32x4.const(1);
const NONE = i32x4.const(0);

/** The functions that are defined on whole numbers; others are the reference's. */
export const integerUnary: Partial<Record<UnaryOp, Unary>> = {
  neg: (_, x) => i32x4.neg(x),
  abs: (_, x) => i32x4.abs(x),
  sign: (_, x) => i32x4.max(i32x4.min(x, ONE), -1),
  square: ({ f }, x) => {
    const value = f.let(x);
    return i32x4.mul(value, value);
  },
  relu: (_, x) => i32x4.max(x, NONE),
};

const holds =
  (compare: (x: V128, y: V128) => V128): Binary =>
  (_, x, y) =>
    v128.and(compare(x, y), ONE);

export const integerBinary: Partial<Record<BinaryOp, Binary>> = {
  add: (_, x, y) => i32x4.add(x, y),
  sub: (_, x, y) => i32x4.sub(x, y),
  mul: (_, x, y) => i32x4.mul(x, y),
  maximum: (_, x, y) => i32x4.max(x, y),
  minimum: (_, x, y) => i32x4.min(x, y),
  floorDiv: ({ f }, x, y) => quotient(f, x, f.let(y)),
  mod: ({ f }, value, divisor) => {
    const [x, y] = [f.let(value), f.let(divisor)];
    return v128.andnot(i32x4.sub(x, i32x4.mul(quotient(f, x, y), y)), i32x4.eq(y, NONE));
  },
  equal: holds(i32x4.eq),
  notEqual: holds(i32x4.ne),
  less: holds(i32x4.lt),
  lessEqual: holds(i32x4.le),
  greater: holds(i32x4.gt),
  greaterEqual: holds(i32x4.ge),
};

/** Added to a whole float64, it leaves the number in the low bits, modulo 2^32. */
const WHOLE = 1.5 * 2 ** 52;

/** x / y rounded down, by way of float64, in which it is exact; 0 where y is 0. */
function quotient(f: Body, value: V128, y: V128): V128 {
  const x = f.let(value);
  const wide = (lanes: V128): V128 => f64x2.fromLowI32x4(lanes);
  const upper = (lanes: V128): V128 => wide(v128.shuffle(lanes, lanes, [2, 3, 2, 3]));
  const times = (a: V128, b: V128): V128 => f64x2.add(f64x2.floor(f64x2.div(a, b)), WHOLE);
  const whole = v128.shuffle(times(wide(x), wide(y)), times(upper(x), upper(y)), [0, 2, 4, 6]);
  return v128.andnot(whole, i32x4.eq(y, NONE));
}
