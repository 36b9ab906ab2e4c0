/**
 * The scalar functions as statements of gpu.js's dialect: they read x (and y) and return. A device whose Math is the host's
 * uses it; on the others exp, log and sqrt are the shader language's, and what those get wrong is built here.
 */
import type { BinaryOp, UnaryOp } from "../../backend.ts";

/** False for NaN alone. Why so: shader compilers fold x !== x to false. */
export function isNumber(x: string): string {
  return `(${x} < 1.0 || ${x} >= 1.0)`;
}

/** A polynomial in `t`, the constant coefficient first. */
export function polynomial(t: string, coefficients: readonly number[]): string {
  const [first, ...rest] = coefficients;
  return rest.length === 0 ? literal(first) : `(${literal(first)} + ${t} * ${polynomial(t, rest)})`;
}

/** A float literal; gpu.js takes "1" for an integer. */
export function literal(x: number): string {
  const text = String(x);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

const twoOverRootPi = 2 / Math.sqrt(Math.PI);

/** Maclaurin coefficients of erf(x) / x in x^2; Abramowitz and Stegun 7.1.5. */
function erfCoefficients(): number[] {
  const found: number[] = [];
  for (let n = 0, factorial = 1; n < 9; n++, factorial *= n) found.push(((-1) ** n * twoOverRootPi) / (factorial * (2 * n + 1)));
  return found;
}

const erfcCoefficients = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
];

/**
 * Declares `name` = erfc(`z` / sqrt(`divisor`)) for z >= 0, relative error about 1.2e-7; Press et al., Numerical Recipes, section 6.2.
 * Why head: z^2 is not rounded but split into an exact square and a small rest, else far tails lose their digits.
 */
function erfcOf(name: string, z: string, divisor: 1 | 2): string {
  const t = `1.0 / (1.0 + ${literal(0.5 / Math.sqrt(divisor))} * ${z})`;
  const [square, rest] = ["-head * head", `(head - ${z}) * (head + ${z})`].map((power) => (divisor === 1 ? power : `0.5 * (${power})`));
  return `const t = ${t}; const head = Math.floor(${z} * 16.0) * 0.0625;
  const ${name} = t * Math.exp(${square}) * Math.exp(${rest} + ${polynomial("t", erfcCoefficients)});`;
}

const nearZero = `${polynomial("(x * x)", erfCoefficients())} * x`;

const erf = `if (Math.abs(x) < 0.75) { return ${nearZero}; }
  const z = Math.min(Math.abs(x), 30.0); ${erfcOf("tail", "z", 1)} return x > 0.0 ? 1.0 - tail : (x < 0.0 ? tail - 1.0 : x);`;
const erfc = `if (Math.abs(x) < 0.25) { return 1.0 - ${nearZero}; }
  const z = Math.min(Math.abs(x), 30.0); ${erfcOf("tail", "z", 1)} return x > 0.0 ? tail : (x < 0.0 ? 2.0 - tail : x);`;

/** Declares `cdf`, the standard normal distribution at `x`: erfc(-x / sqrt(2)) / 2. */
export const normalCdfStatements = `const size = Math.min(Math.abs(x), 40.0); ${erfcOf("tail", "size", 2)}
  const cdf = x < 0.0 ? 0.5 * tail : (x >= 0.0 ? 1.0 - 0.5 * tail : x);`;

const largestFloat = "3.4028234663852886e38";

