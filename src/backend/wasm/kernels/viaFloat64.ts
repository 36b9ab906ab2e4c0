/**
 * Functions of four float32 that are computed as two times two float64: sin, cos and pow, whose arguments need more digits than a float32
 * has, and the remainder, which is exact that way. The result is rounded once, so all but one in some thousand are the float32 nearest to
 * the true value; and they are the same on every engine, because nothing here is relaxed.
 */
import { f32x4, f64x2, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body, Local } from "../assembler.ts";
import { SIGN } from "./math.ts";
import type { Emitter } from "./math.ts";

const { add, sub, mul, div, nearest } = f64x2;

/** Lanes 0, 1 and lanes 2, 3 of an f32x4, widened. */
function halves(f: Body, x: V128): readonly [Local<"v128">, Local<"v128">] {
  const all = f.let(x);
  return [f.let(f64x2.fromLowF32x4(all)), f.let(f64x2.fromLowF32x4(v128.shuffle(all, all, [2, 3, 2, 3])))];
}

/** A mask of four lanes as two masks of two wide lanes. */
function wideMasks(f: Body, mask: V128): readonly [Local<"v128">, Local<"v128">] {
  const all = f.let(mask);
  return [f.let(v128.shuffle(all, all, [0, 0, 1, 1])), f.let(v128.shuffle(all, all, [2, 2, 3, 3]))];
}

/** The low lanes of each, as four. */
const joined = (low: V128, high: V128): V128 => v128.shuffle(low, high, [0, 1, 4, 5]);
const rounded = (low: V128, high: V128): V128 => joined(f32x4.fromF64x2(low), f32x4.fromF64x2(high));

/** c[0] + c[1] x + c[2] x^2 + ... in float64. */
function polynomial(x: V128, c: readonly number[]): V128 {
  return c.slice(0, -1).reduceRight<V128>((sum, coefficient) => add(mul(sum, x), coefficient), f64x2.const(c[c.length - 1]));
}

// Sine and cosine

/** (sin(r) - r) / r^3 and (cos(r) - 1) / r^2 in r^2, for |r| <= pi / 4 [4.9e-12, 6.4e-11]. */
const SIN = [-0.16666666641448663, 0.008333329364125607, -0.00019839327602229567, 0.0000027182409363715873];
const COS = [-0.4999999969220638, 0.04166662009282779, -0.0013886673157649024, 0.000024382759867155747];

// pi / 2 in two parts: the first has 33 bits, so that up to 2^20 quarter turns of it are exact. Cody and Waite 1980.
const QUARTER_HIGH = 1.5707963267341256;
const QUARTER_LOW = 6.077100506506192e-11;
const FAR = 2 ** 20;

/** 2 / pi, 24 bits at a time: as many as an angle in float32 needs. Payne and Hanek 1983. */
const TWO_OVER_PI = [0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd, 0xc0db62, 0x95993c, 0x439041];

/** An angle: n quarter turns and r radians, |r| <= pi / 4. Its quarter turns and r are set anew where it is far. */
interface Angle {
  readonly n: Local<"v128">;
  readonly r: Local<"v128">;
}

function nearAngle(f: Body, x: V128): Angle {
  const n = f.let(nearest(mul(x, 2 / Math.PI)));
  return { n, r: f.let(sub(sub(x, mul(n, QUARTER_HIGH)), mul(n, QUARTER_LOW))) };
}

/** Adding and subtracting this leaves a multiple of 2^-48 of what is below 8. */
const GRAIN = 1.5 * 2 ** 4;

/**
 * The angle of any float32. x times 24 bits of 1 / (2 pi) is exact in float64, and so is what remains of it without its whole turns. Those
 * remainders are added exactly down to 2^-48, the rest beside them. That is enough: of all float32, 16367173 * 2^72 is nearest to a quarter
 * turn, and 1.6e-9 away.
 */
function farAngle(f: Body, x: V128): Angle {
  const [high, low] = [f.let(f64x2.const(0)), f.let(f64x2.const(0))];
  for (const [k, piece] of TWO_OVER_PI.entries()) {
    const turns = f.let(mul(x, (piece / 4) * 2 ** (-24 * (k + 1))));
    const part = f.let(sub(turns, nearest(turns)));
    const coarse = f.let(sub(add(part, GRAIN), GRAIN));
    f.set(high, add(high, coarse));
    f.set(low, add(low, sub(part, coarse)));
  }
  const quarters = f.let(mul(high, 4));
  const n = f.let(nearest(quarters));
  return { n, r: f.let(mul(add(sub(quarters, n), mul(low, 4)), Math.PI / 2)) };
}

