/** Orders along the last axis. NaN ranks below every number and equal values keep their order, in both directions. */
import { sizeOf } from "../shape.ts";
import { contiguous } from "./movement.ts";
import type { Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";

/** Whether a comes strictly before b in ascending order. */
function below(a: number, b: number): boolean {
  return a < b || (a !== a && b === b);
}

/** Sorts `order`, a list of places in `keys`, by a stable bottom-up merge; `spare` is room of the same size. */
function mergeSort(order: Int32Array, spare: Int32Array, keys: TypedArray, descending: boolean): void {
  const n = order.length;
  let [from, to] = [order, spare];
  for (let width = 1; width < n; width *= 2) {
    for (let start = 0; start < n; start += 2 * width) {
      merge(from, to, start, Math.min(start + width, n), Math.min(start + 2 * width, n), keys, descending);
    }
    [from, to] = [to, from];
  }
  if (from !== order) order.set(from);
}

// The right part is taken only where it comes strictly first: this makes the sort stable.
function merge(from: Int32Array, to: Int32Array, start: number, middle: number, end: number, keys: TypedArray, descending: boolean): void {
  for (let k = start, i = start, j = middle; k < end; k++) {
    const right = i === middle || (j < end && (descending ? below(keys[from[i]], keys[from[j]]) : below(keys[from[j]], keys[from[i]])));
    to[k] = from[right ? j++ : i++];
  }
}

/** Sorts each row of x and hands `visit` the row's number and its order, the places of its elements from first to last. */
function forEachOrder(x: Strided, descending: boolean, visit: (row: number, order: Int32Array) => void): void {
  const n = x.shape[x.shape.length - 1];
  if (sizeOf(x.shape) === 0) return;
  const keys = contiguous(x);
  const order = new Int32Array(n);
  const spare = new Int32Array(n);
  for (let row = 0; row * n < keys.length; row++) {
    for (let i = 0; i < n; i++) order[i] = i;
    mergeSort(order, spare, keys.subarray(row * n, (row + 1) * n), descending);
    visit(row, order);
  }
}

export function argsort(out: TypedArray, x: Strided, descending: boolean): void {
  forEachOrder(x, descending, (row, order) => out.set(order, row * order.length));
}

export function rank(out: TypedArray, x: Strided, descending: boolean): void {
  forEachOrder(x, descending, (row, order) => {
    for (let place = 0; place < order.length; place++) out[row * order.length + order[place]] = place;
  });
}

/** For more places than this, sorting the whole row is faster. */
const fewChoices = 32;

/** The places of the k largest of each row, largest first. */
export function topK(out: TypedArray, x: Strided, k: number): void {
  if (k > fewChoices) return forEachOrder(x, true, (row, order) => out.set(order.subarray(0, k), row * k));
  const n = x.shape[x.shape.length - 1];
  const values = contiguous(x);
  for (let row = 0; row * k < out.length; row++) insertLargest(out, row * k, k, values, row * n, n);
}

// Insertion into a short sorted list: a new element is put before those strictly below it, so equals keep their order.
function insertLargest(out: TypedArray, o: number, k: number, x: TypedArray, start: number, n: number): void {
  for (let i = 0; i < n; i++) {
    let place = Math.min(i, k);
    while (place > 0 && below(x[start + out[o + place - 1]], x[start + i])) place--;
    if (place === k) continue;
    out.copyWithin(o + place + 1, o + place, o + Math.min(i, k - 1));
    out[o + place] = i;
  }
}
