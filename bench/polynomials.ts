/**
 * Computes the coefficients of src/backend/wasm/kernels/math.ts and viaFloat64.ts. Least squares on 2,000 Chebyshev nodes in float64,
 * reweighted towards the least maximum of the weighted error (Lawson 1961), then rounded to float32 where that is what evaluates them. Prints
 * each polynomial and that error; then the digits of pi that sin and cos need.
 *
 * Usage: node --import=tsx bench/polynomials.ts
 */
import { erf, erfc } from "../src/backend/specialFunctions.ts";

interface Fit {
  readonly name: string;
  readonly of: (x: number) => number;
  readonly from: number;
  readonly to: number;
  readonly degree: number;
  /** Errors count by this much: what the polynomial's error does to the function's relative one. */
  readonly weight: (x: number) => number;
  /** Evaluated in float64: coefficients stay as they are. */
  readonly wide?: true;
}

/** A Taylor series where the quotient that defines the function would cancel. */
const near = (x: number, limit: number, series: readonly number[], quotient: () => number): number =>
  Math.abs(x) < limit ? series.reduceRight((sum, c) => sum * x + c, 0) : quotient();

const HALF_LN2 = (Math.LN2 / 2) * 1.01;
const QUARTER_PI = (Math.PI / 4) * 1.001;
/** x from t = (x - 3) / (x + 3). */
const unmap = (t: number): number => (3 * (1 + t)) / (1 - t);
const scaledErfc = (t: number): number => erfc(unmap(t)) * Math.exp(unmap(t) ** 2) * (1 + 2 * unmap(t));

const fits: readonly Fit[] = [
  {
    name: "EXP: (e^r - 1 - r) / r^2",
    of: (r) => near(r, 0.02, [1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320], () => (Math.expm1(r) - r) / (r * r)),
    from: -HALF_LN2,
    to: HALF_LN2,
    degree: 5,
    weight: (r) => Math.abs(r) + 1e-3,
  },
  {
    name: "LOG: (ln(1 + z) - z + z^2 / 2) / z^3",
    of: (z) =>
      near(z, 0.02, [1 / 3, -1 / 4, 1 / 5, -1 / 6, 1 / 7, -1 / 8, 1 / 9, -1 / 10], () => (Math.log1p(z) - z + (z * z) / 2) / z ** 3),
    from: Math.SQRT1_2 - 1,
    to: Math.SQRT2 - 1,
    degree: 8,
    weight: (z) => z * z + 1e-4,
  },
  {
    name: "TANH: (tanh(x) - x) / x^3 in x^2",
    of: (u) =>
      near(u, 0.004, [-1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925], () => (Math.tanh(Math.sqrt(u)) - Math.sqrt(u)) / u ** 1.5),
    from: 0,
    to: 0.625 ** 2,
    degree: 5,
    weight: (u) => u + 1e-4,
  },
  {
    name: "ERF: erf(x) / x in x^2",
    of: (u) => (u < 1e-14 ? 2 / Math.sqrt(Math.PI) : erf(Math.sqrt(u)) / Math.sqrt(u)),
    from: 0,
    to: 1,
    degree: 6,
    weight: () => 1,
  },
  {
    name: "SIN: (sin(r) - r) / r^3 in r^2",
    of: (u) => near(u, 0.01, [-1 / 6, 1 / 120, -1 / 5040, 1 / 362880], () => (Math.sin(Math.sqrt(u)) - Math.sqrt(u)) / u ** 1.5),
    from: 0,
    to: QUARTER_PI ** 2,
    degree: 3,
    weight: (u) => u + 1e-4,
    wide: true,
  },
  {
    name: "COS: (cos(r) - 1) / r^2 in r^2",
    of: (u) => near(u, 0.01, [-1 / 2, 1 / 24, -1 / 720, 1 / 40320], () => (Math.cos(Math.sqrt(u)) - 1) / u),
    from: 0,
    to: QUARTER_PI ** 2,
    degree: 3,
    weight: (u) => (u + 1e-4) / Math.cos(Math.sqrt(u)),
    wide: true,
  },
  {
    name: "LOG2: log2((1 + s) / (1 - s)) / s in s^2",
    of: (u) => (2 * Math.LOG2E * Math.atanh(Math.sqrt(u))) / Math.sqrt(u),
    from: 0,
    to: (Math.SQRT2 - 1) ** 4 * 1.001,
    degree: 5,
    weight: () => 1 / (2 * Math.LOG2E),
    wide: true,
  },
  {
    name: "EXP2: (2^f - 1) / f",
    of: (f) => Math.expm1(f * Math.LN2) / f,
    from: -0.5,
    to: 0.5,
    degree: 6,
    weight: (f) => Math.abs(f) + 1e-3,
    wide: true,
  },
  { name: "ERFC: e^(x^2) erfc(x) (1 + 2x) in t", of: scaledErfc, from: -1, to: 7.3 / 13.3, degree: 10, weight: (t) => 1 / scaledErfc(t) },
];

