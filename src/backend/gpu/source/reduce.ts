/** Reductions along one axis. N its length, P partial results of N / P elements each. */
import { arrayNames, indexOf, gridOf, kernelSource } from "./grid.ts";
import { isNumber } from "./functions.ts";
import { sumOf } from "./sums.ts";
import type { Add } from "./sums.ts";
import type { ArgReduceOp, NDArray, ReduceOp } from "../../backend.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** Statements that take v into best. NaN ranks below every number: in a max any number replaces it, in a min it replaces any number. */
const takes: Record<Exclude<ReduceOp, "sum">, string> = {
  max: `if (v > best || !${isNumber("best")}) { best = v; }`,
  min: `if (v < best || !${isNumber("v")}) { best = v; }`,
};

/** What is reduced: the kept axes, and one axis of N elements `stride` apart. */
export interface Lane {
  readonly kept: readonly number[];
  readonly layout: Layout;
  readonly n: number;
  readonly stride: number;
}

/** [kept..., P]: element p reduces the p-th piece of `piece` elements. P = 1 leaves that axis away. */
export function reduce(op: ReduceOp, { kept, layout, n, stride }: Lane, piece: number, limits: GridLimits): Program {
  const pieces = Math.ceil(n / piece);
  const shape = pieces > 1 ? [...kept, pieces] : kept;
  const strides = pieces > 1 ? [...layout.strides, piece * stride] : layout.strides;
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const start = indexOf(coordinates, { strides, offset: layout.offset });
  const left = pieces * piece === n ? undefined : `${n} - ${coordinates.at(-1)} * ${piece}`;
  const body = `${prelude}\n  ${op === "sum" ? sumFrom(start, stride, piece, left) : bestFrom(op, start, stride, piece, left)}`;
  return { threads, source: kernelSource(1, [], body) };
}

/** The sum of `piece` elements from `start` on, of which only `left` may be there. */
function sumFrom(start: string, stride: number, piece: number, left: string | undefined): string {
  const add: Add = (total, k) => {
    const term = `${total} = ${total} + a[first + ${k} * ${stride}];`;
    return left ? `if (${k} < left) { ${term} }` : term;
  };
  return `let s = 0.0; const first = (${start}) * 1.0; ${left ? `const left = (${left}) * 1.0;` : ""}
  ${sumOf("s", piece, add)}
  return s;`;
}

function bestFrom(op: "max" | "min", start: string, stride: number, piece: number, left: string | undefined): string {
  return `let best = a[${start}]; let i = (${start}) * 1.0; const count = ${left ? `Math.min(${piece}, ${left})` : piece} * 1.0;
  for (let k = 0; k < count; k++) { const v = a[i]; ${takes[op]} i = i + ${stride}; }
  return best;`;
}

/** The place of the first best element. */
export function argReduce(op: ArgReduceOp, { kept, layout, n, stride }: Lane, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(kept, limits);
  const better =
    op === "argmax" ? `v > best || (!${isNumber("best")} && ${isNumber("v")})` : `v < best || (${isNumber("best")} && !${isNumber("v")})`;
  const start = indexOf(coordinates, layout);
  const body = `${prelude}
  let best = a[${start}]; let place = 0.0; let i = (${start}) * 1.0;
  for (let k = 0; k < ${n}; k++) { const v = a[i]; if (${better}) { best = v; place = k; } i = i + ${stride}; }
  return place;`;
  return { threads, source: kernelSource(1, [], body) };
}

/** One step of a running sum by doubling: x[k] + x[k - step]; Hillis and Steele 1986. `shift` 1 leaves out the place itself. */
export function cumsumStep(x: NDArray, axis: number, step: number, shift: number, reverse: boolean, limits: GridLimits): Program {
  const n = x.shape[axis];
  const { threads, coordinates, prelude } = gridOf(x.shape, limits);
  const place = coordinates[axis];
  const read = (back: number): string => {
    const value = `a[${indexOf(coordinates.with(axis, `(${place} ${reverse ? "+" : "-"} ${back})`), x)}]`;
    if (back === 0) return `s = s + ${value};`;
    return `if (${reverse ? `${place} < ${n - back}` : `${place} >= ${back}`}) { s = s + ${value}; }`;
  };
  return { threads, source: kernelSource(1, [], `${prelude}\n  let s = 0.0; ${read(shift)} ${read(step + shift)}\n  return s;`) };
}

/** A contiguous array of N elements, and among how many threads it is shared. */
export interface Shared {
  readonly n: number;
  readonly offset: number;
  readonly pieces: number;
}

/**
 * A sum from each thread, the first array's threads first; or all in one. Thread p takes every `pieces`-th element from the p-th on, so
 * that neighbours read neighbours.
 */
export function sumsOf(arrays: readonly Shared[], squared: boolean, together: boolean): Program {
  let threads = 0;
  const parts = arrays.map(({ n, offset, pieces }, k) => {
    const total = together ? "s" : `s${k}`;
    const first = threads;
    threads += together ? 0 : pieces;
    const add: Add = (sum, j) => {
      const place = `this.thread.x${first > 0 ? ` - ${first}` : ""} + ${j} * ${pieces}`;
      const value = `const v = ${arrayNames[k]}[${place}${offset > 0 ? ` + ${offset}` : ""}];`;
      return `if (${place} < ${n}) { ${value} ${sum} = ${sum} + v${squared ? " * v" : ""}; }`;
    };
    const own = `t${k}`;
    const loop = `let ${own} = 0.0; ${sumOf(own, Math.ceil(n / pieces), add)} ${total} = ${total} + ${own};`;
    return together ? loop : `if (this.thread.x < ${threads}) { let ${total} = 0.0; ${loop} return ${total}; }`;
  });
  const body = together ? `let s = 0.0; ${parts.join("\n  ")} return s;` : `${parts.join("\n  ")}\n  return 0.0;`;
  return { threads: [together ? 1 : threads], source: kernelSource(arrays.length, [], body) };
}