function sinOf(f: Body, r: V128, r2: V128): V128 {
  return add(r, mul(mul(r, r2), polynomial(f.let(r2), SIN)));
}

/** The sine of x and `quarter` quarter turns more. */
function sinFrom(f: Body, x: Local<"v128">, quarter: 0 | 1): V128 {
  const wide = halves(f, x);
  const angles = wide.map((half) => nearAngle(f, half));
  const far = f.let(f32x4.ge(f32x4.abs(x), FAR));
  f.if(v128.anyTrue(far), () => {
    for (const [k, mask] of wideMasks(f, far).entries()) {
      const exact = farAngle(f, wide[k]);
      f.set(angles[k].n, v128.select(mask, exact.n, angles[k].n));
      f.set(angles[k].r, v128.select(mask, exact.r, angles[k].r));
    }
  });
  const squares = angles.map(({ r }) => f.let(mul(r, r)));
  const [s0, s1] = angles.map(({ r }, k) => f.let(sinOf(f, r, squares[k])));
  const [c0, c1] = squares.map((r2) => f.let(add(mul(r2, polynomial(r2, COS)), 1)));
  const [n0, n1] = angles.map(({ n }) => i32x4.truncF64x2(n));
  const turn = f.let(i32x4.add(joined(n0, n1), quarter));
  const odd = i32x4.shr(i32x4.shl(turn, 31), 31);
  return v128.xor(v128.select(odd, rounded(c0, c1), rounded(s0, s1)), i32x4.shl(v128.and(turn, i32x4.const(2)), 30));
}

/** 0 keeps its sign. */
export function sin({ f }: Emitter, value: V128): V128 {
  const x = f.let(value);
  const result = f.let(sinFrom(f, x, 0));
  return v128.select(f32x4.eq(x, 0), x, result);
}

export function cos({ f }: Emitter, value: V128): V128 {
  return sinFrom(f, f.let(value), 1);
}

// Powers

/** log2((1 + s) / (1 - s)) / s in s^2, for sqrt(1/2) <= (1 + s) / (1 - s) <= sqrt(2) [2.7e-14]. */
const LOG2 = [2.885390081777849, 0.9617966941148717, 0.577077941911968, 0.4122092990867309, 0.31990374332050536, 0.2829286203812286];
/** (2^t - 1) / t for |t| <= 1 / 2 [4.7e-11]. */
const EXP2 = [
  0.693147180541722, 0.24022651075299684, 0.0555041096241373, 0.009618036975686783, 0.001333343089103411, 0.00015467092784608486,
  0.000015314926118976205,
];

/** The upper half of the bits of sqrt(1/2) as a float64, and the mask of the lanes in which upper halves lie. */
const SQRT_HALF_BITS = 0x3fe6a09e;
const UPPER = i32x4.lanes(0, -1, 0, -1);

/** The binary logarithm of two float64 that are above 0 and finite. */
function log2(f: Body, x: Local<"v128">): V128 {
  const exponent = f.let(v128.and(i32x4.shr(i32x4.sub(x, SQRT_HALF_BITS), 20), UPPER));
  const m = f.let(i32x4.sub(x, i32x4.shl(exponent, 20)));
  const s = f.let(div(sub(m, 1), add(m, 1)));
  const e = f64x2.fromLowI32x4(v128.shuffle(exponent, exponent, [1, 3, 1, 3]));
  return add(e, mul(s, polynomial(f.let(mul(s, s)), LOG2)));
}

/** 2^t; beyond the exponents of float32, something that is beyond them too. */
function exp2(f: Body, t: V128): V128 {
  const bounded = f.let(f64x2.pmin(f64x2.pmax(t, f64x2.const(-200)), f64x2.const(200)));
  const n = f.let(nearest(bounded));
  const rest = f.let(sub(bounded, n));
  const exponent = f.let(i32x4.shl(i32x4.add(i32x4.truncF64x2(n), 1023), 20));
  const power = v128.shuffle(f32x4.const(0), exponent, [0, 4, 0, 5]);
  return mul(add(mul(rest, polynomial(rest, EXP2)), 1), power);
}

