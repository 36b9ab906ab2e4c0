/**
 * An int32 tensor that the host made keeps its numbers there too, and so does what only moves them. An operation that takes them as indices can
 * check them without reading the device.
 */
import { sizeOf } from "../backend/shape.ts";

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
