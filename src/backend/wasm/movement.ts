/** Launching copies: of strided views, into a place of a larger array, and one behind the other. For elements of four bytes. */
import { bytesPerElement } from "../cpu/cpuBackend.ts";
import { mergeAxes } from "../cpu/strided.ts";
import { sizeOf, stridesOf } from "../shape.ts";
import type { ArrayType, Buffer, DType, NDArray } from "../backend.ts";
import { vectors } from "./views.ts";
import type { Launcher } from "./launcher.ts";

/** Four axes for the copy kernel, and the steps in bytes along each, there and here. */
interface CopyPlan {
  readonly sizes: readonly number[];
  readonly out: readonly number[];
  readonly x: readonly number[];
}

/** Undefined where the kernel does not serve: other element sizes, nothing to copy, more than four axes, or results far apart. */
function copyPlan(x: NDArray, outStrides: readonly number[]): CopyPlan | undefined {
  if (bytesPerElement[x.dtype] !== 4 || sizeOf(x.shape) === 0) return undefined;
  const { sizes, steps } = mergeAxes(x.shape, [{ strides: outStrides, offset: 0 }, x]);
  const last = steps[steps.length - 1];
  if (sizes.length > 4 || (last[0] !== 1 && sizes[sizes.length - 1] > 1)) return undefined;
  const four = [[0, 0], [0, 0], [0, 0], ...steps].slice(-4);
  return { sizes: [1, 1, 1, ...sizes].slice(-4), out: four.map(([step]) => 4 * step), x: four.map(([, step]) => 4 * step) };
}

function copyTo(launcher: Launcher, to: number, { sizes: [n0, n1, rows, columns], out, x: from }: CopyPlan, x: NDArray): void {
  const work = n0 * n1 * rows * columns;
  const plane = [to, out[2], launcher.address(x), rows, columns, from[2], from[3]];
  launcher.start("copy", n0 * n1, work, ...plane, n1, out[0], out[1], from[0], from[1]);
}

export function copy(launcher: Launcher, out: ArrayType, x: NDArray): Buffer | undefined {
  const plan = copyPlan(x, stridesOf(x.shape));
  return plan && launcher.make(out, (to) => copyTo(launcher, to, plan, x));
}

/** The four bytes of a number as an int32. */
function bitsOf(value: number, dtype: DType): number {
  return dtype === "int32" ? value : new Int32Array(Float32Array.of(value).buffer)[0];
}

export function pad(launcher: Launcher, out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer | undefined {
  const strides = stridesOf(out.shape);
  const plan = copyPlan(x, strides);
  if (!plan) return undefined;
  const n = vectors(sizeOf(out.shape));
  const corner = before.reduce((sum, skip, axis) => sum + skip * strides[axis], 0);
  return launcher.make(out, (to) => {
    launcher.start("fill", n, n, to, bitsOf(value, out.dtype));
    copyTo(launcher, to + 4 * corner, plan, x);
  });
}

/** Copies x to where `into` lies; false: not served. */
export function place(launcher: Launcher, into: NDArray, x: NDArray): boolean {
  const plan = copyPlan(x, into.strides);
  if (plan) copyTo(launcher, launcher.address(into), plan, x);
  return plan !== undefined;
}

export function concat(launcher: Launcher, out: ArrayType, xs: readonly NDArray[], axis: number): Buffer | undefined {
  const strides = stridesOf(out.shape);
  const present = xs.filter((x) => sizeOf(x.shape) > 0);
  const plans = present.map((x) => copyPlan(x, strides));
  if (plans.includes(undefined)) return undefined;
  return launcher.make(out, (to) => {
    let at = to;
    for (const [i, x] of present.entries()) {
      const plan = plans[i];
      if (plan) copyTo(launcher, at, plan, x);
      at += 4 * x.shape[axis] * strides[axis];
    }
  });
}
