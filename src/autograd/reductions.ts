/** Primitives that gather an axis: sums, extremes and running sums. */
import type { ArrayType, ArgReduceOp } from "../backend/backend.ts";
import { formatShape } from "../backend/shape.ts";
import type { Primitive } from "./primitive.ts";
import { same } from "./primitive.ts";

/** `shape` with the axes gone. */
function without(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.filter((_, axis) => !axes.includes(axis));
}

/** `shape` with the axes of size 1: the form in which a reduction broadcasts back. */
export function keeping(shape: readonly number[], axes: readonly number[]): number[] {
  return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}

export const sum = (axes: readonly number[]): Primitive => ({
  name: "sum",
  type: (x) => ({ shape: without(x.shape, axes), dtype: x.dtype }),
  run: (backend, out, x) => backend.reduce("sum", out, x, axes),
  vjp: [(g, _, x) => g.reshape(keeping(x.shape, axes)).broadcastTo(x.shape)],
});

/** The largest or smallest over several axes at once: ties share the gradient. (Along one axis the first takes it all: see Tensor.max.) */
export const extremum = (op: "max" | "min", axes: readonly number[]): Primitive => ({
  name: op,
  type(x) {
    requireSome(op, x, axes);
    return { shape: without(x.shape, axes), dtype: x.dtype };
  },
  run: (backend, out, x) => backend.reduce(op, out, x, axes),
  vjp: [
    (g, out, x) => {
      const kept = keeping(x.shape, axes);
      const best = x.equal(out.reshape(kept));
      return g
        .reshape(kept)
        .mul(best)
        .div(best.sum(axes, { keepDims: true }));
    },
  ],
});

export const argReduce = (op: ArgReduceOp, axis: number): Primitive => ({
  name: op,
  type(x) {
    requireSome(op, x, [axis]);
    return { shape: without(x.shape, [axis]), dtype: "int32" };
  },
  run: (backend, out, x) => backend.argReduce(op, out, x, axis),
  vjp: [null],
});

export function requireSome(operation: string, x: ArrayType, axes: readonly number[]): void {
  const empty = axes.find((axis) => x.shape[axis] === 0);
  if (empty !== undefined)
    throw new RangeError(`${operation}: axis ${empty} of ${formatShape(x.shape)} is empty, and nothing has no ${operation}`);
}

export const cumsum = (axis: number, exclusive: boolean, reverse: boolean): Primitive => ({
  name: "cumsum",
  type: same,
  run: (backend, out, x) => backend.cumsum(out, x, axis, exclusive, reverse),
  vjp: [(g) => g.cumsum(axis, { exclusive, reverse: !reverse })],
});