const common: Record<UnaryOp, string> = {
  neg: "return -x;",
  abs: "return Math.abs(x);",
  sign: "return x > 0.0 ? 1.0 : (x < 0.0 ? -1.0 : x);",
  floor: "return Math.floor(x);",
  ceil: "return Math.ceil(x);",
  round: `const down = Math.floor(x); const part = x - down;
  if (part < 0.5 || (part === 0.5 && down - 2.0 * Math.floor(down * 0.5) === 0.0)) { return down; }
  return Math.abs(x) < 8388608.0 ? down + 1.0 : x;`,
  trunc: "return x < 0.0 ? Math.ceil(x) : Math.floor(x);",
  exp: "return Math.exp(x);",
  expm1: "return Math.expm1(x);",
  log: "return Math.log(x);",
  log1p: "return Math.log1p(x);",
  sqrt: "return Math.sqrt(x);",
  rsqrt: "return 1.0 / Math.sqrt(x);",
  reciprocal: "return 1.0 / x;",
  square: "return x * x;",
  sin: "return Math.sin(x);",
  cos: "return Math.cos(x);",
  tanh: "return Math.tanh(x);",
  sigmoid: "return 1.0 / (1.0 + Math.exp(-x));",
  softplus: "return (x < 0.0 ? 0.0 : x) + Math.log1p(Math.exp(-Math.abs(x)));",
  relu: "return x < 0.0 ? 0.0 : x;",
  erf,
  erfc,
  normalCdf: `${normalCdfStatements} return cdf;`,
  isFinite: `return Math.abs(x) <= ${largestFloat} ? 1.0 : 0.0;`,
};

/** Declares `name` = e^`x` - 1: its Taylor series where the difference would cancel. */
function expm1Of(name: string, x: string): string {
  const series = Array.from({ length: 9 }, (_, n) => 1 / factorial(n + 1));
  return `let ${name} = Math.exp(${x}) - 1.0; if (Math.abs(${x}) < 0.5) { ${name} = ${x} * ${polynomial(x, series)}; }`;
}

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1);
}

/** Declares `name` = log(1 + `x`): near 0 by 2 artanh(x / (2 + x)), whose series converges at once. */
function log1pOf(name: string, x: string, whole: string): string {
  const series = Array.from({ length: 7 }, (_, n) => 2 / (2 * n + 1));
  return `let ${name} = Math.log(${whole}); const s = ${x} / (2.0 + ${x});
  if (${x} > -0.4 && ${x} < 0.6) { ${name} = s * ${polynomial("(s * s)", series)}; }`;
}

/**
 * Sine of x, or of x + pi / 2: reduced by multiples of pi / 2 that are subtracted in three exact parts, then the minimax
 * polynomials of Cephes, sinf.c (S. Moshier).
 */
function sineOf(quarter: 0 | 1): string {
  const sine = polynomial("w", [1, -1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4]);
  const cosine = polynomial("w", [1, -0.5, 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5]);
  return `const q = Math.floor(x * ${2 / Math.PI} + 0.5);
  const r = ((x - q * 1.5703125) - q * 4.837512969970703e-4) - q * 7.549789948768648e-8; const w = r * r;
  const turn = q + ${quarter}.0; const place = turn - 4.0 * Math.floor(turn * 0.25);
  const value = (place === 1.0 || place === 3.0) ? ${cosine} : r * ${sine};
  return place >= 2.0 ? -value : value;`;
}

const passNaN = `if (!${isNumber("x")}) { return x; }`;

/** What the shader languages' own functions get wrong. Measured: docs/gpu.md. */
const shaderUnary: Partial<Record<UnaryOp, string>> = {
  exp: `${passNaN} return Math.exp(x);`,
  expm1: `${passNaN} ${expm1Of("r", "x")} return r;`,
  // The root of a negative number is NaN, as its logarithm should be; -1 / 0 is -Infinity, as the logarithm of 0 should be.
  log: `if (!(x > 0.0)) { return x === 0.0 ? -1.0 / Math.abs(x) : Math.sqrt(x); } const u = x - 1.0; ${log1pOf("r", "u", "x")} return r;`,
  log1p: `const u = 1.0 + x; if (!(u > 0.0)) { return u === 0.0 ? -1.0 / Math.abs(u) : Math.sqrt(u); } ${log1pOf("r", "x", "u")} return r;`,
  sigmoid: `${passNaN} return 1.0 / (1.0 + Math.exp(-x));`,
  // tanh |x| = (1 - e^(-2|x|)) / (1 + e^(-2|x|)): the argument of exp is never positive, nothing overflows.
  tanh: `const u = -2.0 * Math.abs(x); ${expm1Of("m", "u")} const r = m / (2.0 + m); return x > 0.0 ? -r : r;`,
  softplus: `const u = Math.exp(-Math.abs(x)); const v = 1.0 + u; ${log1pOf("r", "u", "v")} return (x < 0.0 ? 0.0 : x) + r;`,
  sin: sineOf(0),
  cos: sineOf(1),
};

