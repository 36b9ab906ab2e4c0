/** Matrix products. M rows, K inner size, N columns, E experts, D and F widths. */
import { gridOf, indexOf, kernelSource } from "./grid.ts";
import type { NDArray } from "../../backend.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";
import type { GridLimits } from "./grid.ts";

/**
 * Statements that add a[i + k di] b[j + k dj] over k below `count`, a literal, to s: one after the other, as all kernels of products do, so that
 * an element of the result does not depend on which of them computes it.
 */
function sumOfProducts(count: number, di: number, dj: number): string {
  const term = (k: number): string => `s = s + a[i${plus(k * di)}] * b[j${plus(k * dj)}];`;
  const terms = (n: number): string => Array.from({ length: n }, (_, k) => term(k)).join(" ");
  const fours = Math.floor(count / 4);
  const loop = `for (let k = 0; k < ${fours}; k++) { ${terms(4)} i = i${plus(4 * di)}; j = j${plus(4 * dj)}; }`;
  return `${fours > 0 ? loop : ""} ${terms(count % 4)}`;
}

function plus(step: number): string {
  return step === 0 ? "" : step > 0 ? ` + ${step}` : ` - ${-step}`;
}

/** What becomes of each sum of products before it is written. */
export interface Finish {
  /** Further arrays c, d …, and scalars. */
  readonly arrays: number;
  readonly scalars?: readonly string[];
  readonly value: (sum: string, coordinates: readonly string[]) => string;
}

const asItIs: Finish = { arrays: 0, value: (sum) => sum };

function productSource({ arrays, scalars = [] }: Finish, body: string): string {
  return kernelSource(2 + arrays, scalars, body);
}

/** x [..., M, K] y [..., K, N], one element of the result per thread. */
export function matmul(shape: Shape, x: NDArray, y: NDArray, limits: GridLimits, finish: Finish = asItIs): Program {
  const last = shape.length - 1;
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const i = indexOf(coordinates, { strides: x.strides.with(last, 0), offset: x.offset });
  const j = indexOf(coordinates, { strides: y.strides.with(last - 1, 0), offset: y.offset });
  const sum = sumOfProducts(x.shape[last], x.strides[last], y.strides[last - 1]);
  const body = `${prelude}\n  let i = (${i}) * 1.0; let j = (${j}) * 1.0; let s = 0.0;\n  ${sum}\n  return ${finish.value("s", coordinates)};`;
  return { threads, source: productSource(finish, body) };
}

/**
 * The same, four neighbouring columns per thread, for shader languages: each x is read once for four products, and subscripts of thread
 * and loop numbers stay whole numbers. N divides by 4.
 */
function matmulOfColumns(shape: Shape, x: NDArray, y: NDArray, limits: GridLimits, finish: Finish = asItIs): Program {
  const last = shape.length - 1;
  const { threads, coordinates, prelude } = gridOf(shape.with(last, shape[last] / 4), limits);
  const [K, dn] = [x.shape[last], y.strides[last]];
  const unrolled = K % 4 === 0 ? 4 : 1;
  const xAt = (k: number): string => indexOf(coordinates.with(last, plainSum("k", k)), x);
  const yAt = (k: number, n: number): string =>
    indexOf(coordinates.with(last - 1, plainSum("k", k)), { strides: y.strides.with(last, 4 * dn), offset: y.offset + n * dn });
  const lanes = [0, 1, 2, 3];
  const products = Array.from({ length: unrolled }, (_, k) => {
    const sums = lanes.map((n) => `s${n} = s${n} + v${k} * b[${yAt(k, n)}];`);
    return `const v${k} = a[${xAt(k)}]; ${sums.join(" ")}`;
  });
  const body = `${prelude}
  ${lanes.map((n) => `let s${n} = 0.0;`).join(" ")}
  for (let k = 0; k < ${K}; k += ${unrolled}) {\n    ${products.join("\n    ")}\n  }
  return [${lanes.map((n) => finish.value(`s${n}`, coordinates.with(last, `(${coordinates[last]} * 4 + ${n})`))).join(", ")}];`;
  return { threads, lanes: "columns", source: productSource(finish, body) };
}

function plainSum(name: string, more: number): string {
  return more === 0 ? name : `(${name} + ${more})`;
}

/**
 * The same, four rows per thread, for gpu.js's WebAssembly: its vectors run along columns, so that every y it fetches, element by
 * element, serves four products, and an x is one number for all columns. Rows beyond M are computed and left away.
 */
