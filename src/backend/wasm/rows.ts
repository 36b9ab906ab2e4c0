/** Launching rows and elements by index. Undefined: not served. */
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { isWord, kernelName } from "./kernels/names.ts";
import type { WasmBackend } from "./wasmBackend.ts";

/** Each result is a sum of `sources` rows of x. */
export function gather(backend: WasmBackend, out: ArrayType, x: NDArray, index: NDArray, sources: number): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(out.shape) === 0) return undefined;
  const columns = sizeOf(x.shape.slice(1));
  const rows = sizeOf(out.shape) / columns;
  const work = rows * sources * (columns / 2 + 5);
  return backend.contiguous([x, index], (from, places) =>
    backend.make(out, (to) => backend.start(kernelName("gatherRows", dtype), rows, work, to, from, places, x.shape[0], sources, columns)),
  );
}

export function addRows(backend: WasmBackend, out: ArrayType, g: NDArray, index: NDArray): Buffer | undefined {
  const { dtype } = g;
  if (!isWord(dtype) || sizeOf(out.shape) === 0) return undefined;
  const columns = sizeOf(out.shape.slice(1));
  const count = sizeOf(index.shape);
  return backend.contiguous([g, index], (from, places) =>
    backend.make(out, (to) => backend.start(kernelName("addRows", dtype), out.shape[0], count * columns, to, from, places, count, columns)),
  );
}

/** x [O, N, I], index [O, M, I]: the sizes that the kernels need, for the index and what it points into. */
function launchAlong(backend: WasmBackend, kernel: string, out: ArrayType, x: NDArray, index: NDArray, axis: number, n: number): Buffer {
  const [outer, inner] = [sizeOf(index.shape.slice(0, axis)), sizeOf(index.shape.slice(axis + 1))];
  const work = 2 * (sizeOf(index.shape) + sizeOf(out.shape) / 4);
  return backend.contiguous([x, index], (from, places) =>
    backend.make(out, (to) => backend.start(kernel, outer, work, to, from, places, n, index.shape[axis], inner)),
  );
}

export function takeAlong(backend: WasmBackend, out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer | undefined {
  if (!isWord(x.dtype) || sizeOf(out.shape) === 0) return undefined;
  return launchAlong(backend, "takeAlong", out, x, index, axis, x.shape[axis]);
}

export function addAlong(backend: WasmBackend, out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer | undefined {
  if (!isWord(g.dtype) || sizeOf(out.shape) === 0) return undefined;
  return launchAlong(backend, kernelName("addAlong", g.dtype), out, g, index, axis, out.shape[axis]);
}
