/** The sum of squares of many arrays, for the norm of all gradients: a few launches for all of them, not a few for each. */
import { isContiguous, sizeOf } from "../shape.ts";
import { sumsOf } from "./source/reduce.ts";
import { inGroups, whole, withFlat } from "./views.ts";
import type { Buffer, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

/** Elements that one thread takes in, about. */
const piece = 256;
/** Up to here one thread takes in everything. */
const few = 512;

/** Float32 [] from float32 arrays of any shapes. */
export function sumOfSquares(launcher: Launcher, xs: readonly NDArray[]): Buffer {
  const filled = xs.filter((x) => sizeOf(x.shape) > 0);
  if (filled.length === 0) return launcher.upload({ shape: [], dtype: "float32" }, new Float32Array(1));
  return withContiguous(launcher, filled, (flat) => total(launcher, flat, true));
}

function withContiguous(launcher: Launcher, [x, ...rest]: readonly NDArray[], next: (flat: readonly NDArray[]) => Buffer): Buffer {
  if (!x) return next([]);
  const withX = (flat: NDArray): Buffer => withContiguous(launcher, rest, (others) => next([flat, ...others]));
  return isContiguous(x.shape, x.strides) ? withX(x) : withFlat(launcher, x, x.shape, withX);
}

/** Sums of pieces of as many arrays as a kernel takes, then the same of those, until one thread can take them all. */
function total(launcher: Launcher, xs: readonly NDArray[], squared: boolean): Buffer {
  const most = launcher.device.limits.arrays;
  if (xs.length <= most && xs.reduce((sum, x) => sum + sizeOf(x.shape), 0) <= few) return sums(launcher, xs, squared, true).buffer;
  const partial = inGroups(xs, most).map((group) => sums(launcher, group, squared, false));
  const result = total(launcher, partial, false);
  for (const { buffer } of partial) launcher.free(buffer);
  return result;
}

function sums(launcher: Launcher, inputs: readonly NDArray[], squared: boolean, together: boolean): NDArray {
  const arrays = inputs.map(({ shape, offset }) => {
    const n = sizeOf(shape);
    return { n, offset, pieces: together ? 1 : Math.ceil(n / piece) };
  });
  const out = { shape: together ? [] : [arrays.reduce((sum, { pieces }) => sum + pieces, 0)], dtype: inputs[0].dtype };
  const program = () => sumsOf(arrays, squared, together);
  return whole(launcher.launch({ name: squared ? "sums of squares" : "sums", out, inputs, variant: String(together), program }), out);
}
