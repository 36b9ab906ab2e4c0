/** Primitives that move elements and change none. Most are views: another reading of the same buffer. */
import type { DType } from "../backend/backend.ts";
import { broadcastStrides, formatShape, reshapedStrides, sizeOf } from "../backend/shape.ts";
import { requireSameDtype } from "./arguments.ts";
import { sideBySide } from "./hostIntegers.ts";
import type { Primitive } from "./primitive.ts";
import { same } from "./primitive.ts";
import type { Part } from "./shaping.ts";
import type { Tensor } from "./tensor.ts";

type Movement = Pick<Primitive, "run">;
const copying: Movement = { run: (backend, out, x) => backend.copy(out, x) };

/** A view wherever strides can say it, else a copy. */
export const reshape = (shape: readonly number[]): Primitive => ({
  name: "reshape",
  type(x) {
    if (sizeOf(shape) !== sizeOf(x.shape))
      throw new RangeError(
        `reshape: ${formatShape(x.shape)} holds ${sizeOf(x.shape)} elements, ${formatShape(shape)} would hold ${sizeOf(shape)}`,
      );
    return { shape, dtype: x.dtype };
  },
  view(_, x) {
    const strides = reshapedStrides(x.shape, x.strides, shape);
    return strides && { strides, offset: x.offset };
  },
  // A strided view is laid out in its own order; the new shape reads that.
  host: (x) => x.host,
  run: (backend, _, x) => backend.copy({ shape: x.shape, dtype: x.dtype }, x),
  vjp: [(g, _, x) => g.reshape(x.shape)],
});

/** axes[i] is the input axis that becomes axis i. */
export const permute = (axes: readonly number[]): Primitive => ({
  ...copying,
  name: "permute",
  type: (x) => ({ shape: axes.map((axis) => x.shape[axis]), dtype: x.dtype }),
  view: (_, x) => ({ strides: axes.map((axis) => x.strides[axis]), offset: x.offset }),
  vjp: [(g) => g.permute(axes.map((_, i) => axes.indexOf(i)))],
});

/** Stretched axes have stride 0: nothing is copied. */
export const broadcastTo = (shape: readonly number[]): Primitive => ({
  ...copying,
  name: "broadcastTo",
  type(x) {
    const lead = shape.length - x.shape.length;
    if (lead < 0 || x.shape.some((n, axis) => n !== 1 && n !== shape[axis + lead]))
      throw new RangeError(`broadcastTo: ${formatShape(x.shape)} does not stretch to ${formatShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  view: (out, x) => ({ strides: broadcastStrides(x.shape, x.strides, out.shape), offset: x.offset }),
  vjp: [(g) => g], // summed along the stretched axes by the tape
});

/** parts[i] of axis i: `count` elements from `start` on, `step` apart. */
export const slice = (parts: readonly Part[]): Primitive => ({
  ...copying,
  name: "slice",
  type: (x) => ({ shape: parts.map(({ count }) => count), dtype: x.dtype }),
  view: (_, x) => ({
    strides: parts.map(({ step }, axis) => step * x.strides[axis]),
    offset: x.offset + parts.reduce((sum, { start, count }, axis) => sum + (count > 0 ? start * x.strides[axis] : 0), 0),
  }),
  vjp: [(g, _, x) => putBack(g, parts, x.shape)],
});

/** The adjoint of a slice: elements go back to their places, zeros between and around them. */
function putBack(g: Tensor, parts: readonly Part[], shape: readonly number[]): Tensor {
  const dense = parts.reduce((y, part, axis) => (Math.abs(part.step) === 1 ? turned(y, part, axis) : dilated(y, part, axis)), g);
  const first = parts.map(({ start, step, count }) => (count === 0 ? 0 : step < 0 ? start + (count - 1) * step : start));
  return dense.pad(dense.shape.map((n, axis) => [first[axis], shape[axis] - first[axis] - n]));
}

function turned(g: Tensor, { step }: Part, axis: number): Tensor {
  return step < 0 ? g.flip(axis) : g;
}

/** Zeros between the elements of an axis, so that they are as far apart as the step says. */
function dilated(g: Tensor, part: Part, axis: number): Tensor {
  if (part.count === 0) return g;
  const gap = Math.abs(part.step);
  const columns = turned(g, part, axis).unsqueeze(axis + 1);
  const rows = columns.pad(columns.shape.map((_, i) => [0, i === axis + 1 ? gap - 1 : 0]));
  return rows.reshape(g.shape.with(axis, part.count * gap)).narrow(axis, 0, (part.count - 1) * gap + 1);
}

export const flip = (axes: readonly number[]): Primitive => ({
  ...copying,
  name: "flip",
  type: same,
  view: (_, x) => ({
    strides: x.strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
    offset: x.offset + axes.reduce((sum, axis) => sum + Math.max(0, x.shape[axis] - 1) * x.strides[axis], 0),
  }),
  vjp: [(g) => g.flip(axes)],
});

/** The same elements, one after the other in memory. */
export const contiguous: Primitive = { ...copying, name: "contiguous", type: same, host: (x) => x.host, vjp: [(g) => g] };

/** widths[i] = [before, after] along axis i. */
export const pad = (widths: readonly (readonly [number, number])[], value: number): Primitive => ({
  name: "pad",
  type: (x) => ({ shape: x.shape.map((n, axis) => n + widths[axis][0] + widths[axis][1]), dtype: x.dtype }),
  run: (backend, out, x) =>
    backend.pad(
      out,
      x,
      widths.map(([before]) => before),
      value,
    ),
  vjp: [(g, _, x) => g.slice(...x.shape.map((n, axis): [number, number] => [widths[axis][0], widths[axis][0] + n]))],
});

/** Side by side along one axis. `starts` are the places of the parts, and the total behind them. */
export const concatenation = (axis: number, starts: readonly number[]): Primitive => ({
  name: "concat",
  type(...parts) {
    const [first] = parts;
    for (const part of parts) {
      requireSameDtype("concat", first, part);
      if (part.shape.length !== first.shape.length || part.shape.some((n, i) => i !== axis && n !== first.shape[i]))
        throw new RangeError(`concat: ${formatShape(part.shape)} beside ${formatShape(first.shape)}: sizes differ outside axis ${axis}`);
    }
    return { shape: first.shape.map((n, i) => (i === axis ? starts[starts.length - 1] : n)), dtype: first.dtype };
  },
  host: (...parts) => sideBySide(parts, axis),
  run: (backend, out, ...parts) => backend.concat(out, parts, axis),
  vjp: starts.slice(1).map((stop, i) => (g) => g.narrow(axis, starts[i], stop)),
});

/** To another dtype. bfloat16 rounds to nearest, ties to even; int32 truncates and carries no gradient. */
export const cast = (dtype: DType): Primitive => ({
  name: "cast",
  type: (x) => ({ shape: x.shape, dtype }),
  run: (backend, out, x) => backend.cast(out, x),
  vjp: [dtype === "int32" ? null : (g, _, x) => g.cast(x.dtype)],
});
