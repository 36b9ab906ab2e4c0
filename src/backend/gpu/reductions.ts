/** Reductions as one launch or several. A long axis is first reduced in pieces: parallel, and closer to the exact sum. */
import { sizeOf } from "../shape.ts";
import { merge } from "./source/grid.ts";
import { cumsumStep, reduce } from "./source/reduce.ts";
import { whole } from "./views.ts";
import type { ArrayType, Buffer, NDArray, ReduceOp } from "../backend.ts";
import type { Launcher } from "./launcher.ts";
import type { Lane } from "./source/reduce.ts";

/** Elements that one thread takes in at most. */
const longest = 256;

/** Sizes and strides of the axes that are reduced, and of the others; neighbours merged. */
function separate(x: NDArray, axes: readonly number[]): { kept: ReturnType<typeof part>; gone: ReturnType<typeof part> } {
  const inAxes = (_: number, axis: number): boolean => axes.includes(axis);
  const others = (_: number, axis: number): boolean => !axes.includes(axis);
  return { kept: part(x, others), gone: part(x, inAxes) };
}

function part(x: NDArray, belongs: (_: number, axis: number) => boolean): { shape: readonly number[]; strides: readonly number[] } {
  const merged = merge(x.shape.filter(belongs), [{ strides: x.strides.filter(belongs), offset: 0 }]);
  return { shape: merged.shape, strides: merged.layouts[0].strides };
}

export function reduceAll(launcher: Launcher, op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
  if (sizeOf(x.shape) === 0 && sizeOf(out.shape) > 0) return empty(launcher, op, out);
  const { kept, gone } = separate(x, axes);
  const [n, stride] = gone.shape.length > 0 ? [gone.shape[gone.shape.length - 1], gone.strides[gone.strides.length - 1]] : [1, 0];
  const shape = [...kept.shape, ...gone.shape.slice(0, -1)];
  const layout = { strides: [...kept.strides, ...gone.strides.slice(0, -1)], offset: x.offset };
  const lane: Lane = { kept: shape, layout, n, stride };
  const piece = n <= 2 * longest ? n : Math.min(longest, Math.ceil(Math.sqrt(n)));
  const pieces = Math.ceil(n / piece);
  const last = gone.shape.length <= 1 && pieces === 1;
  const type = last ? out : { dtype: out.dtype, shape: pieces > 1 ? [...shape, pieces] : shape };
  const program = () => reduce(op, lane, piece, launcher.device.limits);
  const partial = launcher.launch({ name: op, out: type, inputs: [x], variant: String(axes), program });
  if (last) return partial;
  const rest = type.shape.map((_, axis) => axis).slice(kept.shape.length);
  const result = reduceAll(launcher, op, out, whole(partial, type), rest);
  launcher.free(partial);
  return result;
}

/** The sum of `x` over the axes along which `small` was stretched. */
export function sumTo(launcher: Launcher, { shape, dtype }: ArrayType, x: NDArray): Buffer {
  const lead = x.shape.length - shape.length;
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis < lead || shape[axis - lead] !== x.shape[axis]);
  return reduceAll(launcher, "sum", { shape, dtype }, x, axes);
}

function empty(launcher: Launcher, op: ReduceOp, out: ArrayType): Buffer {
  const identity = { sum: 0, max: NaN, min: Infinity }[op];
  return launcher.upload(out, new Float32Array(sizeOf(out.shape)).fill(identity));
}

/** Running sums by doubling: log2(N) launches. */
export function runningSums(launcher: Launcher, out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer {
  const n = x.shape[axis];
  const step = (source: NDArray, distance: number, shift: number): Buffer => {
    const program = () => cumsumStep(source, axis, distance, shift, reverse, launcher.device.limits);
    return launcher.launch({ name: "cumsum", out, inputs: [source], variant: `${axis} ${distance} ${shift} ${reverse}`, program });
  };
  let sums = step(x, 1, exclusive ? 1 : 0);
  for (let distance = 2; distance < n; distance *= 2) {
    const next = step(whole(sums, out), distance, 0);
    launcher.free(sums);
    sums = next;
  }
  return sums;
}
