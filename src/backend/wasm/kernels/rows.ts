/**
 * Rows by index. N rows of x, M results of J sources. An index outside 0..N-1 reads as zero and writes nowhere; that none is there but for the
 * -1 of a table is asked first, of "anyOutside".
 */
import { i32, i32x4, memory, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { Sums, ZERO, forVectors, loadWidened, store, storeStrip, within } from "./loops.ts";
import { kernelName } from "./names.ts";
import type { Word } from "./names.ts";

/** Four sums of what lies at addresses: of float32 in float64 (Sums of loops.ts), of int32 wrapping around. */
interface Adder {
  start(): void;
  add(from: I32, offset?: number): void;
  readonly lanes: V128;
}

function floatAdder(f: Body): Adder {
  const sums = new Sums(f);
  return {
    start: () => sums.start(),
    add: (from, offset) => sums.add(loadWidened(from, offset)),
    get lanes() {
      return sums.lanes;
    },
  };
}

function intAdder(f: Body): Adder {
  const sum = f.local("v128");
  return {
    start: () => f.set(sum, i32x4.const(0)),
    add: (from, offset) => f.set(sum, i32x4.add(sum, v128.load(from, offset))),
    lanes: sum,
  };
}

export function indexedRowKernels(m: Module): void {
  anyOutside(m);
  entriesByRow(m);
  const adders: readonly (readonly [Word, (f: Body) => Adder])[] = [
    ["float32", floatAdder],
    ["int32", intAdder],
  ];
  for (const [dtype, adder] of adders) {
    gatherRows(m, dtype, adder);
    addRows(m, dtype, adder);
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

function copyRow(f: Body, to: I32, from: I32, bytes: I32): void {
  forVectors(f, bytes, (at, tail) => store(f, i32.add(to, at), v128.load(i32.add(from, at)), tail));
}

/** out[m] = the sum over j of x[index[m, j]]. One row alone is copied as it is, whatever its bits. */
function gatherRows(m: Module, dtype: Word, adder: (f: Body) => Adder): void {
  m.export(
    kernelName("gatherRows", dtype),
    { out: "i32", x: "i32", index: "i32", n: "i32", sources: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      const indexRow = f.let(i32.shl(p.sources, 2));
      const sum = adder(f);
      f.for(p.begin, p.end, 1, (item) => {
        const out = f.let(i32.add(p.out, i32.mul(item, bytes)));
        const index = f.let(i32.add(p.index, i32.mul(item, indexRow)));
        const place = (row: I32): Local<"i32"> => f.let(i32.add(p.x, i32.mul(row, bytes)));
        f.if(
          i32.eq(p.sources, 1),
          () => {
            const row = f.let(i32.load(index));
            f.if(
              i32.ltU(row, p.n),
              () => copyRow(f, out, place(row), bytes),
              () => forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), ZERO, tail)),
            );
          },
          () =>
            forVectors(f, bytes, (at, tail) => {
              sum.start();
              f.for(0, indexRow, 4, (j) => {
                const row = f.let(i32.load(i32.add(index, j)));
                f.if(i32.ltU(row, p.n), () => sum.add(f.let(i32.add(place(row), at))));
              });
              store(f, i32.add(out, at), sum.lanes, tail);
            }),
        );
      });
    },
  );
}

/**
 * The entries of an index [I] of N rows, sorted by row: those of row n are order[bounds[n]] to order[bounds[n + 1] - 1], in ascending order.
 * `bounds` has N + 2 words: counts stand two places further until they are added up, and entries are dealt from one place further.
 */
function entriesByRow(m: Module): void {
  const all = { index: "i32", count: "i32", n: "i32", bounds: "i32", order: "i32", begin: "i32", end: "i32" } as const;
  m.export("entriesByRow", all, (f, { index, count, n, bounds, order }) => {
    const place = (row: I32): I32 => i32.add(bounds, i32.shl(row, 2));
    const indices = f.let(i32.shl(count, 2));
    f.do(memory.fill(bounds, 0, i32.shl(i32.add(n, 2), 2)));
    f.for(0, indices, 4, (at) => {
      const own = f.let(place(i32.load(i32.add(index, at))));
      f.do(i32.store(own, i32.add(i32.load(own, 8), 1), 8));
    });
    f.for(0, n, 1, (row) => {
      const own = f.let(place(row));
      f.do(i32.store(own, i32.add(i32.load(own, 8), i32.load(own, 4)), 8));
    });
    f.for(0, count, 1, (i) => {
      const own = f.let(place(i32.load(i32.add(index, i32.shl(i, 2)))));
      const next = f.let(i32.load(own, 4));
      f.do(i32.store(i32.add(order, i32.shl(next, 2)), i), i32.store(own, i32.add(next, 1), 4));
    });
  });
}

/** out[n] = the sum of the rows of g whose index is n. Item: one row of the result. A cache line of columns at a time, then a vector. */
function addRows(m: Module, dtype: Word, adder: (f: Body) => Adder): void {
  m.export(
    kernelName("addRows", dtype),
    { out: "i32", g: "i32", bounds: "i32", order: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      const sums = [0, 1, 2, 3].map(() => adder(f));
      f.for(p.begin, p.end, 1, (row) => {
        const out = f.let(i32.add(p.out, i32.mul(row, bytes)));
        const bounds = f.let(i32.add(p.bounds, i32.shl(row, 2)));
        const [first, last] = [0, 4].map((offset) => f.let(i32.add(p.order, i32.shl(i32.load(bounds, offset), 2))));
        const column = f.let(i32.const(0));
        const strip = (some: readonly Adder[]): void => {
          for (const sum of some) sum.start();
          const from = f.let(i32.add(p.g, column));
          f.for(first, last, 4, (entry) => {
            const at = f.let(i32.add(from, i32.mul(i32.load(entry), bytes)));
            for (const [k, sum] of some.entries()) sum.add(at, 16 * k);
          });
          storeStrip(
            f,
            f.let(i32.add(out, column)),
            f.let(i32.sub(bytes, column)),
            some.map(({ lanes }) => lanes),
          );
        };
        f.walk(column, f.let(i32.and(bytes, -64)), 64, () => strip(sums));
        f.walk(column, bytes, 16, () => strip(sums.slice(0, 1)));
      });
    },
  );
}
