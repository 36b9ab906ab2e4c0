/** Sums of rows with the same index, by gathering. N rows, I indices. */
import { inOrder, sizeOf } from "../shape.ts";
import { GpuBuffer } from "./gpuBuffer.ts";
import { sortedEntries } from "./order.ts";
import * as source from "./source/rows.ts";
import { withFlat } from "./views.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

/** Up to here every row looks at every index. */
const scanned = 64;

/** out[n] = the sum of g's rows whose index is n. Indices that the host made are sorted there, once; others on the device. */
export function addRows(launcher: Launcher, out: ArrayType, g: NDArray, index: NDArray): Buffer {
  const { limits } = launcher.device;
  const [n, count] = [out.shape[0], sizeOf(index.shape)];
  const width = sizeOf(out.shape.slice(1));
  return withFlat(launcher, g, [count, width], (rows) =>
    withFlat(launcher, index, [count], (entries) => {
      if (count <= scanned) {
        const program = () => source.addRowsByScan(n, width, count, limits);
        return launcher.launch({ name: "addRows, scan", out, inputs: [rows, entries], program });
      }
      const host = index.buffer instanceof GpuBuffer && index.buffer.host !== undefined;
      const lists = host ? hostEntries(launcher, index, n) : sortedEntries(launcher, entries, n);
      const inputs = [rows, vector(lists[0], count), vector(lists[1], n + 1)];
      const result = launcher.launch({ name: "addRows", out, inputs, program: () => source.addSortedRows(n, width, limits) });
      if (!host) lists.forEach((buffer) => launcher.free(buffer));
      return result;
    }),
  );
}

function vector(buffer: Buffer, n: number): NDArray {
  return { shape: [n], dtype: "int32", buffer, strides: [1], offset: 0 };
}

/** The sorted entries of an index that the host knows; kept with it, because backward asks for them again. */
function hostEntries(launcher: Launcher, index: NDArray, n: number): readonly Buffer[] {
  const buffer = index.buffer as GpuBuffer;
  const key = `${n} [${index.shape}/${index.strides}+${index.offset}]`;
  const known = buffer.derived.get(key);
  if (known) return known;
  const { order, starts } = countingSort(inOrder(buffer.host ?? new Int32Array(0), index), n);
  const made = [order, starts].map((data) => launcher.upload({ shape: [data.length], dtype: "int32" }, data) as GpuBuffer);
  buffer.derived.set(key, made);
  return made;
}

function countingSort(entries: Int32Array, n: number): { order: Float32Array; starts: Float32Array } {
  const starts = new Float32Array(n + 1);
  for (const row of entries) if (row >= 0 && row < n) starts[row + 1]++;
  for (let row = 0; row < n; row++) starts[row + 1] += starts[row];
  const next = starts.slice();
  const order = new Float32Array(entries.length);
  entries.forEach((row, p) => {
    if (row >= 0 && row < n) order[next[row]++] = p;
  });
  return { order, starts };
}
