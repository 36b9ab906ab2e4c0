/** Primitives that work along axes: sums, extremes and running sums. */
import type { ArgReduceOp } from "../backend/backend.ts";
import { requireSome } from "./arguments.ts";
import { keeping, without } from "./axes.ts";
import type { Primitive } from "./primitive.ts";
import { same } from "./primitive.ts";

export const sum = (axes: readonly number[]): Primitive => ({
  name: "sum",
  type: (x) => ({ shape: without(x.shape, axes), dtype: x.dtype }),
  run: (backend, out, x) => backend.reduce("sum", out, x, axes),
  vjp: [(g, _, x) => g.reshape(keeping(x.shape, axes)).broadcastTo(x.shape)],
});

/** The largest or smallest over several axes at once: ties share the gradient. (Along one axis the first takes all of it: see Tensor.max.) */
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

export const cumsum = (axis: number, exclusive: boolean, reverse: boolean): Primitive => ({
  name: "cumsum",
  type: same,
  run: (backend, out, x) => backend.cumsum(out, x, axis, exclusive, reverse),
  vjp: [(g) => g.cumsum(axis, { exclusive, reverse: !reverse })],
});
