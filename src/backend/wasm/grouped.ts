/** Launching products of rows sorted by expert: one product for each of E experts. M rows, D and F widths. */
import { checkOffsets } from "../indices.ts";
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import { multiplyEach, packed } from "./products.ts";
import type { Matrix, Product } from "./products.ts";
import type { Launcher } from "./launcher.ts";

const served = (x: NDArray, out: ArrayType): boolean => x.dtype === "float32" && sizeOf(out.shape) > 0;

/** The matrix of x's rows from `row` on. */
function rowsFrom(launcher: Launcher, x: NDArray, row: number): Matrix {
  return { at: launcher.address(x) + 4 * row * x.strides[0], batch: 0, row: 4 * x.strides[0], column: 4 * x.strides[1] };
}

const transposed = (x: Matrix): Matrix => ({ ...x, row: x.column, column: x.row });

/** Where experts begin, and where the last one ends. */
function boundsOf(launcher: Launcher, operation: string, x: NDArray, offsets: NDArray): number[] {
  const bounds = [...launcher.elements(offsets)];
  checkOffsets(operation, bounds, x.shape[0]);
  return bounds;
}

export function groupedMatmul(launcher: Launcher, out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer | undefined {
  if (!served(x, out)) return undefined;
  const [rows, columns] = out.shape;
  const inner = x.shape[1];
  const bounds = boundsOf(launcher, "groupedMatmul", x, offsets);
  const experts = bounds.length - 1;
  const [batch, row, column] = weight.strides.map((step) => 4 * step);
  return launcher.make(out, (to) => {
    if (inner === 0) return launcher.zero(to, rows * columns);
    launcher.zero(to + 4 * bounds[experts] * columns, (rows - bounds[experts]) * columns);
    const weights = { at: launcher.address(weight), batch, row, column };
    packed(launcher, weights, experts, inner, columns, Math.ceil(rows / experts), (b, bBatch) => {
      const each: Product[] = [];
      for (let e = 0; e < experts; e++) {
        const m = bounds[e + 1] - bounds[e];
        if (m === 0) continue;
        const c = { at: to + 4 * bounds[e] * columns, batch: 0, row: 4 * columns };
        each.push({ batch: 1, m, n: columns, k: inner, a: rowsFrom(launcher, x, bounds[e]), b: { ...b, at: b.at + e * bBatch }, c });
      }
      multiplyEach(launcher, each);
    });
  });
}

export function groupedOuter(launcher: Launcher, out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer | undefined {
  if (!served(x, out)) return undefined;
  const [experts, m, n] = out.shape;
  const bounds = boundsOf(launcher, "groupedOuter", x, offsets);
  const rows = bounds[experts];
  return launcher.make(out, (to) => {
    for (let e = 0; e < experts; e++) if (bounds[e] === bounds[e + 1]) launcher.zero(to + 4 * e * m * n, m * n);
    if (rows === 0) return;
    // All rows of y as panels at once: an expert's are a piece of each panel.
    packed(launcher, rowsFrom(launcher, y, 0), 1, rows, n, m, (b) => {
      const each = Array.from({ length: experts }, (_, e): Product => ({
        batch: 1,
        m,
        n,
        k: bounds[e + 1] - bounds[e],
        a: transposed(rowsFrom(launcher, x, bounds[e])),
        b: { ...b, at: b.at + bounds[e] * b.row },
        c: { at: to + 4 * e * m * n, batch: 0, row: 4 * n },
      }));
      multiplyEach(launcher, each);
    });
  });
}
