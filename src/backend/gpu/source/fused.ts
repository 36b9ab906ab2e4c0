/**
 * Statements of the fused kernels. R rows, D width. A fused function of a row is two kernels: its statistics, one thread a row and
 * statistic, and then every element from its own row's.
 */
import { literal, isNumber, normalCdfStatements } from "./functions.ts";
import { arrayNames, gridOf, indexOf, kernelSource } from "./grid.ts";
import { isWithin } from "./rows.ts";
import { sumOf } from "./sums.ts";
import type { Activation, NDArray } from "../../backend.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** e^x where the shader language has no NaN: NaN stays. */
function exp(x: string): string {
  return `(${isNumber(x)} ? Math.exp(${x}) : ${x})`;
}

/** The largest float32. */
const largest = "3.4028234663852886e38";

/** Whether x is -Infinity. Why so: shader languages have no literal for it. */
function isMinusInfinity(x: string): string {
  return `(${x} < -${largest})`;
}

/** Reads of a row: `x0` is the k-th element of the first array's row, and so on; `first` their place. */
function row(arrays: number, width: number): string {
  return arrayNames
    .slice(0, arrays)
    .map((name, k) => `const x${k} = ${name}[first + k];`)
    .join(" ")
    .replaceAll("first", `r * ${width}`);
}

export interface RowStatistics {
  /** Arrays of shape [R, D] that a row is read from; further arguments are for the statements. */
  readonly arrays: number;
  /** Further arguments, read by the statements. */
  readonly more?: number;
  readonly columns: 1 | 2 | 3;
  /** Computes the statistic `column` of the row `r`. */
  readonly statements: (loops: Loops) => string;
}

/** Loops over a row, whose statements know x0, x1 … at place k. */
interface Loops {
  readonly each: (statements: string) => string;
  /** Adds `value` to `total`. */
  readonly sum: (total: string, value: string, statements?: string) => string;
}

/** [R, columns] */
export function rowStatistics(rows: number, width: number, statistics: RowStatistics, limits: GridLimits): Program {
  const { arrays, more = 0, columns, statements } = statistics;
  const { threads, coordinates, prelude } = gridOf(columns === 1 ? [rows] : [rows, columns], limits);
  const reads = row(arrays, width);
  const loops: Loops = {
    each: (body) => `for (let k = 0; k < ${width}; k++) { ${reads} ${body} }`,
    sum: (total, value, body = "") => sumOf(total, width, (sum) => `${reads} ${body} ${sum} = ${sum} + ${value};`),
  };
  const body = `${prelude}\n  const r = ${coordinates[0]} * 1.0; const column = ${coordinates[1] ?? "0"} * 1.0;\n  ${statements(loops)}`;
  return { threads, source: kernelSource(arrays + more, [], body) };
}

/** The maximum of the row, NaN if there is one in it, and the sum of e^(x - maximum), 0 where there is none. */
export function exponentialStatistics(width: number): RowStatistics {
  return {
    arrays: 1,
    columns: 2,
    statements: ({ each, sum }) => `let top = a[r * ${width}];
  ${each(`if (x0 > top || !${isNumber("x0")}) { top = x0; }`)}
  if (column === 0.0) { return top; }
  if (${isMinusInfinity("top")} || !${isNumber("top")}) { return 0.0; }
  let total = 0.0;
  ${sum("total", "Math.exp(x0 - top)")}
  return total;`,
  };
}

/** log of the sum of e^x. */
export function logSumExp(width: number): RowStatistics {
  return {
    arrays: 1,
    columns: 1,
    statements: ({ each, sum }) => `let top = a[r * ${width}];
  ${each(`if (x0 > top || !${isNumber("x0")}) { top = x0; }`)}
  if (${isMinusInfinity("top")} || !${isNumber("top")} || top > ${largest}) { return top; }
  let total = 0.0;
  ${sum("total", "Math.exp(x0 - top)")}
  return top + Math.log(total);`,
  };
}

/** Its slope, times dy. */
export const logSumExpSlope = `return ${isMinusInfinity("y")} ? 0.0 : dy * Math.exp(x - y);`;

