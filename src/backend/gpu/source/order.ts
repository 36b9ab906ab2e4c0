/**
 * Order along the last axis, without writing to chosen places: a kernel only says what its own element reads. N the lane's length.
 *
 * Short lanes are ordered by counting. Long ones by merge sort, one launch per doubling: each result finds by binary search how
 * many of the places before it come from the first run ("merge path": Green, McColl and Bader 2012).
 */
import { gridOf, indexOf, kernelSource } from "./grid.ts";
import { isNumber } from "./functions.ts";
import type { NDArray } from "../../backend.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** The condition under which the element u stands before v, whatever their places. NaN ranks below every number. */
function before(u: string, v: string, { dtype }: NDArray, descending: boolean): string {
  const [low, high] = descending ? [v, u] : [u, v];
  return dtype === "int32" ? `${low} < ${high}` : `(${low} < ${high} || (!${isNumber(low)} && ${isNumber(high)}))`;
}

/** How many elements of its block of `block` stand before each element. */
export function rankByCounting(x: NDArray, descending: boolean, block: number, limits: GridLimits): Program {
  const n = x.shape[x.shape.length - 1];
  const { threads, coordinates, prelude } = gridOf(x.shape, limits);
  const place = coordinates.at(-1) ?? "0";
  const other = indexOf(coordinates.with(-1, "k"), x);
  const body = `${prelude}
  const v = a[${indexOf(coordinates, x)}]; const place = ${place} * 1.0; let rank = 0.0;
  ${blockBounds(block, n)}
  for (let k = from; k < to; k += 1) {
    const u = a[${other}];
    if (${before("u", "v", x, descending)} || (k < place && !(${before("v", "u", x, descending)}))) { rank = rank + 1.0; }
  }
  return rank;`;
  return { threads, source: kernelSource(1, [], body) };
}

/** Declares from and to, the bounds of the block in which `place` lies. */
function blockBounds(block: number, n: number): string {
  if (block >= n) return `const from = 0.0; const to = ${n}.0;`;
  return `const from = Math.floor((place + 0.5) / ${block}) * ${block}; const to = Math.min(from + ${block}, ${n});`;
}

/** The place in its block whose entry is the result's own place in that block, else -1. `m` entries per lane. */
export function invertByScan(shape: Shape, index: NDArray, block: number, limits: GridLimits): Program {
  const m = index.shape[index.shape.length - 1];
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const place = coordinates.at(-1) ?? "0";
  const entry = indexOf(coordinates.with(-1, "k"), index);
  const body = `${prelude}
  const place = ${place} * 1.0; let found = -1.0;
  ${blockBounds(block, m)} const own = ${block >= m ? "place" : "place - from"};
  for (let k = from; k < to; k += 1) { if (a[${entry}] === own) { found = k; } }
  return found;`;
  return { threads, source: kernelSource(1, [], body) };
}

/** Merges sorted runs of `run` places of x, given as indices `b` into its lanes, into runs of twice the length. */
export function mergeRuns(x: NDArray, places: Layout, descending: boolean, run: number, limits: GridLimits): Program {
  const n = x.shape[x.shape.length - 1];
  const { threads, coordinates, prelude } = gridOf(x.shape, limits);
  const source = (place: string): string => `b[${indexOf(coordinates.with(-1, place), places)}]`;
  const value = (k: string): string => `a[${indexOf(coordinates.with(-1, k), x)}]`;
  // Why names for what is looked up: gpu.js's WebGL mode declares a nested look-up twice.
  const body = `${prelude}
  const place = ${coordinates.at(-1) ?? "0"} * 1.0;
  const from = Math.floor((place + 0.5) / ${2 * run}) * ${2 * run};
  const middle = Math.min(from + ${run}, ${n}); const end = Math.min(from + ${2 * run}, ${n}); const ahead = place - from;
  let low = Math.max(0, ahead - (end - middle)); let high = Math.min(ahead, middle - from);
  while (low < high) {
    const half = Math.floor((low + high) * 0.5); const i = from + half; const j = middle + ahead - 1.0 - half;
    const k = ${source("j")}; const l = ${source("i")}; const u = ${value("k")}; const v = ${value("l")};
    if (${before("u", "v", x, descending)}) { high = half; } else { low = half + 1.0; }
  }
  const atFirst = Math.min(from + low, ${n - 1}); const atSecond = Math.min(middle + ahead - low, ${n - 1});
  const first = ${source("atFirst")}; const second = ${source("atSecond")};
  if (from + low >= middle) { return second; }
  if (middle + ahead - low >= end) { return first; }
  const ofFirst = ${value("first")}; const ofSecond = ${value("second")};
  return ${before("ofSecond", "ofFirst", x, descending)} ? second : first;`;
  return { threads, source: kernelSource(2, [], body) };
}

