/**
 * Elementwise kernels. Each function is one loop over a run: `n` elements, written from out[o] on, read from x[i] on in steps of
 * dx. The loops are spelled out, one line each, because a call per element would cost more than most of the arithmetic.
 */
import { erf, erfc, normalCdf } from "../specialFunctions.ts";
import { toBfloat16Bits, fromBfloat16Bits } from "../bfloat16.ts";
import { forEachRun, rowMajor, stretched } from "./strided.ts";
import type { Strided } from "./strided.ts";
import type { BinaryOp, TypedArray, UnaryOp } from "../backend.ts";
import type { Shape } from "../shape.ts";

type UnaryLoop = (n: number, out: TypedArray, o: number, x: TypedArray, i: number, dx: number) => void;
type BinaryLoop = (
  n: number,
  out: TypedArray,
  o: number,
  x: TypedArray,
  i: number,
  dx: number,
  y: TypedArray,
  j: number,
  dy: number,
) => void;

// Math.round takes halves up; the even neighbour is one below where that was odd.
function roundHalfToEven(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

/** Remainder with the sign of y, as in Python and torch.remainder. */
function mod(x: number, y: number): number {
  const r = x % y;
  return r !== 0 && r < 0 !== y < 0 ? r + y : r;
}

// Why: floor(x / y) would disagree with mod where the quotient rounds up to an integer: 1 / 0.1 is 10, 1 mod 0.1 is 0.1.
function floorDiv(x: number, y: number): number {
  if (y === 0) return x / y;
  const r = x % y;
  const quotient = Math.round((x - r) / y);
  return r !== 0 && r < 0 !== y < 0 ? quotient - 1 : quotient;
}

// prettier-ignore
const unaryLoops: Record<UnaryOp, UnaryLoop> = {
  neg: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = -x[i]; },
  abs: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.abs(x[i]); },
  sign: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.sign(x[i]); },
  floor: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.floor(x[i]); },
  ceil: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.ceil(x[i]); },
  round: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = roundHalfToEven(x[i]); },
  trunc: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.trunc(x[i]); },
  exp: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.exp(x[i]); },
  expm1: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.expm1(x[i]); },
  log: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.log(x[i]); },
  log1p: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.log1p(x[i]); },
  sqrt: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.sqrt(x[i]); },
  rsqrt: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = 1 / Math.sqrt(x[i]); },
  reciprocal: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = 1 / x[i]; },
  square: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = x[i] * x[i]; },
  sin: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.sin(x[i]); },
  cos: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.cos(x[i]); },
  tanh: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.tanh(x[i]); },
  sigmoid: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = 1 / (1 + Math.exp(-x[i])); },
  softplus: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.max(x[i], 0) + Math.log1p(Math.exp(-Math.abs(x[i]))); },
  relu: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.max(x[i], 0); },
  erf: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = erf(x[i]); },
  erfc: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = erfc(x[i]); },
  normalCdf: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = normalCdf(x[i]); },
  isFinite: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = x[i] - x[i] === 0 ? 1 : 0; },
};

// prettier-ignore
const binaryLoops: Record<BinaryOp, BinaryLoop> = {
  add: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] + y[j]; },
  sub: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] - y[j]; },
  mul: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] * y[j]; },
  div: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] / y[j]; },
  pow: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] ** y[j]; },
  maximum: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = Math.max(x[i], y[j]); },
  minimum: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = Math.min(x[i], y[j]); },
  floorDiv: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = floorDiv(x[i], y[j]); },
  mod: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = mod(x[i], y[j]); },
  equal: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] === y[j] ? 1 : 0; },
  notEqual: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] !== y[j] ? 1 : 0; },
  less: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] < y[j] ? 1 : 0; },
  lessEqual: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] <= y[j] ? 1 : 0; },
  greater: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] > y[j] ? 1 : 0; },
  greaterEqual: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = x[i] >= y[j] ? 1 : 0; },
};

// int32 wraps around. A float64, in which the others are exact before they are stored, loses the low bits of a product beyond 2^53.
// prettier-ignore
const integerUnary: Partial<Record<UnaryOp, UnaryLoop>> = {
  square: (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = Math.imul(x[i], x[i]); },
};
// prettier-ignore
const integerBinary: Partial<Record<BinaryOp, BinaryLoop>> = {
  mul: (n, out, o, x, i, dx, y, j, dy) => { for (; n > 0; n--, i += dx, j += dy) out[o++] = Math.imul(x[i], y[j]); },
};

/** out = op(x). */
export function unary(op: UnaryOp, out: TypedArray, x: Strided): void {
  eachUnary((out instanceof Int32Array && integerUnary[op]) || unaryLoops[op], out, x);
}

function eachUnary(loop: UnaryLoop, out: TypedArray, x: Strided): void {
  forEachRun(x.shape, [rowMajor(x.shape), x], (n, [o, i], [, dx]) => loop(n, out, o, x.data, i, dx));
}

/** out = op(x, y), where x and y stretch to `shape`. */
export function binary(op: BinaryOp, out: TypedArray, shape: Shape, x: Strided, y: Strided): void {
  const loop = (out instanceof Int32Array && integerBinary[op]) || binaryLoops[op];
  forEachRun(shape, [rowMajor(shape), stretched(x, shape), stretched(y, shape)], (n, [o, i, j], [, dx, dy]) => {
    loop(n, out, o, x.data, i, dx, y.data, j, dy);
  });
}

/** out = condition != 0 ? x : y, where all three stretch to `shape`. */
export function select(out: TypedArray, shape: Shape, condition: Strided, x: Strided, y: Strided): void {
  const operands = [rowMajor(shape), stretched(condition, shape), stretched(x, shape), stretched(y, shape)];
  forEachRun(shape, operands, (n, [o, c, i, j], [, dc, dx, dy]) => choose(n, out, o, condition.data, c, dc, x.data, i, dx, y.data, j, dy));
}

// prettier-ignore
function choose(n: number, out: TypedArray, o: number, c: TypedArray, k: number, dc: number, x: TypedArray, i: number, dx: number, y: TypedArray, j: number, dy: number): void {
  for (; n > 0; n--, k += dc, i += dx, j += dy) out[o++] = c[k] !== 0 ? x[i] : y[j];
}

// prettier-ignore
const convert: UnaryLoop = (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = x[i]; };
// prettier-ignore
const narrow: UnaryLoop = (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = toBfloat16Bits(x[i]); };
// prettier-ignore
const widen: UnaryLoop = (n, out, o, x, i, dx) => { for (; n > 0; n--, i += dx) out[o++] = fromBfloat16Bits(x[i]); };

/** out = x in the element type of `out`; storing in an Int32Array truncates towards zero. */
export function cast(out: TypedArray, x: Strided): void {
  const fromBfloat16 = x.data instanceof Uint16Array;
  const toBfloat16 = out instanceof Uint16Array;
  eachUnary(fromBfloat16 === toBfloat16 ? convert : toBfloat16 ? narrow : widen, out, x);
}
