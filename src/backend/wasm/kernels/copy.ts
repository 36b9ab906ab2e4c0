/** Copies of strided views, for elements of four bytes. What is written has contiguous rows. */
import { f32, i32, v128 } from "../instructions.ts";
import type { I32 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { forVectors, store } from "./loops.ts";
import { transpose4 } from "./packing.ts";

const PLANE = { out: "i32", outRow: "i32", x: "i32", rows: "i32", columns: "i32", rowStride: "i32", columnStride: "i32" } as const;
type Plane = { readonly [Name in keyof typeof PLANE]: Local<"i32"> };

/** [rows, columns] whose rows are contiguous, or one number each. */
function copyRows(f: Body, { out, outRow, x, rows, columns, rowStride, columnStride }: Plane): void {
  const bytes = f.let(i32.shl(columns, 2));
  f.for(0, rows, 1, () => {
    const number = f.let(v128.load32Splat(x));
    f.if(
      columnStride,
      () => forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), v128.load(i32.add(x, at)), tail)),
      () => forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), number, tail)),
    );
    f.set(x, i32.add(x, rowStride));
    f.set(out, i32.add(out, outRow));
  });
}

function copySingly(f: Body, { out, outRow, x, rows, columns, rowStride, columnStride }: Plane, fromRow: I32): void {
  f.for(fromRow, rows, 1, (r) => {
    const from = f.let(i32.add(x, i32.mul(r, rowStride)));
    const to = f.let(i32.add(out, i32.mul(r, outRow)));
    f.for(0, columns, 1, () => {
      f.do(f32.store(to, f32.load(from)));
      f.set(from, i32.add(from, columnStride));
      f.set(to, i32.add(to, 4));
    });
  });
}

/** A transpose: columns are contiguous. By blocks of 4 x 4 as far as they go. */
function copyTransposed(f: Body, plane: Plane): void {
  const { out, outRow, x, rows, columns, columnStride } = plane;
  const wholeRows = f.let(i32.and(rows, -4));
  const wholeColumns = f.let(i32.and(columns, -4));
  f.for(0, wholeRows, 4, (r) => {
    const from = f.let(i32.add(x, i32.shl(r, 2)));
    const to = f.let(i32.add(out, i32.mul(r, outRow)));
    const toRow = (row: number): I32 => i32.add(to, i32.mul(outRow, row));
    f.for(0, wholeColumns, 4, () => {
      const lines = transpose4(
        f,
        [0, 1, 2, 3].map((c) => v128.load(i32.add(from, i32.mul(columnStride, c)))),
      );
      for (const [row, line] of lines.entries()) f.do(v128.store(toRow(row), line));
      f.set(from, i32.add(from, i32.shl(columnStride, 2)));
      f.set(to, i32.add(to, 16));
    });
    f.for(wholeColumns, columns, 1, () => {
      for (let row = 0; row < 4; row++) f.do(f32.store(toRow(row), f32.load(from, 4 * row)));
      f.set(from, i32.add(from, columnStride));
      f.set(to, i32.add(to, 4));
    });
  });
  copySingly(f, plane, wholeRows);
}

/** Item: one plane, [rows, columns], of [n0, n1] of them; strides in bytes. */
export function copyKernels(m: Module): void {
  const plane = m.func("copyPlane", PLANE, (f, p) => {
    f.if(
      i32.or(i32.eq(p.columnStride, 4), i32.eqz(p.columnStride)),
      () => copyRows(f, p),
      () =>
        f.if(
          i32.eq(p.rowStride, 4),
          () => copyTransposed(f, p),
          () => copySingly(f, p, i32.const(0)),
        ),
    );
  });
  m.export("copy", { ...PLANE, n1: "i32", out0: "i32", out1: "i32", x0: "i32", x1: "i32", begin: "i32", end: "i32" }, (f, p) => {
    f.for(p.begin, p.end, 1, (item) => {
      const [i0, i1] = [f.let(i32.divU(item, p.n1)), f.let(i32.remU(item, p.n1))];
      const at = (base: I32, stride0: I32, stride1: I32): I32 => i32.add(base, i32.add(i32.mul(i0, stride0), i32.mul(i1, stride1)));
      // prettier-ignore
      f.call(plane, {
        out: at(p.out, p.out0, p.out1), outRow: p.outRow, x: at(p.x, p.x0, p.x1),
        rows: p.rows, columns: p.columns, rowStride: p.rowStride, columnStride: p.columnStride,
      });
    });
  });
}
