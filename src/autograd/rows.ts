/**
 * Primitives that read rows by index. N rows, M and I results, J parts of each. Indices are int32 and carry no gradient.
 * Those made on the host are checked here; those that a device computed are checked by the device, where its host can look without waiting.
 */
import type { ArrayType } from "../backend/backend.ts";
import { formatShape, sameShape } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import { requireAlong, requireFloat, requireInt } from "./arguments.ts";
import type { Primitive } from "./primitive.ts";
import { same } from "./primitive.ts";

/**
 * x [N, ...D], index [M, J], inverse [N, I] -> [M, ...D]: out[m] = sum over j of x[index[m, j]]; -1 contributes nothing.
 * `inverse` lists, for each row n, the results it went to. The rule is the primitive itself with the tables swapped: dispatch
 * and combine, forward and backward, are all gathers, and no device needs to scatter.
 */
export const gatherRows: Primitive = {
  name: "gatherRows",
  type(x, index, inverse) {
    requireFloat("gatherRows", x);
    requireInt("gatherRows", "index", index);
    requireInt("gatherRows", "inverse", inverse);
    if (x.shape.length < 1 || index.shape.length !== 2 || inverse.shape.length !== 2 || inverse.shape[0] !== x.shape[0])
      throw new RangeError(
        `gatherRows: x ${formatShape(x.shape)}, index ${formatShape(index.shape)}, inverse ${formatShape(inverse.shape)}: want [N, ...], [M, J], [N, I]`,
      );
    return { shape: [index.shape[0], ...x.shape.slice(1)], dtype: x.dtype };
  },
  run: (backend, out, x, index) => backend.gatherRows(out, x, index),
  vjp: [(g, _, _x, index, inverse) => apply(gatherRows, g, inverse, index), null, null],
};

/** x [N, ...D], index [...I] -> [...I, ...D]. */
export const takeRows: Primitive = {
  name: "takeRows",
  type(x, index) {
    requireInt("takeRows", "index", index);
    return { shape: [...index.shape, ...x.shape.slice(1)], dtype: x.dtype };
  },
  run: (backend, out, x, index) => backend.takeRows(out, x, index),
  vjp: [(g, _, x, index) => g.addRows(index, x.shape[0]), null],
};

/** Adjoint of takeRows: g [...I, ...D], index [...I] -> [count, ...D], rows of one index added up. */
export const addRows = (count: number): Primitive => ({
  name: "addRows",
  type(g, index) {
    requireInt("addRows", "index", index);
    const lead = index.shape.length;
    if (!sameShape(g.shape.slice(0, lead), index.shape))
      throw new RangeError(`addRows: index ${formatShape(index.shape)} does not lead ${formatShape(g.shape)}`);
    return { shape: [count, ...g.shape.slice(lead)], dtype: g.dtype };
  },
  run: (backend, out, g, index) => backend.addRows(out, g, index),
  vjp: [(h, _, _g, index) => h.takeRows(index), null],
});

/** out[..., i, ...] = x[..., index[..., i, ...], ...] along `axis`. */
export const takeAlong = (axis: number): Primitive => ({
  name: "takeAlong",
  type(x, index) {
    requireAlong("takeAlong", x, index, axis);
    return { shape: index.shape, dtype: x.dtype };
  },
  run: (backend, out, x, index) => backend.takeAlong(out, x, index, axis),
  vjp: [(g, _, x, index) => g.addAlong(index, axis, x.shape[axis]), null],
});

/** Adjoint of takeAlong: adds g at `index` into `count` zeros along `axis`. */
export const addAlong = (axis: number, count: number): Primitive => ({
  name: "addAlong",
  type(g, index) {
    requireInt("addAlong", "index", index);
    if (!sameShape(g.shape, index.shape))
      throw new RangeError(`addAlong: ${formatShape(g.shape)} and index ${formatShape(index.shape)} differ`);
    return { shape: g.shape.map((n, i) => (i === axis ? count : n)), dtype: g.dtype };
  },
  run: (backend, out, g, index) => backend.addAlong(out, g, index, axis),
  vjp: [(h, _, _g, index) => h.takeAlong(index, axis), null],
});

// Order. int32 results without gradient; NaN ranks below every number, ties keep their order.

function requireAxis(operation: string, x: ArrayType): void {
  if (x.shape.length === 0) throw new RangeError(`${operation}: a scalar has no order`);
}

export const argsort = (descending: boolean): Primitive => ({
  name: "argsort",
  type(x) {
    requireAxis("argsort", x);
    return { shape: x.shape, dtype: "int32" };
  },
  run: (backend, out, x) => backend.argsort(out, x, descending),
  vjp: [null],
});

export const rank = (descending: boolean): Primitive => ({
  name: "rank",
  type(x) {
    requireAxis("rank", x);
    return { shape: x.shape, dtype: "int32" };
  },
  run: (backend, out, x) => backend.rank(out, x, descending),
  vjp: [null],
});

export const topK = (k: number): Primitive => ({
  name: "topK",
  type(x) {
    requireAxis("topK", x);
    const n = x.shape[x.shape.length - 1];
    if (!Number.isInteger(k) || k < 0 || k > n) throw new RangeError(`topK: k = ${k} of an axis of ${n} in ${formatShape(x.shape)}`);
    return { shape: [...x.shape.slice(0, -1), k], dtype: "int32" };
  },
  run: (backend, out, x) => backend.topK(out, x),
  vjp: [null],
});

/** index [..., M] -> [..., count]: where each of 0..count-1 stands in the row, -1 where nowhere. */
export const invert = (count: number): Primitive => ({
  name: "invert",
  type(index) {
    requireInt("invert", "index", index);
    return { shape: [...index.shape.slice(0, -1), count], dtype: "int32" };
  },
  run: (backend, out, index) => backend.invert(out, index),
  vjp: [null],
});

/** How many earlier elements of the row are equal; -1 for negative keys. A token's place in its expert's queue. */
export const countEarlier: Primitive = {
  name: "countEarlier",
  type(key) {
    requireInt("countEarlier", "key", key);
    return same.call(this, key);
  },
  run: (backend, out, key) => backend.countEarlier(out, key),
  vjp: [null],
};

/** key [..., N] -> [..., count]: how often each of 0..count-1 occurs. */
export const bincount = (count: number): Primitive => ({
  name: "bincount",
  type(key) {
    requireInt("bincount", "key", key);
    return { shape: [...key.shape.slice(0, -1), count], dtype: "int32" };
  },
  run: (backend, out, key) => backend.bincount(out, key),
  vjp: [null],
});
