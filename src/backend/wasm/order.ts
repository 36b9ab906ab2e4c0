/** Launching order along the last axis, and counting. Undefined: not served. R rows of N numbers. */
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { sortScratch } from "./kernels/order.ts";
import { vectors } from "./views.ts";
import type { WasmBackend } from "./wasmBackend.ts";

/** Up to so many places of a row are found by insertion; for more, sorting the row is the faster way. */
const FEW = 32;

const lastOf = ({ shape }: ArrayType): number => shape[shape.length - 1];

/** The places of the first out.shape[-1] of each row. */
export function first(backend: WasmBackend, out: ArrayType, x: NDArray, descending: boolean): Buffer | undefined {
  const k = lastOf(out);
  if ((x.dtype !== "float32" && x.dtype !== "int32") || sizeOf(out.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(x.shape) / lastOf(x), lastOf(x)];
  return backend.contiguous([x], (from) =>
    withKeys(backend, x, from, descending, (keys) =>
      backend.make(out, (to) => {
        if (k <= FEW) return backend.start("firstPlaces", rows, rows * (2 * n + k * k), to, keys, n, k);
        sorting(backend, n, (scratch, bytes) =>
          backend.start("sortedPlaces", rows, rows * (1000 + 10 * n), to, keys, n, k, scratch, bytes),
        );
      }),
    ),
  );
}

/** `use` with keys for the elements of x at `from`: int32, the smaller ahead. */
function withKeys<T>(backend: WasmBackend, x: NDArray, from: number, descending: boolean, use: (keys: number) => T): T {
  if (x.dtype === "int32" && !descending) return use(from);
  const n = vectors(sizeOf(x.shape));
  return backend.scratch(16 * n, (keys) => {
    backend.start(x.dtype === "int32" ? "intKeys" : "floatKeys", n, 2 * n, keys, from, descending ? -1 : 0);
    return use(keys);
  });
}

/** `use` with scratch for each thread, and its bytes for one. */
function sorting<T>(backend: WasmBackend, n: number, use: (scratch: number, bytes: number) => T): T {
  const bytes = sortScratch(n);
  return backend.scratch(bytes * backend.threads, (scratch) => use(scratch, bytes));
}

export function rank(backend: WasmBackend, out: ArrayType, x: NDArray, descending: boolean): Buffer | undefined {
  const sorted = first(backend, out, x, descending);
  if (!sorted) return undefined;
  const ranks = backend.make(out, (to) => inverse(backend, out, to, backend.addressOf(sorted), lastOf(out)));
  backend.free(sorted);
  return ranks;
}

export function invert(backend: WasmBackend, out: ArrayType, index: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0 || sizeOf(index.shape) === 0) return undefined;
  return backend.contiguous([index], (from) => backend.make(out, (to) => inverse(backend, out, to, from, lastOf(index))));
}

function inverse(backend: WasmBackend, out: ArrayType, to: number, from: number, n: number): void {
  const rows = sizeOf(out.shape) / lastOf(out);
  backend.start("invert", rows, rows * (n + lastOf(out)), to, from, n, lastOf(out));
}

export function countEarlier(backend: WasmBackend, out: ArrayType, key: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(key.shape) / lastOf(key), lastOf(key)];
  return backend.contiguous([key], (keys) =>
    sorting(backend, n, (scratch, bytes) =>
      backend.make(out, (to) => backend.start("countEarlier", rows, rows * (100 + 2 * n), to, keys, n, scratch, bytes)),
    ),
  );
}

export function bincount(backend: WasmBackend, out: ArrayType, key: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0 || sizeOf(key.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(key.shape) / lastOf(key), lastOf(key)];
  return backend.contiguous([key], (keys) =>
    backend.make(out, (to) => backend.start("bincount", rows, 2 * rows * n, to, keys, n, lastOf(out))),
  );
}
