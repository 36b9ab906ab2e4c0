/** Reductions along one axis. N its length, P partial results of N / P elements each. */
import { arrayNames, indexOf, gridOf, kernelSource } from "./grid.ts";
import { isNumber } from "./functions.ts";
import type { ArgReduceOp, NDArray, ReduceOp } from "../../backend.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** Statements that take v into best. NaN ranks below every number: it gives way in a max and wins a min. */
const takes: Record<ReduceOp, string> = {
  sum: "best = best + v;",
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
  const count = pieces * piece === n ? String(piece) : `Math.min(${piece}, ${n} - ${coordinates.at(-1)} * ${piece})`;
  const start = indexOf(coordinates, { strides, offset: layout.offset });
  const body = `${prelude}
  let best = ${op === "sum" ? "0.0" : `a[${start}]`};
  let i = (${start}) * 1.0; const count = ${count} * 1.0;
  for (let k = 0; k < count; k++) { const v = a[i]; ${takes[op]} i = i + ${stride}; }
  return best;`;
  return { threads, source: kernelSource(1, [], body) };
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
    const [sum, j] = together ? ["s", `j${k}`] : [`s${k}`, `j${k}`];
    const first = threads;
    threads += together ? 0 : pieces;
    const place = `this.thread.x${first > 0 ? ` - ${first}` : ""} + ${j} * ${pieces}`;
    const read = `const v${k} = ${arrayNames[k]}[${place}${offset > 0 ? ` + ${offset}` : ""}]; ${sum} = ${sum} + v${k}${squared ? ` * v${k}` : ""};`;
    const loop = `for (let ${j} = 0; ${j} < ${Math.ceil(n / pieces)}; ${j}++) { if (${place} < ${n}) { ${read} } }`;
    return together ? loop : `if (this.thread.x < ${threads}) { let ${sum} = 0.0; ${loop} return ${sum}; }`;
  });
  const body = together ? `let s = 0.0; ${parts.join("\n  ")} return s;` : `${parts.join("\n  ")}\n  return 0.0;`;
  return { threads: [together ? 1 : threads], source: kernelSource(arrays.length, [], body) };
}
