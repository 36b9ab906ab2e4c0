/** From strided operands to the packed panels and blocks of the matrix kernels. Strides here are bytes. M, N, K as there. */
import { mergeAxes } from "../cpu/strided.ts";
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { GEMM_SCRATCH, NR, PRODUCT_WORDS } from "./kernels/matmul.ts";
import type { Launcher } from "./launcher.ts";

/** A batch of matrices in memory. `panel`: it is packed, and so many bytes lie between its panels. */
export interface Matrix {
  readonly at: number;
  readonly batch: number;
  readonly row: number;
  readonly column: number;
  readonly panel?: number;
}

/** C = A B, `batch` times. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: { readonly at: number; readonly batch: number; readonly row: number };
  /** Where a row lies that is added to each row of C, where K is not 0. */
  readonly bias?: number;
}

/**
 * From how many rows of A on B is packed, if its rows can be read where they lie: for fewer rows packing takes longer than it saves. Where
 * rows of B are more than half a page of memory apart, the processor's table of page addresses (TLB) soon overflows, and packing pays earlier.
 */
const packFrom = (rowOfB: number): number => (rowOfB <= 2048 ? 64 : 16);
const BLOCK_ROWS = 96;
/** Divides by the rows of every micro-kernel's tile. */
const TILE_ROWS = 12;
/** Multiply-adds in a nanosecond, roughly, on one thread. */
const SPEED = 16;

/** Undefined: not served. */
export function matmul(launcher: Launcher, out: ArrayType, x: NDArray, y: NDArray): Buffer | undefined {
  if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return undefined;
  return launcher.make(out, (to) => {
    for (const product of matmulPlan(launcher, to, out, x, y)) multiply(launcher, product);
  });
}

/** x y as products whose batch advances by one stride for each operand: the leading axes that do not merge are walked here. */
function matmulPlan(launcher: Launcher, to: number, out: ArrayType, x: NDArray, y: NDArray): Product[] {
  const [m, n] = out.shape.slice(-2);
  const k = x.shape[x.shape.length - 1];
  const [xRow, xColumn] = x.strides.slice(-2).map(bytes);
  const [yRow, yColumn] = y.strides.slice(-2).map(bytes);
  const leads = [x, y].map(({ strides }) => ({ strides: strides.slice(0, -2), offset: 0 }));
  const { sizes, steps } = mergeAxes(out.shape.slice(0, -2), leads);
  const batch = sizes[sizes.length - 1];
  const [xBatch, yBatch] = steps[steps.length - 1].map(bytes);
  const [xAt, yAt] = [launcher.address(x), launcher.address(y)];
  // A shared B, and rows of A that continue from matrix to matrix: one tall product.
  const tall = yBatch === 0 && (batch === 1 || xBatch === m * xRow);
  const size = 4 * m * n;
  return places(sizes.slice(0, -1), steps).map(([dx, dy], index) => ({
    batch: tall ? 1 : batch,
    m: tall ? batch * m : m,
    n,
    k,
    a: { at: xAt + bytes(dx), batch: xBatch, row: xRow, column: xColumn },
    b: { at: yAt + bytes(dy), batch: yBatch, row: yRow, column: yColumn },
    c: { at: to + size * batch * index, batch: size, row: 4 * n },
  }));
}

const bytes = (step: number): number => 4 * step;

/** Offsets of x and y for every index of the outer axes, in row-major order. */
function places(sizes: readonly number[], steps: readonly (readonly number[])[]): (readonly [number, number])[] {
  let all: (readonly [number, number])[] = [[0, 0]];
  for (const [axis, n] of sizes.entries()) {
    const [sx, sy] = steps[axis];
    all = all.flatMap(([dx, dy]) => Array.from({ length: n }, (_, i) => [dx + i * sx, dy + i * sy] as const));
  }
  return all;
}

