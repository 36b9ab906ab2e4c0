/** Shapes and strides: the arithmetic that every backend and the tape share. All lists are row-major. */
import { check } from "./arguments.ts";

/** Sizes of the axes, outermost first; [] is the shape of a scalar. */
export type Shape = readonly number[];

const aList = { wanted: "an array of numbers", accepts: Array.isArray };

/** Throws where one of the lists is no array. Callers test that first, because this allocates and they run for every operation. */
function requireLists(where: string, lists: Readonly<Record<string, unknown>>): void {
  for (const [name, list] of Object.entries(lists)) check(where, name, list, aList);
}

/** Number of elements of `shape`; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  if (!Array.isArray(shape)) requireLists("sizeOf", { shape });
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** Row-major element strides of `shape`: [2, 3, 4] has [12, 4, 1]. */
export function stridesOf(shape: Shape): number[] {
  if (!Array.isArray(shape)) requireLists("stridesOf", { shape });
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** Whether elements lie one after the other in row-major order (the offset may be anything). */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  if (!(Array.isArray(shape) && Array.isArray(strides))) requireLists("isContiguous", { shape, strides });
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return sizeOf(shape) === 0;
    step *= shape[axis];
  }
  return true;
}

/** Whether two shapes have the same sizes in the same order. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (!(Array.isArray(a) && Array.isArray(b))) requireLists("sameShape", { a, b });
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** The common shape of two operands: axes aligned at the end, 1 stretches. `undefined` where they do not fit. */
export function broadcastShapes(a: Shape, b: Shape): number[] | undefined {
  if (!(Array.isArray(a) && Array.isArray(b))) requireLists("broadcastShapes", { a, b });
  const length = Math.max(a.length, b.length);
  const shape = new Array<number>(length);
  for (let i = 1; i <= length; i++) {
    const m = a[a.length - i] ?? 1;
    const n = b[b.length - i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) return undefined;
    shape[length - i] = m === 1 ? n : m;
  }
  return shape;
}

/** Strides that read an array of `shape` as if it had the larger shape `to`: 0 along stretched axes. */
export function broadcastStrides(shape: Shape, strides: readonly number[], to: Shape): number[] {
  if (!(Array.isArray(shape) && Array.isArray(strides) && Array.isArray(to))) requireLists("broadcastStrides", { shape, strides, to });
  const lead = to.length - shape.length;
  return to.map((n, axis) => (axis < lead || (shape[axis - lead] === 1 && n !== 1) ? 0 : strides[axis - lead]));
}

/**
 * Strides that read a strided array in the shape `to` (of as many elements) without moving any; `undefined` where that cannot
 * be. Axes of size 1 come and go freely, an axis splits, and neighbours merge where they already lie in order.
 */
export function reshapedStrides(shape: Shape, strides: readonly number[], to: Shape): number[] | undefined {
  if (isContiguous(shape, strides)) return stridesOf(to);
  const axes = shape.flatMap((n, axis) => (n === 1 ? [] : [axis]));
  const result = new Array<number>(to.length).fill(1);
  let at = to.length - 1;
  while (axes.length) {
    // Neighbouring axes that lie in order in memory are read as one axis of `run` elements.
    const last = axes.pop() ?? 0;
    const step = strides[last];
    let run = shape[last];
    while (axes.length && strides[axes[axes.length - 1]] === run * step) run *= shape[axes.pop() ?? 0];
    let taken = 1;
    for (; at >= 0 && (to[at] === 1 || (taken < run && run % (taken * to[at]) === 0)); at--) {
      result[at] = taken * step;
      taken *= to[at];
    }
    if (taken !== run) return undefined;
  }
  return result;
}

/** The elements of a view of int32 that the host has, in row-major order; the array itself where the view is all of it. */
export function inOrder(
  host: Int32Array,
  view: { readonly shape: Shape; readonly strides: readonly number[]; readonly offset: number },
): Int32Array {
  const { shape, strides, offset } = view;
  const size = sizeOf(shape);
  if (isContiguous(shape, strides)) return size === host.length ? host : host.subarray(offset, offset + size);
  let places = Int32Array.of(offset);
  shape.forEach((n, axis) => {
    const finer = new Int32Array(places.length * n);
    places.forEach((place, i) => {
      for (let j = 0; j < n; j++) finer[i * n + j] = place + j * strides[axis];
    });
    places = finer;
  });
  return places.map((place) => host[place]);
}

/** A shape as errors show it: "[2, 3]". */
export function formatShape(shape: Shape): string {
  if (!Array.isArray(shape)) requireLists("formatShape", { shape });
  return `[${shape.join(", ")}]`;
}
