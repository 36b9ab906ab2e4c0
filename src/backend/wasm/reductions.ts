/** Launching reductions: of rows where the reduced axes lie last, of columns where they lie first, else of a copy. Undefined: not served. */
import { isContiguous, sizeOf } from "../shape.ts";
import type { ArgReduceOp, ArrayType, Buffer, NDArray, ReduceOp } from "../backend.ts";
import { isWord, kernelName } from "./kernels/names.ts";
import { permuted } from "./views.ts";
import type { WasmBackend } from "./wasmBackend.ts";

export function reduce(backend: WasmBackend, op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(x.shape) === 0) return undefined;
  const kernel = kernelName(op, dtype);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const rowsLast = permuted(x, [...kept, ...axes]);
  const rowsFirst = permuted(x, [...axes, ...kept]);
  const length = sizeOf(axes.map((axis) => x.shape[axis]));
  const count = sizeOf(out.shape);
  const work = (count * length) / 2;
  if (!isContiguous(rowsLast.shape, rowsLast.strides) && isContiguous(rowsFirst.shape, rowsFirst.strides)) {
    const from = backend.address(x);
    return backend.make(out, (to) => backend.start(`${kernel}Columns`, Math.ceil(count / 16), work, to, from, length, count));
  }
  return backend.contiguous([rowsLast], (from) => backend.make(out, (to) => backend.start(`${kernel}Rows`, count, work, to, from, length)));
}

export function argReduce(backend: WasmBackend, op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(x.shape) === 0) return undefined;
  const axes = x.shape.map((_, i) => i);
  const rows = permuted(x, [...axes.toSpliced(axis, 1), axis]);
  const [count, length] = [sizeOf(out.shape), x.shape[axis]];
  return backend.contiguous([rows], (from) =>
    backend.make(out, (to) => backend.start(`${kernelName(op, dtype)}Rows`, count, count * (length / 2 + 5), to, from, length)),
  );
}

export function cumsum(
  backend: WasmBackend,
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
  return backend.contiguous([x], (from) =>
    backend.make(out, (to) => backend.start(kernel, items, 2 * sizeOf(x.shape), to, from, ...sizes, exclusive ? 1 : 0, reverse ? 1 : 0)),
  );
}