/** Each element's place among the sorted `places`; NaN keys are compared by `before` like all others. */
export function rankInSorted(x: NDArray, places: Layout, descending: boolean, limits: GridLimits): Program {
  const n = x.shape[x.shape.length - 1];
  const { threads, coordinates, prelude } = gridOf(x.shape, limits);
  const place = coordinates.at(-1) ?? "0";
  const source = `b[${indexOf(coordinates.with(-1, "half"), places)}]`;
  const value = `a[${indexOf(coordinates.with(-1, "k"), x)}]`;
  const test = `${before("u", "v", x, descending)} || (k < ${place} && !(${before("v", "u", x, descending)}))`;
  const body = `${prelude}\n  const v = a[${indexOf(coordinates, x)}]; let low = 0.0; let high = ${n}.0;
  while (low < high) {
    const half = Math.floor((low + high) * 0.5); const k = ${source}; const u = ${value};
    if (${test}) { low = half + 1.0; } else { high = half; }
  }
  return low;`;
  return { threads, source: kernelSource(2, [], body) };
}

/** shape [..., N]: where n stands in the sorted lane of `index`, and whose entry that is; -1 where no entry is n. */
export function invertBySearch(shape: Shape, index: NDArray, places: Layout, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const m = index.shape[index.shape.length - 1];
  const own = coordinates.at(-1) ?? "0";
  const source = (p: string): string => `b[${indexOf(coordinates.with(-1, p), places)}]`;
  const value = `a[${indexOf(coordinates.with(-1, "k"), index)}]`;
  const body = `${prelude}\n  const own = ${own} * 1.0; ${lowerBound(m, "own", source("half"), value)}
  const nearest = Math.min(low, ${m - 1}.0); const k = ${source("nearest")};
  return (low < ${m} && ${value} === own) ? k : -1.0;`;
  return { threads, source: kernelSource(2, [], body) };
}

/** Declares low: how many of the n sorted whole numbers are below `key`. */
function lowerBound(n: number, key: string, source: string, value: string): string {
  return `let low = 0.0; let high = ${n}.0;
  while (low < high) {
    const half = Math.floor((low + high) * 0.5); const k = ${source};
    if (${value} < ${key}) { low = half + 1.0; } else { high = half; }
  }`;
}

/** starts [N + 1]: how many of the sorted indices are below n. */
export function startsOf(n: number, index: NDArray, places: Layout, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf([n + 1], limits);
  const own = coordinates[0] ?? "0";
  const search = lowerBound(index.shape[0], "own", `b[${indexOf(["half"], places)}]`, `a[${indexOf(["k"], index)}]`);
  return { threads, source: kernelSource(2, [], `${prelude}\n  const own = ${own} * 1.0; ${search}\n  return low;`) };
}

/** Rank minus the rank of the first equal key: how many earlier elements have the same key. -1 where it is negative. */
export function countEarlierInSorted(key: NDArray, places: Layout, limits: GridLimits): Program {
  const n = key.shape[key.shape.length - 1];
  const { threads, coordinates, prelude } = gridOf(key.shape, limits);
  const source = `b[${indexOf(coordinates.with(-1, "half"), places)}]`;
  const value = `a[${indexOf(coordinates.with(-1, "k"), key)}]`;
  const body = `${prelude}\n  const own = a[${indexOf(coordinates, key)}]; const place = ${coordinates.at(-1) ?? "0"} * 1.0;
  ${lowerBound(n, "own", source, value)}
  let rank = low; high = ${n}.0;
  while (rank < high) {
    const half = Math.floor((rank + high) * 0.5); const k = ${source}; const u = ${value};
    if (u === own && k < place) { rank = half + 1.0; } else { high = half; }
  }
  return own < 0.0 ? -1.0 : rank - low;`;
  return { threads, source: kernelSource(2, [], body) };
}

/** The same by looking at every earlier element. */
export function countEarlierByScan(key: NDArray, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(key.shape, limits);
  const body = `${prelude}\n  const own = a[${indexOf(coordinates, key)}]; const place = ${coordinates.at(-1) ?? "0"} * 1.0; let count = 0.0;
  for (let k = 0.0; k < place; k += 1) { if (a[${indexOf(coordinates.with(-1, "k"), key)}] === own) { count = count + 1.0; } }
  return own < 0.0 ? -1.0 : count;`;
  return { threads, source: kernelSource(1, [], body) };
}

/** key [..., N] -> [..., E, P]: how often e occurs in the p-th piece of `piece` elements. P = 1 leaves that axis away. */
export function countKeys(shape: Shape, key: NDArray, piece: number, limits: GridLimits): Program {
  const n = key.shape[key.shape.length - 1];
  const pieces = Math.max(1, Math.ceil(n / piece));
  const { threads, coordinates, prelude } = gridOf(pieces > 1 ? [...shape, pieces] : shape, limits);
  const lead = coordinates.slice(0, shape.length - 1);
  const own = coordinates[shape.length - 1];
  const part = pieces > 1 ? coordinates[shape.length] : "0";
  const body = `${prelude}\n  const own = ${own} * 1.0; const from = ${part} * ${piece}.0; const to = Math.min(from + ${piece}, ${n}); let count = 0.0;
  for (let k = from; k < to; k += 1) { if (a[${indexOf([...lead, "k"], key)}] === own) { count = count + 1.0; } }
  return count;`;
  return { threads, source: kernelSource(1, [], body) };
}
