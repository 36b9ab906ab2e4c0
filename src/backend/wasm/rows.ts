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
  const columns = sizeOf(out.shape.slice(1));
  const count = sizeOf(index.shape);
  return launcher.contiguous([g, index], (from, places) => {
    launcher.checkIndices("addRows", places, count, 0, out.shape[0]);
    return launcher.make(out, (to) => {
      launcher.start(kernelName("addRows", dtype), out.shape[0], count * columns, to, from, places, count, columns);
    });
  });
}

/** x [O, N, I], index [O, M, I]: the sizes that the kernels need, for the index and what it points into. */
function launchAlong(launcher: Launcher, operation: string, out: ArrayType, x: NDArray, index: NDArray, axis: number, n: number): Buffer {
  const [outer, inner] = [sizeOf(index.shape.slice(0, axis)), sizeOf(index.shape.slice(axis + 1))];
  const work = 2 * (sizeOf(index.shape) + sizeOf(out.shape) / 4);
  const kernel = kernelName(operation, operation === "addAlong" && x.dtype === "int32" ? "int32" : "float32");
  return launcher.contiguous([x, index], (from, places) => {
    launcher.checkIndices(operation, places, sizeOf(index.shape), 0, n);
    return launcher.make(out, (to) => launcher.start(kernel, outer, work, to, from, places, n, index.shape[axis], inner));
  });
}

export function takeAlong(launcher: Launcher, out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer | undefined {
  if (!isWord(x.dtype) || sizeOf(out.shape) === 0) return undefined;
  return launchAlong(launcher, "takeAlong", out, x, index, axis, x.shape[axis]);
}

export function addAlong(launcher: Launcher, out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer | undefined {
  if (!isWord(g.dtype) || sizeOf(out.shape) === 0) return undefined;
  return launchAlong(launcher, "addAlong", out, g, index, axis, out.shape[axis]);
}
