/**
 * Products and activations of slots: E experts with N = G C rows each, of which the first filled[e, g] of each C are computed. What the others
 * hold is not read, and their results are zeros. D and F widths.
 */
import { filledRows } from "../slots.ts";
import type { FilledRows } from "../slots.ts";
import { biasActivation, biasActivationCotangent } from "./activation.ts";
import { matrixAt, multiply, transposed } from "./matmul.ts";
import { contiguous } from "./movement.ts";
import type { Matrix } from "./matmul.ts";
import type { Strided } from "./strided.ts";
import type { Activation, TypedArray } from "../backend.ts";

function rowsOf(operation: string, x: Strided, filled: Strided): FilledRows[] {
  return filledRows(operation, contiguous(filled), filled.shape, x.shape[1]);
}

/** Where row `row` of an expert lies. */
const placeOf = (x: Strided, expert: number, row: number): number => x.offset + expert * x.strides[0] + row * x.strides[1];

/** x [E, N, D] weight [E, D, F] -> [E, N, F] */
export function slotMatmul(out: TypedArray, x: Strided, weight: Strided, filled: Strided): void {
  const [, rows, inner] = x.shape;
  const columns = weight.shape[2];
  out.fill(0);
  for (const { expert, begin, end } of rowsOf("slotProduct", x, filled)) {
    const left = matrixAt(x, placeOf(x, expert, begin));
    multiply(out, (expert * rows + begin) * columns, end - begin, columns, inner, left, matrixAt(weight, placeOf(weight, expert, 0)));
  }
}

/** x [E, N, D] and y [E, N, F] -> [E, D, F]: the sum over the filled rows of x^T y. */
export function slotOuter(out: TypedArray, x: Strided, y: Strided, filled: Strided): void {
  const [experts, , inner] = x.shape;
  const columns = y.shape[2];
  const rows = rowsOf("slotProduct", x, filled);
  for (let e = 0; e < experts; e++) {
    const own = rows.filter(({ expert }) => expert === e);
    const count = own.reduce((sum, { begin, end }) => sum + end - begin, 0);
    multiply(out, e * inner * columns, inner, columns, count, transposed(gathered(x, own)), gathered(y, own));
  }
}

/** Rows of an expert, one after the other. */
function gathered(x: Strided, rows: readonly FilledRows[]): Matrix {
  const width = x.shape[2];
  const parts = rows.map((part) => contiguous(partOf(x, part)));
  const data = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, at: 0, row: width, column: 1 };
}

function partOf(x: Strided, { expert, begin, end }: FilledRows): Strided {
  return { data: x.data, shape: [end - begin, x.shape[2]], strides: x.strides.slice(1), offset: placeOf(x, expert, begin) };
}

/** Calls `body` for each run of filled rows with its part of `out` and of each array, and the bias of its expert. */
function onFilled(
  out: TypedArray,
  arrays: readonly Strided[],
  filled: Strided,
  bias: Strided | undefined,
  body: (out: TypedArray, parts: readonly Strided[], bias: Strided | undefined) => void,
): void {
  const [, rows, width] = arrays[0].shape;
  for (const part of rowsOf("slotProduct", arrays[0], filled)) {
    const [first, last] = [part.begin, part.end].map((row) => (part.expert * rows + row) * width);
    const own = bias && { data: bias.data, shape: [width], strides: bias.strides.slice(2), offset: placeOf(bias, part.expert, 0) };
    body(
      out.subarray(first, last),
      arrays.map((array) => partOf(array, part)),
      own,
    );
  }
}

/** activation(z + bias) in the filled rows of `out` [E, N, F], zeros elsewhere; z [E, N, F], bias [E, 1, F]. */
export function slotActivation(out: TypedArray, z: Strided, filled: Strided, bias: Strided | undefined, activation: Activation): void {
  out.fill(0);
  onFilled(out, [z], filled, bias, (to, [rows], own) => {
    biasActivation(to, rows, own, activation);
  });
}

/** The cotangent of z in `slotActivation`; that of the bias is its sum over the rows. */
export function slotActivationCotangent(
  out: TypedArray,
  g: Strided,
  z: Strided,
  filled: Strided,
  bias: Strided | undefined,
  activation: Activation,
): void {
  out.fill(0);
  onFilled(out, [z, g], filled, bias, (to, [rows, slope], own) => {
    biasActivationCotangent(to, slope, rows, own, activation);
  });
}
