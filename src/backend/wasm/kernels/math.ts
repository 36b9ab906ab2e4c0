/**
 * Functions of four numbers at once.
 *
 * Each is an argument reduction, a polynomial, and the way back. The polynomials are our own: bench/polynomials.ts prints them, by least
 * squares reweighted towards the least maximum of the relative error; that error stands beside each. What a function misses altogether, in
 * units of the last place (ulp) of a float32, is in ERROR_ULP and is tested against float64.
 */
import { f32x4, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body, Local } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";

/** The function body that instructions are written to, and how to multiply and add. */
export interface Emitter {
  readonly f: Body;
  readonly madd: Arithmetic["madd"];
}

/** A function of four numbers, and one of two times four. */
export type Unary = (s: Emitter, x: V128) => V128;
export type Binary = (s: Emitter, x: V128, y: V128) => V128;

/**
 * Greatest error of each function over all float32, in ulp, rounded up from what was seen; below 2^-126 an ulp is 2^-149.
 * Correct rounding would be 0.5.
 */
// prettier-ignore
export const ERROR_ULP = {
  exp: 1, expm1: 1.5, log: 2, log1p: 2, tanh: 1.5, sigmoid: 3, softplus: 2, erf: 3, erfc: 4, normalCdf: 5, rsqrt: 1.5,
  sin: 0.502, cos: 0.502, pow: 0.502,
} as const;

const { add, sub, mul, div } = f32x4;

/** c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule. */
export function polynomial({ madd }: Emitter, x: V128, c: readonly number[]): V128 {
  return c.slice(0, -1).reduceRight<V128>((sum, coefficient) => madd(sum, x, f32x4.const(coefficient)), f32x4.const(c[c.length - 1]));
}

// ln 2 in two parts: the first has 9 significant bits, so that its product with an exponent is exact. Cody and Waite 1980.
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;

/** (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2 [2.6e-10]. */
const EXP = [0.5, 0.166666672, 0.0416663438, 0.00833327323, 0.00139420433, 0.000199141243];

/** 1.5 * 2^23: what is added to it is rounded to a whole number, whose bits are then the lowest of the sum. */
const ROUNDER = 12582912;
const ROUNDER_BITS = 0x4b400000;

/** x = n ln 2 + r, with n whole (here int32) and |r| <= ln(2) / 2, or a little more; `low` is added to x where x alone is too coarse. */
function reduceByLn2(s: Emitter, x: Local<"v128">, low?: V128): { n: V128; r: Local<"v128"> } {
  const rounded = s.f.let(s.madd(x, f32x4.const(Math.LOG2E), f32x4.const(ROUNDER)));
  const n = s.f.let(sub(rounded, ROUNDER));
  const high = s.madd(n, f32x4.const(-LN2_HIGH), x);
  return { n: i32x4.sub(rounded, ROUNDER_BITS), r: s.f.let(s.madd(n, f32x4.const(-LN2_LOW), low ? add(high, low) : high)) };
}

/** 2^k for whole k in -126..127, from its bits. */
const powerOf2 = (k: V128): V128 => i32x4.shl(i32x4.add(k, 127), 23);

/** p 2^n for n beyond the exponents of float32, in two steps. */
function scaled({ f }: Emitter, p: V128, n: V128): V128 {
  const k = f.let(n);
  const half = f.let(i32x4.shr(k, 1));
  return mul(mul(p, powerOf2(half)), powerOf2(i32x4.sub(k, half)));
}

const clampExponent = (x: V128): V128 => f32x4.pmin(f32x4.pmax(x, f32x4.const(-104)), f32x4.const(89));

export function exp(s: Emitter, value: V128, low?: V128): V128 {
  const x = s.f.let(clampExponent(value));
  const { n, r } = reduceByLn2(s, x, low);
  const p = add(s.madd(mul(r, r), polynomial(s, r, EXP), r), 1);
  return scaled(s, p, n);
}

/** e^x for x <= 0, in fewer steps: what is below 2^-126 is 0. For softmax. */
export function expOfNegative(s: Emitter, value: V128): V128 {
  const given = s.f.let(value);
  const x = s.f.let(f32x4.pmax(given, f32x4.const(-87.25)));
  const { n, r } = reduceByLn2(s, x);
  const p = add(s.madd(mul(r, r), polynomial(s, r, EXP), r), 1);
  // Not below, rather than above: NaN stays.
  return v128.andnot(mul(p, powerOf2(n)), f32x4.lt(given, -87.25));
}

