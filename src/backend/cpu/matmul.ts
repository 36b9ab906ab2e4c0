/**
 * Matrix products. M rows, N columns, K inner size.
 *
 * A 4 x 4 tile of the result takes 8 loads for 16 multiplications, so the product is made of tiles. Operands are first packed:
 * four rows of x (four columns of y) are laid side by side, k after k, in float64. The inner loop then reads memory in
 * order, whatever the strides were, converts nothing, and sums in float64.
 */
import { forEachPlace, rowMajor, withoutAxis } from "./strided.ts";
import type { Layout, Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";
import type { Shape } from "../shape.ts";

const tile = 4;

/** A strided matrix: element (i, j) is data[at + i * row + j * column]. */
export interface Matrix {
  readonly data: TypedArray;
  readonly at: number;
  readonly row: number;
  readonly column: number;
}

/** x [..., M, K] times y [..., K, N]; leading axes agree. */
export function matmul(out: TypedArray, shape: Shape, x: Strided, y: Strided): void {
  const lead = shape.length - 2;
  const [m, n, k] = [shape[lead], shape[lead + 1], x.shape[lead + 1]];
  const batches = (layout: Layout): Layout => withoutAxis(withoutAxis(layout, lead + 1), lead);
  forEachPlace(shape.slice(0, lead), [batches(rowMajor(shape)), batches(x), batches(y)], ([o, i, j]) => {
    multiply(out, o, m, n, k, matrixAt(x, i), matrixAt(y, j));
  });
}

/** The last two axes of `x`, beginning at `at`. */
export function matrixAt(x: Strided, at: number): Matrix {
  return { data: x.data, at, row: x.strides[x.strides.length - 2], column: x.strides[x.strides.length - 1] };
}

export function transposed(x: Matrix): Matrix {
  return { data: x.data, at: x.at, row: x.column, column: x.row };
}

/** Writes x [M, K] y [K, N] row-major from out[o] on. */
export function multiply(out: TypedArray, o: number, m: number, n: number, k: number, x: Matrix, y: Matrix): void {
  if (m < tile) multiplyFew(out, o, m, n, k, x, y);
  else multiplyTiles(out, o, m, n, k, x, y);
}

// For few rows, as in generation, packing y takes longer than it saves.
function multiplyFew(out: TypedArray, o: number, m: number, n: number, k: number, x: Matrix, y: Matrix): void {
  const sums = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    sums.fill(0);
    for (let p = 0; p < k; p++) {
      const factor = x.data[x.at + i * x.row + p * x.column];
      for (let j = 0, at = y.at + p * y.row; j < n; j++, at += y.column) sums[j] += factor * y.data[at];
    }
    out.set(sums, o + i * n);
  }
}

function multiplyTiles(out: TypedArray, o: number, m: number, n: number, k: number, x: Matrix, y: Matrix): void {
  const columns = packed(transposed(y), n, k);
  const rows = new Float64Array(tile * k);
  const sums = new Float64Array(tile * tile);
  for (let i = 0; i < m; i += tile) {
    packStrip(rows, 0, x, i, m, k);
    for (let j = 0; j < n; j += tile) {
      multiplyTile(sums, rows, columns, j * k, k);
      storeTile(out, o + i * n + j, n, sums, Math.min(tile, m - i), Math.min(tile, n - j));
    }
  }
}

/** All strips of four rows of `x` [M, K], one after the other. */
function packed(x: Matrix, m: number, k: number): Float64Array {
  const strips = new Float64Array(Math.ceil(m / tile) * tile * k);
  for (let i = 0; i < m; i += tile) packStrip(strips, i * k, x, i, m, k);
  return strips;
}

/** Rows i to i + 3 of `x` [M, K], interleaved. Rows beyond M keep old numbers: their sums are not stored. */
function packStrip(strip: Float64Array, s: number, x: Matrix, i: number, m: number, k: number): void {
  for (let r = 0; r < Math.min(tile, m - i); r++) {
    for (let p = 0, at = x.at + (i + r) * x.row; p < k; p++, at += x.column) strip[s + p * tile + r] = x.data[at];
  }
}

// Sixteen sums in local variables: the compiler keeps them in registers.
// prettier-ignore
function multiplyTile(sums: Float64Array, x: Float64Array, y: Float64Array, b: number, k: number): void {
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0;
  let s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0;
  let s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let a = 0; a < k * tile; a += tile, b += tile) {
    const y0 = y[b], y1 = y[b + 1], y2 = y[b + 2], y3 = y[b + 3];
    const x0 = x[a], x1 = x[a + 1], x2 = x[a + 2], x3 = x[a + 3];
    s00 += x0 * y0; s01 += x0 * y1; s02 += x0 * y2; s03 += x0 * y3;
    s10 += x1 * y0; s11 += x1 * y1; s12 += x1 * y2; s13 += x1 * y3;
    s20 += x2 * y0; s21 += x2 * y1; s22 += x2 * y2; s23 += x2 * y3;
    s30 += x3 * y0; s31 += x3 * y1; s32 += x3 * y2; s33 += x3 * y3;
  }
  sums[0] = s00; sums[1] = s01; sums[2] = s02; sums[3] = s03;
  sums[4] = s10; sums[5] = s11; sums[6] = s12; sums[7] = s13;
  sums[8] = s20; sums[9] = s21; sums[10] = s22; sums[11] = s23;
  sums[12] = s30; sums[13] = s31; sums[14] = s32; sums[15] = s33;
}

function storeTile(out: TypedArray, o: number, n: number, sums: Float64Array, rows: number, columns: number): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[o + r * n + c] = sums[r * tile + c];
  }
}
