/** Launching elementwise kernels. Undefined: not served, the reference loop runs. */
import { mergeAxes } from "../cpu/strided.ts";
import { isContiguous, sizeOf, stridesOf } from "../shape.ts";
import { reread } from "../views.ts";
import type { ArrayType, BinaryOp, Buffer, NDArray, UnaryOp } from "../backend.ts";
import { integerBinary, integerUnary } from "./kernels/integer.ts";
import { isWord, kernelName } from "./kernels/names.ts";
import { stretched, vectors } from "./views.ts";
import type { Launcher } from "./launcher.ts";

/** Every function has a kernel in float32, and some have one in int32. */
function kernelOf(op: string, { dtype }: NDArray, integer: object): string | undefined {
  return dtype === "float32" || (dtype === "int32" && op in integer) ? kernelName(op, dtype) : undefined;
}

export function unary(launcher: Launcher, op: UnaryOp, out: ArrayType, x: NDArray): Buffer | undefined {
  const kernel = kernelOf(op, x, integerUnary);
  if (!kernel) return undefined;
  const n = vectors(sizeOf(x.shape));
  return launcher.contiguous([x], (from) => launcher.make(out, (to) => launcher.start(kernel, n, 4 * n, to, from)));
}

export function binary(launcher: Launcher, op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer | undefined {
  const kernel = kernelOf(op, x, integerBinary);
  if (!kernel || sizeOf(out.shape) === 0) return undefined;
  const left = stretched(x, out.shape);
  const right = stretched(y, out.shape);
  const { sizes, steps } = mergeAxes(out.shape, [{ strides: stridesOf(out.shape), offset: 0 }, left, right]);
  // A single element takes the kernel of contiguous rows, whatever its strides: losses and step sizes are such.
  const inner = sizeOf(out.shape) === 1 ? "vv" : alongOf(steps[steps.length - 1]);
  if (inner && sizes.length <= 3) {
    const operands = [launcher.address(x), launcher.address(y)] as const;
    return launcher.make(out, (to) => binaryPattern(launcher, `${kernel}_${inner}`, sizes, steps, to, ...operands));
  }
  if (!inner && sizes.length === 1) return undefined;
  const n = sizeOf(out.shape);
  return launcher.contiguous([left, right], (a, b) => launcher.make(out, (to) => launcher.start(`${kernel}_vv`, vectors(n), n, to, a, b)));
}

/** "v" where an operand advances along the innermost merged axis, "s" where it stays; undefined where no kernel fits. */
function alongOf([, dx, dy]: readonly number[]): string | undefined {
  if (dx === 1 && dy === 1) return "vv";
  if (dx === 1 && dy === 0) return "vs";
  return dx === 0 && dy === 1 ? "sv" : undefined;
}

/** Merged axes [n], [rows, n] or [planes, rows, n]. */
function binaryPattern(
  launcher: Launcher,
  kernel: string,
  sizes: readonly number[],
  steps: readonly (readonly number[])[],
  to: number,
  x: number,
  y: number,
): void {
  const n = sizes[sizes.length - 1];
  if (sizes.length === 1) return launcher.start(kernel, vectors(n), n, to, x, y);
  const [rows] = sizes.slice(-2);
  const [, dx, dy] = steps[steps.length - 2];
  const planes = sizes.length === 3 ? sizes[0] : 1;
  const [, planeX, planeY] = steps[0];
  for (let p = 0; p < planes; p++) {
    const places = [to + 4 * p * rows * n, x + 4 * p * planeX, y + 4 * p * planeY];
    launcher.start(`${kernel}_rows`, rows, rows * n, ...places, n, 4 * dx, 4 * dy);
  }
}

export function select(launcher: Launcher, out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer | undefined {
  const n = sizeOf(out.shape);
  const { dtype } = condition;
  if (!isWord(out.dtype) || !isWord(dtype) || n === 0) return undefined;
  const operands = [condition, x, y].map((operand) => stretched(operand, out.shape));
  const single = operands.map(({ strides }) => n > 1 && strides.every((step, axis) => step === 0 || out.shape[axis] === 1));
  const listed = operands.map((operand, k) => (k > 0 && single[k] ? reread(operand, [], []) : operand));
  const kernel = `${kernelName("select", dtype)}_${single[1] ? "s" : "v"}${single[2] ? "s" : "v"}`;
  return launcher.contiguous(listed, (...from) => launcher.make(out, (to) => launcher.start(kernel, vectors(n), n, to, ...from)));
}

const castKernels: Readonly<Record<string, string>> = {
  "bfloat16 float32": "bfloat16ToFloat32",
  "float32 bfloat16": "float32ToBfloat16",
  "int32 float32": "int32ToFloat32",
  "float32 int32": "float32ToInt32",
};

export function cast(launcher: Launcher, out: ArrayType, x: NDArray): Buffer | undefined {
  const kernel = castKernels[`${x.dtype} ${out.dtype}`];
  if (!kernel || (x.dtype === "bfloat16" && !isContiguous(x.shape, x.strides))) return undefined;
  const n = vectors(sizeOf(x.shape));
  return launcher.contiguous([x], (from) => launcher.make(out, (to) => launcher.start(kernel, n, 4 * n, to, from)));
}
