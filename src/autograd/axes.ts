/** Axes as callers name them: made non-negative and checked, and the shapes that follow from them. */
import { formatShape } from "../backend/shape.ts";
import { anInteger, check, requireList } from "./arguments.ts";

/** Whatever has a shape: a tensor, or the type of one. */
interface Shaped {
  readonly shape: readonly number[];
}

/** A non-negative axis. */
export function axisOf(operation: string, axis: number, x: Shaped): number {
  if (!Number.isInteger(axis)) check(operation, "axis", axis, anInteger);
  const { length } = x.shape;
  const at = axis < 0 ? axis + length : axis;
  if (at < 0 || at >= length)
    throw new RangeError(
      `${operation}: axis ${axis} of shape ${formatShape(x.shape)}; ${length ? `axes are ${-length} to ${length - 1}` : "a scalar has no axes"}`,
    );
  return at;
}

/** Ascending, non-negative, distinct axes; all of them when none are given. */
export function axesOf(operation: string, axes: number | readonly number[] | undefined, x: Shaped): number[] {
  if (axes === undefined) return x.shape.map((_, axis) => axis);
  if (typeof axes !== "number") requireList(operation, axes, "axes");
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(operation, axis, x)).sort((a, b) => a - b);
  const twice = list.find((axis, i) => axis === list[i + 1]);
  if (twice !== undefined)
    throw new RangeError(`${operation}: axis ${twice} is named twice in ${formatShape(typeof axes === "number" ? [axes] : axes)}`);
  return list;
}

/** `shape` with the axes gone. */
export function without(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.filter((_, axis) => !axes.includes(axis));
}

/** `shape` with the axes of size 1: the form in which a reduction broadcasts back. */
export function keeping(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}

/** How many elements are reduced to one. */
export function reducedCount({ shape }: Shaped, axes: readonly number[]): number {
  return axes.reduce((n, axis) => n * shape[axis], 1);
}

/** The shape after a reduction. */
export function shapeAfter({ shape }: Shaped, axes: readonly number[], keepDims: boolean): number[] {
  return keepDims ? keeping(shape, axes) : without(shape, axes);
}
