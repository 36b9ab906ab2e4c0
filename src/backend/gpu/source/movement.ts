/** Kernels that only move elements: pad and concat. A copy is an elementwise kernel without a function. */
import { sizeOf } from "../../shape.ts";
import { arrayNames, gridOf, indexOf, kernelSource } from "./grid.ts";
import type { NDArray } from "../../backend.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";
import type { GridLimits } from "./grid.ts";

/** x at `before` in `shape`, the scalar `value` elsewhere. */
export function pad(shape: Shape, x: NDArray, before: readonly number[], limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  const inside = coordinates.flatMap((coordinate, axis) => within(coordinate, before[axis], x.shape[axis], shape[axis]));
  const own = coordinates.map((coordinate, axis) => (before[axis] === 0 ? coordinate : `(${coordinate} - ${before[axis]})`));
  const read = sizeOf(x.shape) === 0 ? "" : `if (${inside.join(" && ") || "true"}) { return a[${indexOf(own, x)}]; }`;
  return { threads, source: kernelSource(1, ["value"], `${prelude}\n  ${read}\n  return value;`) };
}

function within(coordinate: string, from: number, n: number, room: number): string[] {
  return [from > 0 ? `${coordinate} >= ${from}` : "", from + n < room ? `${coordinate} < ${from + n}` : ""].filter(Boolean);
}

/** xs one after the other along `axis`. */
export function concat(shape: Shape, xs: readonly NDArray[], axis: number, limits: GridLimits): Program {
  const { threads, coordinates, prelude } = gridOf(shape, limits);
  let start = 0;
  const reads = xs.map((x, k) => {
    const own = start === 0 ? coordinates : coordinates.with(axis, `(${coordinates[axis]} - ${start})`);
    start += x.shape[axis];
    const read = `return ${arrayNames[k]}[${indexOf(own, x)}];`;
    return k === xs.length - 1 ? read : `if (${coordinates[axis]} < ${start}) { ${read} }`;
  });
  return { threads, source: kernelSource(xs.length, [], `${prelude}\n  ${reads.join("\n  ")}`) };
}
