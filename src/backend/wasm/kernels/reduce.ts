/**
 * Reductions along rows, [R, C] -> [R], and along columns, [R, C] -> [C]. Sums are kept in blocks: within one, four or sixteen running
 * sums; blocks are added up in float64 (rows) or one level up (columns), so that the error does not grow with the length.
 */
import { f32, f32x4, f64, i32, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body, Module } from "../assembler.ts";
import { ZERO, acrossLanes, forVectors, maxOf, storeStrip, sumLanes, within } from "./loops.ts";
import { kernelName } from "./names.ts";

type Combine = (x: V128, y: V128) => V128;

/** Bytes of a row, and rows of a column, to a block. */
const ROW_BLOCK = 4096;
const COLUMN_BLOCK = 64;

interface Reduction {
  readonly neutral: V128;
  readonly combine: (f: Body) => Combine;
}

const floatSum: Reduction = { neutral: ZERO, combine: () => f32x4.add };

/** Those of which the order does not matter. */
const anyOrder: Readonly<Record<string, Reduction>> = {
  max: { neutral: f32x4.const(NaN), combine: maxOf },
  min: { neutral: f32x4.const(Infinity), combine: () => f32x4.min },
  [kernelName("sum", "int32")]: { neutral: i32x4.const(0), combine: () => i32x4.add },
  [kernelName("max", "int32")]: { neutral: i32x4.const(-(2 ** 31)), combine: () => i32x4.max },
  [kernelName("min", "int32")]: { neutral: i32x4.const(2 ** 31 - 1), combine: () => i32x4.min },
};

const ROWS = { out: "i32", x: "i32", columns: "i32", begin: "i32", end: "i32" } as const;
const COLUMNS = { out: "i32", x: "i32", rows: "i32", columns: "i32", begin: "i32", end: "i32" } as const;

function sumRows(m: Module): void {
  m.export("sumRows", ROWS, (f, { out, x, columns, begin, end }) => {
    const bytes = f.let(i32.shl(columns, 2));
    f.for(begin, end, 1, (r) => {
      const row = f.let(i32.add(x, i32.mul(r, bytes)));
      const total = f.local("f64");
      f.set(total, 0);
      f.for(0, bytes, ROW_BLOCK, (block) => {
        const sum = f.local("v128");
        f.set(sum, ZERO);
        const left = i32.sub(bytes, block);
        const here = f.let(i32.select(i32.ltU(left, ROW_BLOCK), left, ROW_BLOCK));
        const from = f.let(i32.add(row, block));
        forVectors(f, here, (at, tail) => f.set(sum, f32x4.add(sum, within(v128.load(i32.add(from, at)), ZERO, tail))));
        f.set(total, f64.add(total, f64.fromF32(f32x4.lane(sumLanes(f, sum), 0))));
      });
      f.do(f32.store(i32.add(out, i32.shl(r, 2)), f32.fromF64(total)));
    });
  });
}

function reduceRows(m: Module, name: string, { neutral, combine }: Reduction): void {
  m.export(`${name}Rows`, ROWS, (f, { out, x, columns, begin, end }) => {
    const both = combine(f);
    const bytes = f.let(i32.shl(columns, 2));
    f.for(begin, end, 1, (r) => {
      const row = f.let(i32.add(x, i32.mul(r, bytes)));
      const best = f.local("v128");
      f.set(best, neutral);
      forVectors(f, bytes, (at, tail) => f.set(best, both(best, within(v128.load(i32.add(row, at)), neutral, tail))));
      f.do(v128.store32Lane(i32.add(out, i32.shl(r, 2)), acrossLanes(f, best, both), 0));
    });
  });
}

/** Item: four vectors of columns, a cache line; what lies behind the row's end is read and not stored. */
function reduceColumns(m: Module, name: string, { neutral, combine }: Reduction): void {
  m.export(`${name}Columns`, COLUMNS, (f, { out, x, rows, columns, begin, end }) => {
    const both = combine(f);
    const bytes = f.let(i32.shl(columns, 2));
    f.for(i32.shl(begin, 6), i32.shl(end, 6), 64, (strip) => {
      const totals = [0, 1, 2, 3].map(() => f.local("v128"));
      for (const total of totals) f.set(total, neutral);
      const from = f.let(i32.add(x, strip));
      f.for(0, rows, COLUMN_BLOCK, (block) => {
        const sums = totals.map(() => f.let(neutral));
        const left = i32.sub(rows, block);
        f.for(0, i32.select(i32.ltU(left, COLUMN_BLOCK), left, COLUMN_BLOCK), 1, () => {
          for (const [k, sum] of sums.entries()) f.set(sum, both(sum, v128.load(from, 16 * k)));
          f.set(from, i32.add(from, bytes));
        });
        for (const [k, total] of totals.entries()) f.set(total, both(total, sums[k]));
      });
      storeStrip(f, f.let(i32.add(out, strip)), f.let(i32.sub(bytes, strip)), totals);
    });
  });
}

export function reduceKernels(m: Module): void {
  sumRows(m);
  reduceColumns(m, "sum", floatSum);
  for (const [name, reduction] of Object.entries(anyOrder)) {
    reduceRows(m, name, reduction);
    reduceColumns(m, name, reduction);
  }
}
