/**
 * Rows by index. N rows of x, M results, J terms of one result, I indices. An index outside its array reads `missing`, a scalar: shader languages
 * have no literal for NaN.
 */
import { broadcastStrides } from "../../shape.ts";
import { gridOf, indexOf, kernelSource, merge } from "./grid.ts";
import { sumBetween, sumOf } from "./sums.ts";
import type { Add } from "./sums.ts";
import type { NDArray } from "../../backend.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** The layout of x [N, ...D] inside a result [...I, ...D]: it does not move along I. */
function rowsWithin(x: NDArray, shape: Shape): Layout {
  return { strides: broadcastStrides(x.shape.slice(1), x.strides.slice(1), shape), offset: x.offset };
}

/** The layout of index [...I] inside a result [...I, ...D]. */
function indexWithin(index: NDArray, axes: number, shape: Shape): Layout {
  return { strides: shape.map((_, axis) => (axis < axes ? index.strides[axis] : 0)), offset: index.offset };
}

/** out[m] = sum over j of x[index[m, j]]; -1 contributes nothing. */
export function gatherRows(shape: Shape, x: NDArray, index: NDArray, limits: GridLimits): Program {
  const merged = merge(shape, [rowsWithin(x, shape), indexWithin(index, 1, shape)]);
  const { threads, coordinates, prelude } = gridOf(merged.shape, limits);
  const [row, entry] = merged.layouts;
  const body = `${prelude}
  let s = 0.0; let k = (${indexOf(coordinates, entry)}) * 1.0;
  for (let j = 0; j < ${index.shape[1]}; j++) {
    const n = b[k]; k = k + ${index.strides[1]};
    if (${isWithin("n", x.shape[0])}) { s = s + a[n * ${x.strides[0]} + ${indexOf(coordinates, row)}]; } else if (n !== -1.0) { s = s + missing; }
  }
  return s;`;
  return { threads, source: kernelSource(2, ["missing"], body) };
}

/** Whether the number `i` is an index into n elements. */
export function isWithin(i: string, n: number): string {
  return `(${i} >= 0.0 && ${i} < ${n}.0)`;
}

/** One looked-up element per thread: x at `coordinates` plus `step` times the index there, which is below `n`. */
function lookUp(shape: Shape, x: Layout, step: number, n: number, index: Layout, limits: GridLimits): Program {
  const merged = merge(shape, [x, index]);
  const { threads, coordinates, prelude } = gridOf(merged.shape, limits);
  const [value, entry] = merged.layouts;
  const body = `${prelude}\n  const n = b[${indexOf(coordinates, entry)}];
  if (!${isWithin("n", n)}) { return missing; }\n  return a[${indexOf(["n", ...coordinates], {
    strides: [step, ...value.strides],
    offset: value.offset,
  })}];`;
  return { threads, source: kernelSource(2, ["missing"], body) };
}

export function takeRows(shape: Shape, x: NDArray, index: NDArray, limits: GridLimits): Program {
  return lookUp(shape, rowsWithin(x, shape), x.strides[0], x.shape[0], indexWithin(index, index.shape.length, shape), limits);
}

export function takeAlong(shape: Shape, x: NDArray, index: NDArray, axis: number, limits: GridLimits): Program {
  return lookUp(shape, { strides: x.strides.with(axis, 0), offset: x.offset }, x.strides[axis], x.shape[axis], index, limits);
}

/** out[..., n, ...] = sum over m of g[..., m, ...] where index[..., m, ...] is n. */
export function addAlong(shape: Shape, g: NDArray, index: NDArray, axis: number, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const add: Add = (total, m) => {
    const other = coordinates.with(axis, m);
    return `if (b[${indexOf(other, index)}] === ${coordinates[axis]}) { ${total} = ${total} + a[${indexOf(other, g)}]; }`;
  };
  const body = `${prelude}\n  let s = 0.0;
  ${sumOf("s", index.shape[axis], add)}
  return s;`;
  return { threads, source: kernelSource(2, [], body) };
}

/** out[n] = the sum of g's rows order[p] for starts[n] <= p < starts[n + 1]; g is contiguous, `width` elements a row. */
export function addSortedRows(n: number, width: number, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf([n, width], limits);
  const body = `${prelude}\n  const from = c[${coordinates[0]}]; const to = c[${coordinates[0]} + 1]; let s = 0.0;
  ${sumBetween("s", "from", "to", (total, p) => `const row = b[${p}]; ${total} = ${total} + a[row * ${width} + ${coordinates[1]}];`)}
  return s;`;
  return { threads, source: kernelSource(3, [], body) };
}

/** The same by looking at every index; index [I] and g [I, width] are contiguous. */
export function addRowsByScan(n: number, width: number, count: number, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf([n, width], limits);
  const body = `${prelude}\n  let s = 0.0;
  for (let p = 0; p < ${count}; p++) { if (b[p] === ${coordinates[0]}) { s = s + a[p * ${width} + ${coordinates[1]}]; } }
  return s;`;
  return { threads, source: kernelSource(2, [], body) };
}