/** e^x - 1 = 2^n (e^r - 1) + (2^n - 1); computed with half of 2^n, because 2^128 would overflow where the result does not. */
export function expm1(s: Emitter, value: V128): V128 {
  const x = s.f.let(f32x4.pmax(clampExponent(value), f32x4.const(-30)));
  const { n, r } = reduceByLn2(s, x);
  const p = s.f.let(s.madd(mul(r, r), polynomial(s, r, EXP), r));
  const half = s.f.let(powerOf2(i32x4.sub(n, 1)));
  const sum = s.f.let(s.madd(half, p, sub(half, 0.5)));
  // Adding a signed zero's own value keeps its sign, and tiny x are their own result.
  return v128.select(f32x4.lt(f32x4.abs(x), 1e-12), x, add(sum, sum));
}

/** (ln(1 + z) - z + z^2 / 2) / z^3 for sqrt(1/2) <= 1 + z <= sqrt(2) [7e-10]. */
const LOG = [0.333333105, -0.249999866, 0.200022191, -0.166692391, 0.142187685, -0.123845965, 0.118724972, -0.117882758, 0.0691454187];
const SQRT_HALF_BITS = 0x3f3504f3;
const SMALLEST_NORMAL = 2 ** -126;

export function log(s: Emitter, value: V128): V128 {
  const { f } = s;
  const given = f.let(value);
  const tiny = f.let(f32x4.lt(given, SMALLEST_NORMAL));
  const x = f.let(v128.select(tiny, mul(given, 2 ** 23), given));
  const exponent = f.let(i32x4.shr(i32x4.sub(x, SQRT_HALF_BITS), 23));
  const z = f.let(sub(i32x4.sub(x, i32x4.shl(exponent, 23)), 1));
  const e = f.let(f32x4.fromI32x4(i32x4.add(exponent, v128.and(tiny, i32x4.const(-23)))));
  const z2 = f.let(mul(z, z));
  const tail = s.madd(z2, f32x4.const(-0.5), s.madd(mul(z2, z), polynomial(s, z, LOG), mul(e, LN2_LOW)));
  const result = f.let(add(s.madd(e, f32x4.const(LN2_HIGH), z), tail));
  // inf and NaN are their own logarithm; below 0 there is none; of 0 it is -inf.
  const finite = f.let(v128.select(f32x4.lt(given, Infinity), result, given));
  const nonNegative = f.let(v128.select(f32x4.lt(given, 0), f32x4.const(NaN), finite));
  return v128.select(f32x4.eq(given, 0), f32x4.const(-Infinity), nonNegative);
}

/** ln(1 + x), where 1 + x = u misses c = x - (u - 1): ln(u) + c / u. */
export function log1p(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const u = f.let(add(x, 1));
  const correction = div(sub(x, sub(u, 1)), u);
  const result = f.let(add(log(s, u), correction));
  // 0 keeps its sign; at -1 and beyond the correction is no number.
  const ordinary = v128.and(f32x4.gt(x, -1), f32x4.lt(x, Infinity));
  const kept = f.let(v128.select(ordinary, result, log(s, u)));
  return v128.select(f32x4.eq(x, 0), x, kept);
}

/** (tanh(x) - x) / x^3 in x^2, for |x| < 0.625 [1.5e-10]. */
const TANH = [-0.333333313, 0.133332103, -0.0539472289, 0.0217030849, -0.0081829289, 0.00214774674];
export const SIGN = i32x4.const(-0x80000000);

/** A polynomial near 0, else 1 - 2 / (e^(2|x|) + 1), with the sign of x. */
export function tanh(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const size = f.let(f32x4.abs(x));
  const x2 = f.let(mul(x, x));
  const near = f.let(s.madd(mul(x2, x), polynomial(s, x2, TANH), x));
  const far = f.let(sub(1, div(2, add(exp(s, add(size, size)), 1))));
  return v128.select(f32x4.lt(size, 0.625), near, v128.select(SIGN, x, far));
}

