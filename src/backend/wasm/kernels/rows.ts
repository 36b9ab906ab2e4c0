/**
 * Rows by index. N rows of x, M results of J sources. An index outside 0..N-1 reads as zero and writes nowhere; that none is there but for the
 * -1 of a table is asked first, of "anyOutside".
 */
import { f32x4, i32, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Module } from "../assembler.ts";
import { ZERO, forVectors, store, within } from "./loops.ts";
import { kernelName } from "./names.ts";
import type { Word } from "./names.ts";

type Plus = (x: V128, y: V128) => V128;

export function indexedRowKernels(m: Module): void {
  anyOutside(m);
  const sums: readonly (readonly [Word, Plus])[] = [
    ["float32", f32x4.add],
    ["int32", i32x4.add],
  ];
  for (const [dtype, plus] of sums) {
    gatherRows(m, dtype, plus);
    addRows(m, dtype, plus);
  }
}

/** Whether one of n int32 is not in low..high-1: 1 or 0. */
function anyOutside(m: Module): void {
  m.export(
    "anyOutside",
    { x: "i32", n: "i32", low: "i32", high: "i32" },
    (f, p) => {
      const [low, high] = [p.low, p.high].map((bound) => f.let(i32x4.splat(bound)));
      const found = f.let(i32x4.const(0));
      forVectors(f, f.let(i32.shl(p.n, 2)), (at, tail) => {
        const value = f.let(v128.load(i32.add(p.x, at)));
        f.set(found, v128.or(found, within(v128.or(i32x4.lt(value, low), i32x4.ge(value, high)), i32x4.const(0), tail)));
      });
      f.return(v128.anyTrue(found));
    },
    "i32",
  );
}

/** out[m] = the sum over j of x[index[m, j]] */
function gatherRows(m: Module, dtype: Word, plus: Plus): void {
  m.export(
    kernelName("gatherRows", dtype),
    { out: "i32", x: "i32", index: "i32", n: "i32", sources: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      const indexRow = f.let(i32.shl(p.sources, 2));
      f.for(p.begin, p.end, 1, (item) => {
        const out = f.let(i32.add(p.out, i32.mul(item, bytes)));
        const index = f.let(i32.add(p.index, i32.mul(item, indexRow)));
        forVectors(f, bytes, (at, tail) => {
          const sum = f.local("v128");
          f.set(sum, ZERO);
          f.for(0, indexRow, 4, (j) => {
            const row = f.let(i32.load(i32.add(index, j)));
            f.if(i32.ltU(row, p.n), () => f.set(sum, plus(sum, v128.load(i32.add(p.x, i32.add(i32.mul(row, bytes), at))))));
          });
          store(f, i32.add(out, at), sum, tail);
        });
      });
    },
  );
}

/** out[index[i]] += g[i]. Item: one row of the result; each thread reads all indices and takes those of its own rows, in order. */
function addRows(m: Module, dtype: Word, plus: Plus): void {
  m.export(
    kernelName("addRows", dtype),
    { out: "i32", g: "i32", index: "i32", count: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      const rows = f.let(i32.sub(p.end, p.begin));
      const first = f.let(i32.add(p.out, i32.mul(p.begin, bytes)));
      forVectors(f, f.let(i32.mul(rows, bytes)), (at, tail) => store(f, i32.add(first, at), ZERO, tail));
      f.for(0, p.count, 1, (i) => {
        const row = f.let(i32.sub(i32.load(i32.add(p.index, i32.shl(i, 2))), p.begin));
        f.if(i32.ltU(row, rows), () => {
          const to = f.let(i32.add(first, i32.mul(row, bytes)));
          const from = f.let(i32.add(p.g, i32.mul(i, bytes)));
          forVectors(f, bytes, (at, tail) =>
            store(f, i32.add(to, at), plus(v128.load(i32.add(to, at)), v128.load(i32.add(from, at))), tail),
          );
        });
      });
    },
  );
}
