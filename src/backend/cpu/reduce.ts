/**
 * Reductions, arg-reductions and running sums. A reduction is a walk over x in which the result's steps along reduced axes
 * are 0. Sums are kept in float64 and rounded once; those of int32 wrap around.
 */
import { sizeOf, stridesOf } from "../shape.ts";
import { forEachPlace, forEachRun, rowMajor, withoutAxis } from "./strided.ts";
import type { Strided } from "./strided.ts";
import type { ArgReduceOp, ReduceOp, TypedArray } from "../backend.ts";

/** Takes a run of x into total: into one cell when dt is 0, else into cells dt apart. */
type ReduceLoop = (n: number, total: Float64Array, t: number, dt: number, x: TypedArray, i: number, dx: number) => void;

// NaN ranks below every number: it is the identity of max, and in a min it wins and stays.
// prettier-ignore
const reduceLoops: Record<ReduceOp, { readonly identity: number; readonly loop: ReduceLoop }> = {
  sum: { identity: 0, loop: (n, total, t, dt, x, i, dx) => {
    for (; n > 0; n--, t += dt, i += dx) total[t] += x[i];
  } },
  max: { identity: NaN, loop: (n, total, t, dt, x, i, dx) => {
    for (; n > 0; n--, t += dt, i += dx) if (x[i] > total[t] || total[t] !== total[t]) total[t] = x[i];
  } },
  min: { identity: Infinity, loop: (n, total, t, dt, x, i, dx) => {
    for (; n > 0; n--, t += dt, i += dx) if (x[i] < total[t] || x[i] !== x[i]) total[t] = x[i];
  } },
};

/** Sums of int32: no number of terms leaves the whole numbers that a float64 holds. */
const integerSum: ReduceLoop = (n, total, t, dt, x, i, dx) => {
  for (; n > 0; n--, t += dt, i += dx) total[t] = (total[t] + x[i]) | 0;
};

/** Runs `sum` on a float64 array of zeros or `identity`, which then becomes `out`. */
export function accumulate(out: TypedArray, identity: number, sum: (total: Float64Array) => void): void {
  const total = out instanceof Float64Array ? out : new Float64Array(out.length);
  total.fill(identity);
  sum(total);
  if (total !== out) out.set(total);
}

export function reduce(op: ReduceOp, out: TypedArray, x: Strided, axes: readonly number[]): void {
  const { identity } = reduceLoops[op];
  const loop = op === "sum" && out instanceof Int32Array ? integerSum : reduceLoops[op].loop;
  const kept = stridesOf(x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n)));
  const target = { strides: kept.map((step, axis) => (axes.includes(axis) ? 0 : step)), offset: 0 };
  accumulate(out, identity, (total) => {
    forEachRun(x.shape, [target, x], (n, [t, i], [dt, dx]) => loop(n, total, t, dt, x.data, i, dx));
  });
}

type Search = (n: number, x: TypedArray, i: number, dx: number) => number;

// `best !== best`: the first number replaces a leading NaN. `best === best`: a NaN replaces any number, and stays.
// prettier-ignore
const searches: Record<ArgReduceOp, Search> = {
  argmax: (n, x, i, dx) => {
    let place = 0;
    let best = x[i];
    for (let k = 0; k < n; k++, i += dx) if (x[i] > best || (best !== best && x[i] === x[i])) { best = x[i]; place = k; }
    return place;
  },
  argmin: (n, x, i, dx) => {
    let place = 0;
    let best = x[i];
    for (let k = 0; k < n; k++, i += dx) if (x[i] < best || (best === best && x[i] !== x[i])) { best = x[i]; place = k; }
    return place;
  },
};

export function argReduce(op: ArgReduceOp, out: TypedArray, x: Strided, axis: number): void {
  const search = searches[op];
  const lanes = x.shape.toSpliced(axis, 1);
  forEachPlace(lanes, [rowMajor(lanes), withoutAxis(x, axis)], ([o, i]) => {
    out[o] = search(x.shape[axis], x.data, i, x.strides[axis]);
  });
}

/** Running sums along `axis`. exclusive: a place does not count itself; reverse: sums come from the end. */
export function cumsum(out: TypedArray, x: Strided, axis: number, exclusive: boolean, reverse: boolean): void {
  if (sizeOf(x.shape) === 0) return;
  const target = rowMajor(x.shape);
  const n = x.shape[axis];
  const whole = out instanceof Int32Array;
  const [dOut, dx] = reverse ? [-target.strides[axis], -x.strides[axis]] : [target.strides[axis], x.strides[axis]];
  forEachPlace(x.shape.toSpliced(axis, 1), [withoutAxis(target, axis), withoutAxis(x, axis)], ([from, start]) => {
    let o = reverse ? from - (n - 1) * dOut : from;
    let i = reverse ? start - (n - 1) * dx : start;
    for (let k = 0, sum = 0; k < n; k++, o += dOut, i += dx) {
      const next = whole ? (sum + x.data[i]) | 0 : sum + x.data[i];
      out[o] = exclusive ? sum : next;
      sum = next;
    }
  });
}
