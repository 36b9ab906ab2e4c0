/** Launching rows and elements by index. Undefined: not served. */
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { isWord, kernelName } from "./kernels/names.ts";
import type { Launcher } from "./launcher.ts";

/** index [M, J]: each result is the sum of J rows of x; -1 names none. */
export function gatherRows(launcher: Launcher, out: ArrayType, x: NDArray, index: NDArray): Buffer | undefined {
  return gather(launcher, "gatherRows", out, x, index, index.shape[1], -1);
}

export function takeRows(launcher: Launcher, out: ArrayType, x: NDArray, index: NDArray): Buffer | undefined {
  return gather(launcher, "takeRows", out, x, index, 1, 0);
}

/** Each result is a sum of `sources` rows of x. */
function gather(
  launcher: Launcher,
  operation: string,
  out: ArrayType,
  x: NDArray,
  index: NDArray,
  sources: number,
  least: number,
): Buffer | undefined {
  const { dtype } = x;
  if (!isWord(dtype) || sizeOf(out.shape) === 0) return undefined;
  const columns = sizeOf(x.shape.slice(1));
  const rows = sizeOf(out.shape) / columns;
  const work = rows * sources * (columns / 2 + 5);
  return launcher.contiguous([x, index], (from, places) => {
    launcher.checkIndices(operation, places, sizeOf(index.shape), least, x.shape[0]);
    return launcher.make(out, (to) => {
      launcher.start(kernelName("gatherRows", dtype), rows, work, to, from, places, x.shape[0], sources, columns);
    });
  });
}

export function addRows(launcher: Launcher, out: ArrayType, g: NDArray, index: NDArray): Buffer | undefined {
  const { dtype } = g;
  if (!isWord(dtype) || sizeOf(out.shape) === 0) return undefined;
  const [n, columns] = [out.shape[0], sizeOf(out.shape.slice(1))];
  const count = sizeOf(index.shape);
  return launcher.contiguous([g, index], (from, places) => {
    launcher.checkIndices("addRows", places, count, 0, n);
    return launcher.scratch(4 * (n + 2 + count), (bounds) => {
      const order = bounds + 4 * (n + 2);
      launcher.start("entriesByRow", 1, 0, places, count, n, bounds, order);
      return launcher.make(out, (to) => {
        launcher.start(kernelName("addRows", dtype), n, count * columns, to, from, bounds, order, columns);
      });
    });
  });
}

/** x [O, N, I], index [O, M, I]: the numbers that the kernels need, for the index and what it points into. */
function sizesOf(index: NDArray, axis: number, n: number): { outer: number; inner: number; given: number[] } {
  const [outer, inner] = [sizeOf(index.shape.slice(0, axis)), sizeOf(index.shape.slice(axis + 1))];
  return { outer, inner, given: [n, index.shape[axis], inner] };
}

export function takeAlong(launcher: Launcher, out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer | undefined {
  if (!isWord(x.dtype) || sizeOf(out.shape) === 0) return undefined;
  const n = x.shape[axis];
  const { outer, given } = sizesOf(index, axis, n);
  return launcher.contiguous([x, index], (from, places) => {
    launcher.checkIndices("takeAlong", places, sizeOf(index.shape), 0, n);
    return launcher.make(out, (to) => launcher.start("takeAlong", outer, 2 * sizeOf(out.shape), to, from, places, ...given));
  });
}

export function addAlong(launcher: Launcher, out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer | undefined {
  const { dtype } = g;
  if (!isWord(dtype) || sizeOf(out.shape) === 0) return undefined;
  const n = out.shape[axis];
  const { outer, inner, given } = sizesOf(index, axis, n);
  const work = 2 * (sizeOf(index.shape) + sizeOf(out.shape));
  // Of each thread, for the sums of one item.
  const bytes = dtype === "int32" ? 0 : 8 * Math.ceil((n * inner) / 8) * 8;
  return launcher.contiguous([g, index], (from, places) => {
    launcher.checkIndices("addAlong", places, sizeOf(index.shape), 0, n);
    return launcher.scratch(bytes * launcher.threads, (scratch) =>
      launcher.make(out, (to) => launcher.start(kernelName("addAlong", dtype), outer, work, to, from, places, ...given, scratch, bytes)),
    );
  });
}