export function unaryStatements(op: UnaryOp, hostMath: boolean): string {
  return hostMath ? common[op] : (shaderUnary[op] ?? common[op]);
}

/** Declares q = floor(x / y) and r = x - q y, made to agree: r has the sign of y and is smaller. */
const floorDivision = `let q = Math.floor(x / y); let r = x - q * y;
  if ((y > 0.0 && r < 0.0) || (y < 0.0 && r > 0.0)) { q = q - 1.0; r = r + y; }
  if ((y > 0.0 && r >= y) || (y < 0.0 && r <= y)) { q = q + 1.0; r = r - y; }`;

const binaries: Record<BinaryOp, string> = {
  add: "return x + y;",
  sub: "return x - y;",
  mul: "return x * y;",
  div: "return x / y;",
  pow: "return Math.pow(x, y);",
  maximum: `return (x > y || !${isNumber("x")}) ? x : y;`,
  minimum: `return (x < y || !${isNumber("x")}) ? x : y;`,
  floorDiv: `${floorDivision} return q;`,
  mod: `${floorDivision} return r;`,
  equal: "return x === y ? 1.0 : 0.0;",
  notEqual: "return x === y ? 0.0 : 1.0;",
  less: "return x < y ? 1.0 : 0.0;",
  lessEqual: "return x <= y ? 1.0 : 0.0;",
  greater: "return x > y ? 1.0 : 0.0;",
  greaterEqual: "return x >= y ? 1.0 : 0.0;",
};

// Why: shader languages leave the power of a negative base undefined.
const shaderPow = `if (y === 0.0) { return 1.0; }
  if (y === 2.0) { return x * x; }
  const size = Math.pow(Math.abs(x), y);
  if (x >= 0.0) { return size; }
  const half = y * 0.5; const odd = Math.floor(y) === y && Math.floor(half) !== half;
  return odd ? -size : (Math.floor(y) === y ? size : Math.sqrt(x));`;

export function binaryStatements(op: BinaryOp, integers: boolean, hostMath: boolean): string {
  if (integers && (op === "floorDiv" || op === "mod")) return `if (y === 0.0) { return 0.0; } ${binaries[op]}`;
  return op === "pow" && !hostMath ? shaderPow : binaries[op];
}

// Halving and doubling steps that sort a size into [128, 256), as one searches a number of steps bit by bit.
const steps = [64, 32, 16, 8, 4, 2, 1];

/**
 * x rounded to bfloat16, to nearest with ties to even, in float32 arithmetic alone. The size is scaled to [128, 256) by exact powers of
 * two, where 8 significant bits are the whole numbers. Below 2^-126 the spacing stays 2^-133. NaN and infinities pass.
 * Why two scales: their product may be too small for a device that flushes small numbers to zero.
 */
export const roundToBfloat16 = `const size = Math.abs(x);
  if (!(size <= ${largestFloat}) || size === 0.0) { return x; }
  let u = size; let scale = 1.0; let fine = 1.0;
  ${steps.map((p) => `if (u >= ${literal(2 ** (7 + p))}) { u = u * ${literal(2 ** -p)}; scale = scale * ${literal(2 ** p)}; }`).join("\n  ")}
  ${enlarge("scale", 64)}
  ${[...steps.slice(1), 4, 2].map((p) => enlarge("fine", p)).join("\n  ")}
  if (fine > ${literal(2 ** -68.5)}) { ${enlarge("fine", 1)} }
  const down = Math.floor(u); const part = u - down;
  const up = (part > 0.5 || (part === 0.5 && down - 2.0 * Math.floor(down * 0.5) !== 0.0)) ? down + 1.0 : down;
  const value = (up * scale) * fine;
  return x < 0.0 ? -value : value;`;

function enlarge(scale: string, p: number): string {
  return `if (u < ${literal(2 ** (8 - p))}) { u = u * ${literal(2 ** p)}; ${scale} = ${scale} * ${literal(2 ** -p)}; }`;
}