/** -log softmax(x)[target] of each row of [R, V], from its statistics; `missing` where there is no such class. */
export function crossEntropy(rows: number, width: number, target: Layout, ignoreIndex: number, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf([rows], limits);
  const [r] = coordinates;
  const body = `${prelude}\n  const class_ = b[${indexOf([r], target)}]; if (class_ === ${literal(ignoreIndex)}) { return 0.0; }
  if (!${isWithin("class_", width)}) { return missing; }
  return Math.log(c[${r} * 2 + 1]) + (c[${r} * 2] - a[${r} * ${width} + class_]);`;
  return { threads, source: kernelSource(3, ["missing"], body) };
}

/** g (softmax(x) - onehot(target)) of [R, V]: arrays g [R], x [R, V], target [R] and the statistics. */
export function crossEntropySlope(
  rows: number,
  width: number,
  g: Layout,
  target: Layout,
  ignoreIndex: number,
  limits: GridLimits,
): Program {
  const { threads, coordinates, prelude } = gridOf([rows, width], limits);
  const [r, v] = coordinates;
  const body = `${prelude}\n  const class_ = c[${indexOf([r], target)}]; if (class_ === ${literal(ignoreIndex)}) { return 0.0; }
  if (!${isWithin("class_", width)}) { return missing; }
  const top = d[${r} * 2]; const total = d[${r} * 2 + 1]; const x = b[${r} * ${width} + ${v}];
  const share = total === 0.0 ? 0.0 : Math.exp(x - top) / total;
  return a[${indexOf([r], g)}] * (class_ === ${v} ? share - 1.0 : share);`;
  return { threads, source: kernelSource(4, ["missing"], body) };
}

/** Elements from the row x and its statistics top and total. */
export const softmaxStatements = `if (!${isNumber("top")}) { return top; }
  return total === 0.0 ? 0.0 : Math.exp(x - top) / total;`;
export const logSoftmaxStatements = `if (!${isNumber("top")} || ${isMinusInfinity("top")}) { return top; }
  return x - top - Math.log(total);`;

/** Sum of g y. */
export const softmaxSlope: RowStatistics = {
  arrays: 2,
  columns: 1,
  statements: ({ sum }) => `let s = 0.0; ${sum("s", "x0 * x1")} return s;`,
};

/** Sums of g and of e^y. */
export const logSoftmaxSlope: RowStatistics = {
  arrays: 2,
  columns: 2,
  statements: ({ sum }) => `let s = 0.0; let e = 0.0;
  if (column === 0.0) { ${sum("s", "x0")} return s; }
  ${sum("e", "y", `const y = ${exp("x1")};`)} return e;`,
};

/**
 * The mean of a row, what float32 leaves of it, and 1 / sqrt(variance + eps); not centred, only 1 / sqrt(mean of squares + eps). Why the rest: a
 * mean of 1e7 in float32 is off by up to a half, which may be more than the deviation.
 */
export function normStatistics(width: number, eps: number, centred: boolean): RowStatistics {
  const n = literal(width);
  const means = (
    sum: Loops["sum"],
  ): string => `let mean = 0.0; ${sum("mean", "x0")} mean = mean / ${n}; if (column === 0.0) { return mean; }
  let rest = 0.0; ${sum("rest", "(x0 - mean)")} rest = rest / ${n}; if (column === 1.0) { return rest; }`;
  const d = centred ? "const d = (x0 - mean) - rest;" : "const d = x0;";
  return {
    arrays: 1,
    columns: centred ? 3 : 1,
    statements: ({ sum }) => `${centred ? means(sum) : ""} let s = 0.0; ${sum("s", "d * d", d)}
  return 1.0 / Math.sqrt(s / ${n} + ${literal(eps)});`,
  };
}

