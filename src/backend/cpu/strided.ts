/**
 * Loops over strided arrays. A kernel is one short loop over a *run* (elements a constant step apart); `forEachRun` finds the runs. Axes
 * that lie one behind the other in every operand are merged first, so contiguous arrays are a single run.
 */
import { broadcastStrides, sizeOf, stridesOf } from "../shape.ts";
import type { Shape } from "../shape.ts";
import type { TypedArray } from "../backend.ts";

/** Where elements lie: steps along each axis, and the place of the first. */
export interface Layout {
  readonly strides: readonly number[];
  readonly offset: number;
}

/** An input as kernels see it: its opened memory and its layout. */
export interface Strided extends Layout {
  readonly data: TypedArray;
  readonly shape: Shape;
}

/** `n` elements; operand k begins at `at[k]` and advances by `step[k]`. */
export type Run = (n: number, at: readonly number[], step: readonly number[]) => void;

/** The layout of a fresh result. */
export function rowMajor(shape: Shape): Layout {
  return { strides: stridesOf(shape), offset: 0 };
}

/** The layout of `x` as if it had the larger shape `to`. */
export function stretched(x: Strided, to: Shape): Layout {
  return { strides: broadcastStrides(x.shape, x.strides, to), offset: x.offset };
}

/** `x` without one of its axes: where the lanes along that axis begin. */
export function withoutAxis(x: Layout, axis: number): Layout {
  return { strides: x.strides.toSpliced(axis, 1), offset: x.offset };
}

/** Visits an array of `shape`, laid out differently in each operand, run by run in row-major order. */
export function forEachRun(shape: Shape, operands: readonly Layout[], visit: Run): void {
  if (sizeOf(shape) === 0) return;
  const { sizes, steps } = mergeAxes(shape, operands);
  const last = sizes.length - 1;
  const at = operands.map((operand) => operand.offset);
  const walk = (axis: number): void => {
    if (axis === last) return visit(sizes[axis], at, steps[axis]);
    for (let i = 0; i < sizes[axis]; i++) {
      walk(axis + 1);
      advance(at, steps[axis], 1);
    }
    advance(at, steps[axis], -sizes[axis]);
  };
  walk(0);
}

/** Visits every element by itself: for kernels that need the place of each element in every operand. */
export function forEachPlace(shape: Shape, operands: readonly Layout[], visit: (at: readonly number[]) => void): void {
  const at = operands.map(() => 0);
  forEachRun(shape, operands, (n, from, step) => {
    for (let k = 0; k < at.length; k++) at[k] = from[k];
    for (; n > 0; n--, advance(at, step, 1)) visit(at);
  });
}

function advance(at: number[], step: readonly number[], times: number): void {
  for (let k = 0; k < at.length; k++) at[k] += step[k] * times;
}

/** Sizes of the merged axes (at least one), and for each of them the step of every operand. */
export function mergeAxes(shape: Shape, operands: readonly Layout[]): { sizes: number[]; steps: number[][] } {
  const sizes: number[] = [];
  const steps: number[][] = [];
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 1) continue;
    const step = operands.map((operand) => operand.strides[axis]);
    const outer = steps.at(-1);
    if (outer?.every((s, k) => s === step[k] * shape[axis])) {
      sizes[sizes.length - 1] *= shape[axis];
      steps[steps.length - 1] = step;
    } else {
      sizes.push(shape[axis]);
      steps.push(step);
    }
  }
  return sizes.length > 0 ? { sizes, steps } : { sizes: [1], steps: [operands.map(() => 0)] };
}
