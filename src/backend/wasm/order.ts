/** Launching order along the last axis, and counting. Undefined: not served. R rows of N numbers. */
import { placesOf } from "../indices.ts";
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { sortScratch } from "./kernels/order.ts";
import { vectors } from "./views.ts";
import type { Launcher } from "./launcher.ts";

/** Up to so many places of a row are found by insertion; for more, sorting the row is faster. */
const FEW = 32;

/** The length of the rows; a scalar is a row of one number. */
const lastOf = ({ shape }: ArrayType): number => shape[shape.length - 1] ?? 1;

/** The places of the first out.shape[-1] of each row. */
export function first(launcher: Launcher, out: ArrayType, x: NDArray, descending: boolean): Buffer | undefined {
  const k = placesOf("topK", out, x);
  if ((x.dtype !== "float32" && x.dtype !== "int32") || sizeOf(out.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(x.shape) / lastOf(x), lastOf(x)];
  return launcher.contiguous([x], (from) =>
    withKeys(launcher, x, from, descending, (keys) =>
      launcher.make(out, (to) => {
        if (k <= FEW) return launcher.start("firstPlaces", rows, rows * (2 * n + k * k), to, keys, n, k);
        sorting(launcher, n, (scratch, bytes) =>
          launcher.start("sortedPlaces", rows, rows * (1000 + 10 * n), to, keys, n, k, scratch, bytes),
        );
      }),
    ),
  );
}

/** `use` with keys for the elements of x at `from`: int32, the smaller ahead. */
function withKeys<T>(launcher: Launcher, x: NDArray, from: number, descending: boolean, use: (keys: number) => T): T {
  if (x.dtype === "int32" && !descending) return use(from);
  const n = vectors(sizeOf(x.shape));
  return launcher.scratch(16 * n, (keys) => {
    launcher.start(x.dtype === "int32" ? "intKeys" : "floatKeys", n, 2 * n, keys, from, descending ? -1 : 0);
    return use(keys);
  });
}

/** `use` with scratch for each thread, and its bytes for one. */
function sorting<T>(launcher: Launcher, n: number, use: (scratch: number, bytes: number) => T): T {
  const bytes = sortScratch(n);
  return launcher.scratch(bytes * launcher.threads, (scratch) => use(scratch, bytes));
}

export function rank(launcher: Launcher, out: ArrayType, x: NDArray, descending: boolean): Buffer | undefined {
  const sorted = first(launcher, out, x, descending);
  if (!sorted) return undefined;
  try {
    return launcher.make(out, (to) => inverse(launcher, out, to, launcher.addressOf(sorted), lastOf(out)));
  } finally {
    launcher.free(sorted);
  }
}

export function invert(launcher: Launcher, out: ArrayType, index: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0 || sizeOf(index.shape) === 0) return undefined;
  return launcher.contiguous([index], (from) => launcher.make(out, (to) => inverse(launcher, out, to, from, lastOf(index))));
}

function inverse(launcher: Launcher, out: ArrayType, to: number, from: number, n: number): void {
  const rows = sizeOf(out.shape) / lastOf(out);
  launcher.start("invert", rows, rows * (n + lastOf(out)), to, from, n, lastOf(out));
}

export function countEarlier(launcher: Launcher, out: ArrayType, key: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(key.shape) / lastOf(key), lastOf(key)];
  return launcher.contiguous([key], (keys) =>
    sorting(launcher, n, (scratch, bytes) =>
      launcher.make(out, (to) => launcher.start("countEarlier", rows, rows * (100 + 2 * n), to, keys, n, scratch, bytes)),
    ),
  );
}

export function bincount(launcher: Launcher, out: ArrayType, key: NDArray): Buffer | undefined {
  if (sizeOf(out.shape) === 0 || sizeOf(key.shape) === 0) return undefined;
  const [rows, n] = [sizeOf(key.shape) / lastOf(key), lastOf(key)];
  return launcher.contiguous([key], (keys) =>
    launcher.make(out, (to) => launcher.start("bincount", rows, 2 * rows * n, to, keys, n, lastOf(out))),
  );
}