/** `use` with B packed into panels, [N / 8, K, 8] for each of `batch` matrices, or as it is where packing does not pay. */
export function packed(
  launcher: Launcher,
  b: Matrix,
  batch: number,
  k: number,
  n: number,
  rows: number,
  use: (b: Matrix, batchBytes: number) => void,
): void {
  if (rows < packFrom(b.row) && b.column === 4) return use({ ...b, panel: 4 * NR }, b.batch);
  const matrices = b.batch === 0 ? 1 : batch;
  const panels = Math.ceil(n / NR);
  const panel = 4 * NR * k;
  launcher.scratch(matrices * panels * panel, (at) => {
    launcher.start("packB", matrices * panels, matrices * k * n * 0.5, at, b.at, b.batch, b.row, b.column, k, n);
    const stride = b.batch === 0 ? 0 : panels * panel;
    use({ at, batch: stride, row: 4 * NR, column: 4, panel }, stride);
  });
}

/** Runs one product, on all threads. */
export function multiply(launcher: Launcher, product: Product): void {
  const { batch, m, n, k, a, b, c, bias = 0 } = product;
  if (m === 0 || n === 0) return;
  if (k === 0) return launcher.zero(c.at, batch * m * n);
  if (b.panel === undefined) return packed(launcher, b, batch, k, n, m, (panels) => multiply(launcher, { ...product, b: panels }));
  const work = (batch * m * n * k) / SPEED;
  const { rows, columns } = blocks(batch, m, n, launcher.threads);
  const items = batch * Math.ceil(m / rows) * Math.ceil(n / columns);
  launcher.scratch(GEMM_SCRATCH * launcher.threads, (scratch) => {
    launcher.start(
      "matmul",
      items,
      work,
      c.at,
      c.batch,
      c.row,
      a.at,
      a.batch,
      a.row,
      a.column,
      b.at,
      b.batch,
      b.row,
      b.panel ?? 0,
      m,
      n,
      k,
      rows,
      columns,
      bias,
      scratch,
    );
  });
}

/** Blocks of C for the threads to claim: whole rows if there are enough, else columns too. */
function blocks(batch: number, m: number, n: number, threads: number): { rows: number; columns: number } {
  if (threads === 1) return { rows: m, columns: n };
  const wanted = 6 * threads;
  const rows = Math.min(m, BLOCK_ROWS);
  const items = batch * Math.ceil(m / rows);
  if (items >= wanted) return { rows, columns: n };
  const across = Math.min(Math.ceil(wanted / items), Math.ceil(n / 64));
  return { rows, columns: NR * Math.ceil(n / NR / across) };
}

/**
 * Products of their own sizes, with A, B (packed) and C of alike strides, in one launch: a launch for each would have the threads wait for
 * one another at the end of every one of them.
 */
export function multiplyEach(launcher: Launcher, products: readonly Product[]): void {
  const work = products.reduce((sum, { m, n, k }) => sum + m * n * k, 0);
  if (work === 0) return;
  if (products.length === 1) return multiply(launcher, products[0]);
  const share = launcher.threads === 1 ? Infinity : work / (12 * launcher.threads);
  const pieces = products.flatMap((product) => cut(product, share));
  const [{ a, b, c }] = products;
  launcher.scratch(4 * pieces.length * PRODUCT_WORDS, (table) =>
    launcher.scratch(GEMM_SCRATCH * launcher.threads, (scratch) => {
      launcher.write(table, pieces.flat());
      launcher.start("matmulEach", pieces.length, work / SPEED, table, c.row, a.row, a.column, b.row, b.panel ?? 0, scratch);
    }),
  );
}

/** A product in even blocks of C, none of much more work than `share`: c, a, b, m, n, k of each. */
function cut({ m, n, k, a, b, c }: Product, share: number): number[][] {
  if (m * n * k === 0) return [];
  const rows = share === Infinity ? m : evenly(m, Math.ceil(m / BLOCK_ROWS), TILE_ROWS);
  const columns = share === Infinity ? n : evenly(n, Math.min(Math.ceil((rows * n * k) / share), Math.ceil(n / 64)), NR);
  return steps(m, rows).flatMap((i) =>
    steps(n, columns).map((j) => [
      c.at + i * c.row + 4 * j,
      a.at + i * a.row,
      b.at + (j / NR) * (b.panel ?? 0),
      Math.min(rows, m - i),
      Math.min(columns, n - j),
      k,
    ]),
  );
}

/** The size of `count` nearly equal parts of n: a multiple of `unit`. */
const evenly = (n: number, count: number, unit: number): number => unit * Math.ceil(n / count / unit);
/** 0, step, 2 step, ... below n. */
const steps = (n: number, step: number): number[] => Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step);
