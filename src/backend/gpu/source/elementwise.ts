/** Kernels that compute each element from the elements at the same place. */
import { broadcastStrides } from "../../shape.ts";
import { arrayNames, gridOf, indexOf, kernelSource, merge } from "./grid.ts";
import type { NDArray } from "../../backend.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";
import type { GridLimits, Layout } from "./grid.ts";

/** The layout of `x` as if it had the larger shape `to`. */
export function stretched(x: NDArray, to: Shape): Layout {
  return { strides: broadcastStrides(x.shape, x.strides, to), offset: x.offset };
}

/** Names of the operands' elements in the statements of a function. */
const operandNames = ["x", "y", "z", "u", "v"];

/** One element of `shape` per thread: `statements` read x, y, z … and the scalars, and return. */
export function elementwise(
  shape: Shape,
  inputs: readonly NDArray[],
  statements: string,
  limits: GridLimits,
  names: readonly string[] = operandNames,
  scalars: readonly string[] = [],
): Program {
  const merged = merge(
    shape,
    inputs.map((x) => stretched(x, shape)),
  );
  const { threads, coordinates, prelude } = gridOf(merged.shape, limits);
  const reads = merged.layouts.map((layout, k) => `const ${names[k]} = ${arrayNames[k]}[${indexOf(coordinates, layout)}];`);
  return { threads, source: kernelSource(inputs.length, scalars, `${prelude}\n  ${reads.join(" ")}\n  ${statements}`) };
}
