/** Launching rows by index. Undefined: not served. */
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import type { WasmBackend } from "./wasmBackend.ts";

const served = (x: NDArray, out: ArrayType): boolean => x.dtype === "float32" && sizeOf(out.shape) > 0;

/** Each result is a sum of `sources` rows of x. */
export function gather(backend: WasmBackend, out: ArrayType, x: NDArray, index: NDArray, sources: number): Buffer | undefined {
  if (!served(x, out)) return undefined;
  const columns = sizeOf(x.shape.slice(1));
  const rows = sizeOf(out.shape) / columns;
  const work = rows * sources * (columns / 2 + 5);
  return backend.contiguous([x, index], (from, places) =>
    backend.make(out, (to) => backend.start("gatherRows", rows, work, to, from, places, x.shape[0], sources, columns)),
  );
}

export function addRows(backend: WasmBackend, out: ArrayType, g: NDArray, index: NDArray): Buffer | undefined {
  if (!served(g, out)) return undefined;
  const columns = sizeOf(out.shape.slice(1));
  const count = sizeOf(index.shape);
  return backend.contiguous([g, index], (from, places) =>
    backend.make(out, (to) => backend.start("addRows", out.shape[0], count * columns, to, from, places, count, columns)),
  );
}
