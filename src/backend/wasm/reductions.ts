/** Launching reductions: by rows where the reduced axes lie last, by columns where they lie first, else of a copy. Undefined: not served. */
import { isContiguous, sizeOf } from "../shape.ts";
import type { ArgReduceOp, ArrayType, Buffer, NDArray, ReduceOp } from "../backend.ts";
import { isWord, kernelName } from "./kernels/names.ts";
import { permuted } from "../views.ts";
import type { Launcher } from "./launcher.ts";

export function reduce(launcher: Launcher, op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer | undefined {
  return isWord(x.dtype) && sizeOf(x.shape) > 0 ? reduceWords(launcher, kernelName(op, x.dtype), out, x, axes) : undefined;
}

/** The sum of a float32 array that is not empty. */
export function sumOver(launcher: Launcher, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
  return reduceWords(launcher, "sum", out, x, axes);
}

function reduceWords(launcher: Launcher, kernel: string, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const rowsLast = permuted(x, [...kept, ...axes]);
  const rowsFirst = permuted(x, [...axes, ...kept]);
  const length = sizeOf(axes.map((axis) => x.shape[axis]));
  const count = sizeOf(out.shape);
  const work = (count * length) / 2;
  const inner = sizeOf(x.shape.slice((axes.at(-1) ?? -1) + 1));
  // Also where there is one array of columns only: the order of a sum must not depend on their number.
  if (inner > 1 && areNeighbours(axes) && isContiguous(x.shape, x.strides)) return eachOfColumns(launcher, kernel, out, x, length, inner);
  if (!isContiguous(rowsLast.shape, rowsLast.strides) && isContiguous(rowsFirst.shape, rowsFirst.strides)) {
    const from = launcher.address(x);
    return launcher.make(out, (to) => launcher.start(`${kernel}Columns`, Math.ceil(count / 16), work, to, from, length, count));
  }
  return launcher.contiguous([rowsLast], (from) =>
    launcher.make(out, (to) => launcher.start(`${kernel}Rows`, count, work, to, from, length)),
  );
}

function areNeighbours(axes: readonly number[]): boolean {
  return axes.length > 0 && axes.every((axis, i) => axis === axes[0] + i);
}

/** x [outer, length, inner] -> [outer, inner], one array of columns after the other. */
function eachOfColumns(launcher: Launcher, kernel: string, out: ArrayType, x: NDArray, length: number, inner: number): Buffer {
  const from = launcher.address(x);
  const work = (length * inner) / 2;
  return launcher.make(out, (to) => {
    for (let at = 0; at < sizeOf(out.shape); at += inner)
      launcher.start(`${kernel}Columns`, Math.ceil(inner / 16), work, to + 4 * at, from + 4 * at * length, length, inner);
  });
}

export function argReduce(launcher: Launcher, op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(x.shape) === 0) return undefined;
  const axes = x.shape.map((_, i) => i);
  const rows = permuted(x, [...axes.toSpliced(axis, 1), axis]);
  const [count, length] = [sizeOf(out.shape), x.shape[axis]];
  return launcher.contiguous([rows], (from) =>
    launcher.make(out, (to) => launcher.start(`${kernelName(op, dtype)}Rows`, count, count * (length / 2 + 5), to, from, length)),
  );
}

export function cumsum(
  launcher: Launcher,
  out: ArrayType,
  x: NDArray,
  axis: number,
  exclusive: boolean,
  reverse: boolean,
): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(x.shape) === 0) return undefined;
  const [outer, inner] = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis + 1))];
  const kernel = kernelName(inner === 1 ? "cumsumRows" : "cumsumColumns", dtype);
  const items = inner === 1 ? outer : outer * Math.ceil(inner / 8);
  const sizes = inner === 1 ? [x.shape[axis]] : [x.shape[axis], inner];
  return launcher.contiguous([x], (from) =>
    launcher.make(out, (to) => launcher.start(kernel, items, 2 * sizeOf(x.shape), to, from, ...sizes, exclusive ? 1 : 0, reverse ? 1 : 0)),
  );
}