/** x^y as JavaScript has it: IEEE 754's pow, but 1 and -1 to the power of an infinity, and 1 to that of NaN, are NaN. */
export function pow({ f }: Emitter, value: V128, exponent: V128): V128 {
  const [x, y] = [f.let(value), f.let(exponent)];
  const size = f.let(f32x4.abs(x));
  const [xs, ys] = [halves(f, size), halves(f, y)];
  const [low, high] = xs.map((half, k) => f.let(exp2(f, mul(ys[k], log2(f, half)))));
  const ordinary = rounded(low, high);
  // 0 and infinity are what they become, or become each other.
  const extreme = f.let(v128.or(f32x4.eq(size, 0), f32x4.eq(size, Infinity)));
  const magnitude = v128.select(extreme, v128.select(f32x4.lt(y, 0), f32x4.div(1, size), size), ordinary);
  const whole = f.let(f32x4.eq(y, f32x4.trunc(y)));
  const half = f.let(f32x4.mul(y, 0.5));
  const odd = v128.and(whole, f32x4.ne(half, f32x4.trunc(half)));
  const signed = f.let(v128.xor(magnitude, v128.and(v128.and(x, SIGN), odd)));
  const unknown = v128.or(f32x4.ne(x, x), f32x4.ne(y, y));
  const imaginary = v128.andnot(v128.andnot(f32x4.lt(x, 0), whole), extreme);
  const wild = v128.or(v128.or(unknown, imaginary), v128.and(f32x4.eq(size, 1), f32x4.eq(f32x4.abs(y), Infinity)));
  return v128.select(f32x4.eq(y, 0), f32x4.const(1), v128.select(wild, f32x4.const(NaN), signed));
}

// Remainders

/** The leading 28 bits of a float64: times a float32, it is exact. */
const LEADING = i32x4.lanes(-0x2000000, -1, -0x2000000, -1);

/** x less a whole multiple of y, of less than |y|. Exact; where y is 0 or x infinite, NaN. */
function remainder(f: Body, x: Local<"v128">, y: Local<"v128">): Local<"v128"> {
  const r = f.let(x);
  const size = f.let(f64x2.abs(y));
  const above = f.let(f64x2.ge(f64x2.abs(r), size));
  f.while(v128.anyTrue(above), () => {
    const times = f64x2.trunc(v128.and(div(r, y), LEADING));
    f.set(r, v128.select(above, sub(r, mul(times, y)), r));
    f.set(above, f64x2.ge(f64x2.abs(r), size));
  });
  return r;
}

/** All ones where r is not 0 and has another sign than y: there the multiple must be one less. */
const crosses = (r: V128, y: V128): V128 => v128.and(f64x2.ne(r, 0), v128.xor(f64x2.lt(r, 0), f64x2.lt(y, 0)));

/** The remainder with the sign of y; 0 has the sign of x. */
export function mod({ f }: Emitter, value: V128, divisor: V128): V128 {
  const [x, y] = [f.let(value), f.let(divisor)];
  const [xs, ys] = [halves(f, x), halves(f, y)];
  const [low, high] = xs.map((half, k) => {
    const r = remainder(f, half, ys[k]);
    return f.let(v128.select(crosses(r, ys[k]), add(r, ys[k]), r));
  });
  const result = f.let(rounded(low, high));
  const zero = v128.select(f32x4.eq(result, 0), v128.and(x, SIGN), result);
  return v128.select(f32x4.ne(y, y), y, zero);
}

/** How often y goes into x, rounded down; it agrees with `mod` where x / y rounds up to a whole number. */
export function floorDiv({ f }: Emitter, value: V128, divisor: V128): V128 {
  const [x, y] = [f.let(value), f.let(divisor)];
  const [xs, ys] = [halves(f, x), halves(f, y)];
  const [low, high] = xs.map((half, k) => {
    const r = remainder(f, half, ys[k]);
    const times = f.let(nearest(div(sub(half, r), ys[k])));
    return f.let(sub(times, v128.and(crosses(r, ys[k]), f64x2.const(1))));
  });
  return v128.select(f32x4.eq(y, 0), f32x4.div(x, y), rounded(low, high));
}