/** 1 / (1 + e^-|x|), or e^-|x| times that where x is negative. */
export function sigmoid(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const e = f.let(exp(s, f32x4.neg(f32x4.abs(x))));
  const positive = f.let(div(1, add(e, 1)));
  return v128.select(f32x4.lt(x, 0), mul(e, positive), positive);
}

/** max(x, 0) + ln(1 + e^-|x|). */
export function softplus(s: Emitter, value: V128): V128 {
  const x = s.f.let(value);
  return add(f32x4.pmax(x, f32x4.const(0)), log1p(s, exp(s, f32x4.neg(f32x4.abs(x)))));
}

/** erf(x) / x in x^2, for |x| <= 1 [1.2e-9]. */
const ERF = [1.12837911, -0.37612626, 0.112836003, -0.0268544443, 0.00518953521, -0.000802083989, 0.0000788911493];
/** e^(x^2) erfc(x) (1 + 2x) in t = (x - 3) / (x + 3), for 0 <= x <= 10.3 [2e-9]. */
const ERFC = [
  1.25300801, -0.135621145, -0.0475624204, 0.12964645, -0.119270615, 0.068295747, -0.0237995386, 0.00256571965, 0.00200484553,
  -0.000772681669, -0.000266237272,
];
const HIGH_BITS = i32x4.const(-4096);

/** erfc(z) for z >= 0, where x^2 = z^2 factor: x is split so that the square is exact in two parts. */
function upperTail(s: Emitter, z: V128, size: V128, factor: number): V128 {
  const { f } = s;
  const x = f.let(size);
  const bounded = f.let(f32x4.pmin(z, f32x4.const(10.3)));
  const t = f.let(div(sub(bounded, 3), add(bounded, 3)));
  const high = f.let(v128.and(x, HIGH_BITS));
  const low = mul(mul(sub(x, high), add(x, high)), -factor);
  const decay = exp(s, mul(mul(high, high), -factor), low);
  return div(mul(polynomial(s, t, ERFC), decay), s.madd(bounded, f32x4.const(2), f32x4.const(1)));
}

export function erfc(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const size = f.let(f32x4.abs(x));
  const bounded = f.let(f32x4.pmin(size, f32x4.const(10.3)));
  const tail = f.let(upperTail(s, bounded, bounded, 1));
  const far = f.let(v128.select(f32x4.lt(x, 0), sub(2, tail), tail));
  const near = sub(1, erfNear(s, x));
  return v128.select(f32x4.lt(size, 0.5), near, far);
}

function erfNear(s: Emitter, x: V128): V128 {
  const x2 = s.f.let(mul(x, x));
  return mul(x, polynomial(s, x2, ERF));
}

export function erf(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const size = f.let(f32x4.abs(x));
  const bounded = f.let(f32x4.pmin(size, f32x4.const(10.3)));
  const far = f.let(sub(1, upperTail(s, bounded, bounded, 1)));
  return v128.select(f32x4.lt(size, 1), erfNear(s, x), v128.select(SIGN, x, far));
}

/** The normal distribution function, erfc(-x / sqrt 2) / 2. */
export function normalCdf(s: Emitter, value: V128): V128 {
  const { f } = s;
  const x = f.let(value);
  const size = f.let(f32x4.pmin(f32x4.abs(x), f32x4.const(14.5)));
  const z = f.let(mul(size, Math.SQRT1_2));
  const tail = f.let(mul(upperTail(s, z, size, 0.5), 0.5));
  const far = f.let(v128.select(f32x4.lt(x, 0), tail, sub(1, tail)));
  const near = add(mul(erfNear(s, f.let(mul(x, Math.SQRT1_2))), 0.5), 0.5);
  return v128.select(f32x4.lt(f32x4.abs(x), 0.5), near, far);
}

/** The normal density, e^(-x^2 / 2) / sqrt(2 pi); its error grows with x^2, as its share in a derivative falls. */
export function normalDensity(s: Emitter, x: V128): V128 {
  return mul(exp(s, mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
}

/** -1, 0 or 1; NaN and signed zeros are kept. */
export function sign(s: Emitter, value: V128): V128 {
  const x = s.f.let(value);
  const one = v128.or(v128.and(x, SIGN), f32x4.const(1));
  return v128.select(v128.or(f32x4.lt(x, 0), f32x4.gt(x, 0)), one, x);
}
