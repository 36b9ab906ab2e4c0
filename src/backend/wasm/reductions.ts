/** Launching reductions: of rows where the reduced axes lie last, of columns where they lie first, else of a copy. */
import { isContiguous, sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray, ReduceOp } from "../backend.ts";
import { kernelName } from "./kernels/elementwise.ts";
import { permuted } from "./views.ts";
import type { WasmBackend } from "./wasmBackend.ts";

/** Undefined: not served. */
export function reduce(backend: WasmBackend, op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer | undefined {
  if ((x.dtype !== "float32" && x.dtype !== "int32") || sizeOf(x.shape) === 0) return undefined;
  const kernel = kernelName(op, x.dtype);
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