/** Coefficients of least squares, by Gram-Schmidt on the columns x^j: `rows` are weighted powers, the weighted value last. */
function leastSquares(rows: readonly (readonly number[])[]): number[] {
  const width = rows[0].length - 1;
  const columns = Array.from({ length: width + 1 }, (_, j) => rows.map((row) => row[j]));
  const shares = columns.map(() => new Array<number>(width).fill(0));
  for (let j = 0; j < width; j++) {
    const length = Math.hypot(...columns[j]);
    columns[j] = columns[j].map((x) => x / length);
    shares[j][j] = length;
    for (let later = j + 1; later <= width; later++) {
      const dot = columns[j].reduce((sum, x, i) => sum + x * columns[later][i], 0);
      columns[later] = columns[later].map((x, i) => x - dot * columns[j][i]);
      shares[later][j] = dot;
    }
  }
  const c = shares[width].slice();
  for (let j = width - 1; j >= 0; j--) {
    for (let later = j + 1; later < width; later++) c[j] -= shares[later][j] * c[later];
    c[j] /= shares[j][j];
  }
  return c;
}

const valueAt = (c: readonly number[], x: number): number => c.reduceRight((sum, coefficient) => sum * x + coefficient, 0);

function solve({ of, from, to, degree, weight }: Fit): { coefficients: number[]; error: number } {
  const nodes = Array.from({ length: 2000 }, (_, k) => (from + to) / 2 + ((to - from) / 2) * Math.cos((Math.PI * (k + 0.5)) / 2000));
  const values = nodes.map(of);
  let emphasis = nodes.map(() => 1);
  let best = { coefficients: [] as number[], error: Infinity };
  for (let round = 0; round < 40; round++) {
    const rows = nodes.map((x, i) =>
      [...Array.from({ length: degree + 1 }, (_, j) => x ** j), values[i]].map((v) => v * weight(x) * emphasis[i]),
    );
    const coefficients = leastSquares(rows);
    const errors = nodes.map((x, i) => Math.abs(valueAt(coefficients, x) - values[i]) * weight(x));
    const error = Math.max(...errors);
    if (error < best.error) best = { coefficients, error };
    emphasis = emphasis.map((e, i) => e * Math.sqrt(errors[i] / error + 1e-3));
  }
  return best;
}

for (const fit of fits) {
  const { coefficients, error } = solve(fit);
  const shortest = coefficients.map((c) => (fit.wide ? c : Number(Math.fround(c).toPrecision(9))));
  console.log(`${fit.name}, on [${fit.from}, ${fit.to}], error ${error.toExponential(1)}\n  [${shortest.join(", ")}]`);
}

/** arctan(1 / n) in units of 2^-bits, by its series. */
function arctanOfInverse(n: bigint, bits: bigint): bigint {
  let sum = 0n;
  for (let k = 0n, power = (1n << bits) / n; power > 0n; k++, power /= n * n) sum += (k % 2n === 0n ? power : -power) / (2n * k + 1n);
  return sum;
}

// Machin 1706: pi / 4 = 4 arctan(1/5) - arctan(1/239).
const BITS = 320n;
const pi = 4n * (4n * arctanOfInverse(5n, BITS) - arctanOfInverse(239n, BITS));
const high = (pi / 2n) >> (BITS - 32n);
const low = pi / 2n - (high << (BITS - 32n));
console.log(`pi / 2: first 33 bits ${Number(high) / 2 ** 32}, rest ${Number(low >> (BITS - 128n)) / 2 ** 128}`);

const twoOverPi = (2n << (2n * BITS)) / pi;
const pieces = Array.from({ length: 8 }, (_, k) => (twoOverPi >> (BITS - 24n * BigInt(k + 1))) & 0xffffffn);
console.log(`2 / pi, 24 bits at a time: ${pieces.map((piece) => `0x${piece.toString(16)}`).join(", ")}`);
