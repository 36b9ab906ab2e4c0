/** Sums of rows with the same index, by gathering. N rows, I indices. */
import { isContiguous, sizeOf, stridesOf } from "../shape.ts";
import { GpuBuffer } from "./gpuBuffer.ts";
import { sortedEntries } from "./order.ts";
import { elementwise } from "./source/elementwise.ts";
import * as source from "./source/rows.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

/** Up to here every row looks at every index. */
const scanned = 64;

/** out[n] = the sum of g's rows whose index is n. Indices that the host made are sorted there, once; others on the device. */
export function addRows(launcher: Launcher, out: ArrayType, g: NDArray, index: NDArray): Buffer {
  const { limits } = launcher.device;
  const [n, count] = [out.shape[0], sizeOf(index.shape)];
  const width = sizeOf(out.shape.slice(1));
  const [rows, entries] = [flat(launcher, g, [count, width]), flat(launcher, index, [count])];
  const sum = (): Buffer => {
    if (count <= scanned) {
      const program = () => source.addRowsByScan(n, width, count, limits);
      return launcher.launch({ name: "addRows, scan", out, inputs: [rows, entries], program });
    }
    const host = index.buffer instanceof GpuBuffer && index.buffer.host !== undefined;
    const lists = host ? hostEntries(launcher, index, n) : sortedEntries(launcher, entries, n);
    const inputs = [rows, ...lists.map((buffer, k) => vector(buffer, k === 0 ? count : n + 1))];
    const program = () => source.addSortedRows(n, width, limits);
    const result = launcher.launch({ name: "addRows", out, inputs, program });
    if (!host) lists.forEach((buffer) => launcher.free(buffer));
    return result;
  };
  const result = sum();
  if (rows.buffer !== g.buffer) launcher.free(rows.buffer);
  if (entries.buffer !== index.buffer) launcher.free(entries.buffer);
  return result;
}

function vector(buffer: Buffer, n: number): NDArray {
  return { shape: [n], dtype: "int32", buffer, strides: [1], offset: 0 };
}

/** `x` as a contiguous array of `shape`, copied if it is not one. */
function flat(launcher: Launcher, x: NDArray, shape: readonly number[]): NDArray {
  const strides = stridesOf(shape);
  if (isContiguous(x.shape, x.strides) && x.offset === 0) return { dtype: x.dtype, buffer: x.buffer, shape, strides, offset: 0 };
  const program = () => elementwise(x.shape, [x], "return x;", launcher.device.limits);
  const buffer = launcher.launch({ name: "copy", out: x, inputs: [x], program });
  return { dtype: x.dtype, buffer, shape, strides, offset: 0 };
}

/** The sorted entries of an index that the host knows; kept with it, because backward asks for them again. */
function hostEntries(launcher: Launcher, index: NDArray, n: number): readonly Buffer[] {
  const buffer = index.buffer as GpuBuffer;
  const key = `${n} [${index.shape}/${index.strides}+${index.offset}]`;
  const known = buffer.derived.get(key);
  if (known) return known;
  const { order, starts } = countingSort(entriesOf(index, buffer.host ?? new Int32Array(0)), n);
  const made = [order, starts].map((data) => launcher.upload({ shape: [data.length], dtype: "int32" }, data) as GpuBuffer);
  buffer.derived.set(key, made);
  return made;
}

/** The entries of a view in row-major order. */
function entriesOf({ shape, strides, offset }: NDArray, data: Int32Array): number[] {
  return shape
    .reduce((places, size, axis) => places.flatMap((p) => Array.from({ length: size }, (_, i) => p + i * strides[axis])), [offset])
    .map((place) => data[place]);
}

function countingSort(entries: readonly number[], n: number): { order: Float32Array; starts: Float32Array } {
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