/** With h = g w and the normalised row z: the mean of h, and of h z; not centred, only the latter. c is w, d the statistics. */
export function normSlope(width: number, centred: boolean): RowStatistics {
  const n = literal(width);
  const z = centred ? "((x1 - mean) - rest) * scale" : "x1 * scale";
  const statistics = centred ? "const mean = d[r * 3]; const rest = d[r * 3 + 1]; const scale = d[r * 3 + 2];" : "const scale = d[r];";
  return {
    arrays: 2,
    more: 2,
    columns: centred ? 2 : 1,
    statements: ({ sum }) => `${statistics} let s = 0.0; let t = 0.0;
  ${centred ? `if (column === 0.0) { ${sum("s", "x0 * c[k]")} return s / ${n}; }` : ""}
  ${sum("t", `x0 * c[k] * (${z})`)} return t / ${n};`,
  };
}

/** Declares `gate`; activation(x) is x times it. relu has none. */
const gates: Record<Exclude<Activation, "relu">, string> = {
  gelu: `${normalCdfStatements} const gate = cdf;`,
  // Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2: x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
  geluTanh: `const gate = 1.0 / (1.0 + Math.exp(-${literal(2 * Math.sqrt(2 / Math.PI))} * (x + 0.044715 * x * x * x)));`,
  silu: "const gate = 1.0 / (1.0 + Math.exp(-x));",
};

/** activation(x), where `x` is declared. */
export function activationStatements(activation: Activation): string {
  return activation === "relu" ? "return x < 0.0 ? 0.0 : x;" : `${gates[activation]} return x * gate;`;
}

/** dy times the derivative at x. */
export function slopeStatements(activation: Activation): string {
  if (activation === "relu") return "return x > 0.0 ? dy : 0.0;";
  if (activation === "gelu")
    return `${gates.gelu} return dy * (gate + x * ${literal(1 / Math.sqrt(2 * Math.PI))} * Math.exp(-0.5 * x * x));`;
  const inner = activation === "silu" ? "1.0" : `${literal(2 * Math.sqrt(2 / Math.PI))} * (1.0 + 0.134145 * x * x)`;
  return `${gates[activation]} const rest = gate * (1.0 - gate); return dy * (gate + (rest === 0.0 ? 0.0 : x * rest * ${inner}));`;
}

/** What the host says at each step. */
const adamScalars = ["lr", "beta1", "rest1", "beta2", "rest2", "eps", "decay", "correction1", "correction2"];

export type AdamResult = "p" | "m" | "v";

/**
 * One step: contiguous p, m, v, the gradient and, where given, its factor -> `results` of [N], one behind the other. Kingma and Ba 2014,
 * arXiv:1412.6980, algorithm 1. Why not two axes on GPUs: a side this short would leave most of a tile of 8 by 8 threads idle.
 */
export function adam(n: number, inputs: readonly NDArray[], results: readonly AdamResult[], limits: GridLimits): Program {
  const flat = limits.side < Infinity;
  const at = (array: number, i: string): string => `${arrayNames[array]}[${indexOf([i], { strides: [1], offset: inputs[array].offset })}]`;
  const formulas = (i: string): Record<AdamResult, string> => {
    const slope = inputs.length > 4 ? `(${at(3, i)} * e[${inputs[4].offset}])` : at(3, i);
    const m = `beta1 * ${at(1, i)} + rest1 * ${slope}`;
    const v = `beta2 * ${at(2, i)} + rest2 * ${slope} * ${slope}`;
    const p = `${at(0, i)} - lr * ((${m}) / correction1 / (Math.sqrt((${v}) / correction2) + eps) + decay * ${at(0, i)})`;
    return { p, m, v };
  };
  const parts = results.map((name, k) => {
    const i = flat && k > 0 ? `this.thread.x - ${k * n}` : "this.thread.x";
    const mine = flat ? `this.thread.x < ${(k + 1) * n}` : `this.thread.y === ${k}`;
    return `${k < results.length - 1 ? `if (${mine}) ` : ""}{ return ${formulas(i)[name]}; }`;
  });
  return {
    threads: flat ? [results.length * n] : [n, results.length],
    source: kernelSource(inputs.length, adamScalars, parts.join("\n  ")),
  };
}
