/**
 * An int32 tensor that the host made keeps its numbers there too, and so does what only moves them. An operation that takes them as indices can
 * check them without reading the device.
 */
import type { NDArray } from "../backend/backend.ts";
import { isContiguous, sizeOf } from "../backend/shape.ts";

/** The elements of a view in row-major order; the array itself where the view is all of it. */
export function inOrder(host: Int32Array, view: Pick<NDArray, "shape" | "strides" | "offset">): Int32Array {
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

/** The numbers of parts joined along an axis; null where the host does not know those of one part. */
export function sideBySide(
  parts: readonly { readonly shape: readonly number[]; readonly host: Int32Array | null }[],
  axis: number,
): Int32Array | null {
  const known = parts.flatMap(({ shape, host }) => (host ? [{ host, run: sizeOf(shape.slice(axis)) }] : []));
  if (known.length < parts.length) return null;
  const total = known.reduce((sum, { run }) => sum + run, 0);
  const rows = sizeOf(parts[0].shape.slice(0, axis));
  const out = new Int32Array(rows * total);
  let from = 0;
  for (const { host, run } of known) {
    for (let row = 0; row < rows; row++) out.set(host.subarray(row * run, (row + 1) * run), row * total + from);
    from += run;
  }
  return out;
}
