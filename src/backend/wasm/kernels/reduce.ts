/** Reductions along rows, [R, C] -> [R], and along columns, [R, C] -> [C]. Sums of float32 are kept in float64 (Sums of loops.ts). */
import { f32, f32x4, i32, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body, Module } from "../assembler.ts";
import { Sums, acrossLanes, forVectors, loadWidened, maxOf, storeStrip, widened, within, ZERO } from "./loops.ts";
import { kernelName } from "./names.ts";

type Combine = (x: V128, y: V128) => V128;

interface Reduction {
  readonly neutral: V128;
  readonly combine: (f: Body) => Combine;
}

/** Those of which the order does not matter. */
const anyOrder: Readonly<Record<string, Reduction>> = {
  max: { neutral: f32x4.const(NaN), combine: maxOf },
  min: { neutral: f32x4.const(Infinity), combine: () => f32x4.min },
  [kernelName("sum", "int32")]: { neutral: i32x4.const(0), combine: () => i32x4.add },
  [kernelName("max", "int32")]: { neutral: i32x4.const(-(2 ** 31)), combine: () => i32x4.max },
  [kernelName("min", "int32")]: { neutral: i32x4.const(2 ** 31 - 1), combine: () => i32x4.min },
};

/** The vectors of a cache line. */
const STRIP = [0, 1, 2, 3];

const ROWS = { out: "i32", x: "i32", columns: "i32", begin: "i32", end: "i32" } as const;
const COLUMNS = { out: "i32", x: "i32", rows: "i32", columns: "i32", begin: "i32", end: "i32" } as const;

function sumRows(m: Module): void {
  m.export("sumRows", ROWS, (f, { out, x, columns, begin, end }) => {
    const bytes = f.let(i32.shl(columns, 2));
    const sums = new Sums(f);
    f.for(begin, end, 1, (r) => {
      const row = f.let(i32.add(x, i32.mul(r, bytes)));
      sums.start();
      forVectors(f, bytes, (at, tail) => {
        const from = i32.add(row, at);
        sums.add(tail ? widened(f, within(v128.load(from), ZERO, tail)) : loadWidened(from));
      });
      f.do(f32.store(i32.add(out, i32.shl(r, 2)), f32.fromF64(sums.total)));
    });
  });
}

/** Item: four vectors of columns, a cache line; what lies behind the row's end is read and not stored. */
function sumColumns(m: Module): void {
  m.export("sumColumns", COLUMNS, (f, { out, x, rows, columns, begin, end }) => {
    const bytes = f.let(i32.shl(columns, 2));
    const sums = STRIP.map(() => new Sums(f));
    f.for(i32.shl(begin, 6), i32.shl(end, 6), 64, (strip) => {
      for (const sum of sums) sum.start();
      const from = f.let(i32.add(x, strip));
      f.for(0, rows, 1, () => {
        for (const [k, sum] of sums.entries()) sum.add(loadWidened(from, 16 * k));
        f.set(from, i32.add(from, bytes));
      });
      storeStrip(
        f,
        f.let(i32.add(out, strip)),
        f.let(i32.sub(bytes, strip)),
        sums.map(({ lanes }) => lanes),
      );
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

/** Item: four vectors of columns, as above. */
function reduceColumns(m: Module, name: string, { neutral, combine }: Reduction): void {
  m.export(`${name}Columns`, COLUMNS, (f, { out, x, rows, columns, begin, end }) => {
    const both = combine(f);
    const bytes = f.let(i32.shl(columns, 2));
    const totals = STRIP.map(() => f.local("v128"));
    f.for(i32.shl(begin, 6), i32.shl(end, 6), 64, (strip) => {
      for (const total of totals) f.set(total, neutral);
      const from = f.let(i32.add(x, strip));
      f.for(0, rows, 1, () => {
        for (const [k, total] of totals.entries()) f.set(total, both(total, v128.load(from, 16 * k)));
        f.set(from, i32.add(from, bytes));
      });
      storeStrip(f, f.let(i32.add(out, strip)), f.let(i32.sub(bytes, strip)), totals);
    });
  });
}

export function reduceKernels(m: Module): void {
  sumRows(m);
  sumColumns(m);
  for (const [name, reduction] of Object.entries(anyOrder)) {
    reduceRows(m, name, reduction);
    reduceColumns(m, name, reduction);
  }
}