function matmulOfRows(shape: Shape, x: NDArray, y: NDArray, limits: GridLimits, finish: Finish = asItIs): Program {
  const last = shape.length - 1;
  const [M, K] = [shape[last - 1], x.shape[last]];
  const { threads, coordinates, prelude } = gridOf(shape.with(last - 1, Math.ceil(M / 4)), limits);
  const [dm, dk, dy] = [x.strides[last - 1], x.strides[last], y.strides[last - 1]];
  const lead = indexOf(coordinates, { strides: x.strides.with(last - 1, 0).with(last, 0), offset: x.offset });
  const j = indexOf(coordinates, { strides: y.strides.with(last - 1, 0), offset: y.offset });
  const lanes = [0, 1, 2, 3];
  const term = (k: number): string =>
    `const u${k} = b[j${plus(k * dy)}]; ${lanes.map((m) => `s${m} = s${m} + a[i${m}${plus(k * dk)}] * u${k};`).join(" ")}`;
  const step = (n: number): string => `${lanes.map((m) => `i${m} = i${m}${plus(n * dk)};`).join(" ")} j = j${plus(n * dy)};`;
  const row = (m: number): string =>
    M % 4 === 0 ? `(${coordinates[last - 1]} * 4 + ${m})` : `Math.min(${coordinates[last - 1]} * 4 + ${m}, ${M - 1})`;
  const body = `${prelude}
  const first = (${lead}) * 1.0; let j = (${j}) * 1.0;
  ${lanes.map((m) => `let i${m} = first + ${row(m)} * ${dm}; let s${m} = 0.0;`).join(" ")}
  for (let k = 0; k < ${Math.floor(K / 2)}; k++) { ${term(0)} ${term(1)} ${step(2)} }
  ${K % 2 === 1 ? term(0) : ""}
  return [${lanes.map((m) => finish.value(`s${m}`, coordinates.with(last - 1, row(m)))).join(", ")}];`;
  return { threads, lanes: "rows", rows: M, source: productSource(finish, body) };
}

/** Which of the three serves a shape. */
export function bestMatmul(shape: Shape, lanes: "columns" | "rows"): typeof matmul {
  const [rows, columns] = shape.slice(-2);
  if (lanes === "rows") return rows >= 2 ? matmulOfRows : matmul;
  return columns % 4 === 0 ? matmulOfColumns : matmul;
}

/** x [M, D], weight [E, D, F], offsets [E + 1] -> [M, F]. The owner of row m is the last expert that begins at or before it. */
export function groupedMatmul(shape: Shape, x: NDArray, weight: NDArray, offsets: NDArray, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const [m, f] = coordinates;
  const [experts, width] = weight.shape;
  const end = (e: string): string => `c[${indexOf([e], offsets)}]`;
  const j = indexOf(["owner", f], { strides: [weight.strides[0], weight.strides[2]], offset: weight.offset });
  if (experts === 0) return { threads, source: kernelSource(3, [], "return 0.0;") };
  const body = `${prelude}
  if (${m} >= ${end(String(experts))} || ${m} < ${end("0")}) { return 0.0; }
  let owner = 0.0; for (let e = 1; e < ${experts}; e++) { if (${end("e")} <= ${m}) { owner = e; } }
  let i = (${indexOf([m], { strides: [x.strides[0]], offset: x.offset })}) * 1.0; let j = (${j}) * 1.0; let s = 0.0;
  ${sumOfProducts(width, x.strides[1], weight.strides[1])}
  return s;`;
  return { threads, source: kernelSource(3, [], body) };
}

/** x [M, D], y [M, F], offsets [E + 1] -> [E, D, F]: each expert sums over its own rows, as far as there are rows. */
export function groupedOuter(shape: Shape, x: NDArray, y: NDArray, offsets: NDArray, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const [e, d, f] = coordinates;
  const body = `${prelude}
  const from = Math.max(0.0, c[${indexOf([e], offsets)}]); const to = Math.min(${x.shape[0]}.0, c[${indexOf([`(${e} + 1)`], offsets)}]);
  let s = 0.0;
  for (let m = from; m < to; m += 1) { s = s + a[${indexOf(["m", d], x)}] * b[${indexOf(["m", f], y)}]; }
  return s;`;
  return { threads, source: kernelSource(3, [], body) };
}
