/**
 * Order along rows, and counting. R rows of N keys, K of them wanted, E bins.
 *
 * Numbers become int32 keys first, of which the smaller one comes first: floats by their bits, NaN below all, -0 and 0 alike. The sorting
 * kernels know neither types nor directions. Few places are found by insertion; whole rows are sorted by their digits of eight bits, least
 * significant first, which takes time in proportion to N and keeps the order of equals (Knuth, The Art of Computer Programming 3, 5.2.5).
 */
import { f32x4, i32, i32x4, memory, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import { callOf } from "../assembler.ts";
import type { Body, Func, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { acrossLanes, forVectors, within } from "./loops.ts";

const DIGITS = 256;
const PASSES = 4;
/** Bytes of a thread's tables: a count for each digit of each pass, or for each of the keys below COUNTED. */
const TABLES = 4 * DIGITS * PASSES;
const COUNTED = TABLES / 4;
const LEAST = -(2 ** 31);

/** Scratch bytes of one thread that sorts rows of `n`: its tables, and two lists of places. */
export const sortScratch = (n: number): number => TABLES + 8 * Math.ceil(n / 16) * 16;

const word = (base: I32, index: I32): I32 => i32.add(base, i32.shl(index, 2));

/** Item: a vector. `flip` is -1 for descending order, else 0. */
function keyKernels(m: Module): void {
  const ways: Record<string, (f: Body, x: V128) => V128> = {
    intKeys: (_, x) => x,
    floatKeys: (f, x) => {
      const bits = f.let(f32x4.add(x, 0)); // -0 + 0 = 0
      // Magnitudes of negative numbers count downwards.
      const ordered = v128.xor(bits, i32x4.shrU(i32x4.shr(bits, 31), 1));
      return v128.select(f32x4.eq(bits, bits), ordered, i32x4.const(LEAST));
    },
  };
  for (const [name, keyOf] of Object.entries(ways)) {
    m.export(name, { out: "i32", x: "i32", flip: "i32", begin: "i32", end: "i32" }, (f, { out, x, flip, begin, end }) => {
      const flips = f.let(i32x4.splat(flip));
      f.for(i32.shl(begin, 4), i32.shl(end, 4), 16, (at) => {
        f.do(v128.store(i32.add(out, at), v128.xor(keyOf(f, v128.load(i32.add(x, at))), flips)));
      });
    });
  }
}

/** Item: a row. The first `k` by insertion: a new element is put before those strictly behind it, so equals keep their order. */
function firstKernel(m: Module): void {
  m.export(
    "firstPlaces",
    { out: "i32", keys: "i32", n: "i32", k: "i32", begin: "i32", end: "i32" },
    (f, { out, keys, n, k, begin, end }) => {
      f.for(begin, end, 1, (r) => {
        const row = f.let(word(keys, i32.mul(r, n)));
        const list = f.let(word(out, i32.mul(r, k)));
        const last = f.let(i32.add(word(list, k), -4));
        const keyAt = (place: I32): I32 => i32.load(word(row, i32.load(place)));
        f.for(0, k, 1, (i) => insert(f, word(list, i), list, i, f.let(i32.load(word(row, i))), keyAt));
        const worst = f.let(keyAt(last));
        f.for(k, n, 1, (i) => {
          const key = f.let(i32.load(word(row, i)));
          f.if(i32.lt(key, worst), () => {
            insert(f, last, list, i, key, keyAt);
            f.set(worst, keyAt(last));
          });
        });
      });
    },
  );
}

/** Moves the places whose keys are behind `key` up by one, into the free place `from`, and writes `i` before them. */
function insert(f: Body, from: I32, list: I32, i: I32, key: I32, keyAt: (place: I32) => I32): void {
  const place = f.let(from);
  const stop = f.let(list);
  f.while(i32.gtU(place, stop), () => {
    const before = f.let(i32.sub(place, 4));
    f.if(
      i32.lt(key, keyAt(before)),
      () => {
        f.do(i32.store(place, i32.load(before)));
        f.set(place, before);
      },
      () => f.set(stop, place),
    );
  });
  f.do(i32.store(place, i));
}

const SORT = { keys: "i32", n: "i32", tables: "i32" } as const;
type Sort = Func<typeof SORT, "i32">;

/** Sorts the places 0..n-1 by their keys, and answers where the sorted list lies: one of the two behind the tables. */
function sortRow(m: Module): Sort {
  return m.func(
    "sortRow",
    SORT,
    (f, { keys, n, tables }) => {
      const bytes = f.let(i32.shl(n, 2));
      const from = f.let(i32.add(tables, TABLES));
      const to = f.let(i32.add(from, i32.and(i32.add(bytes, 63), -64)));
      countDigits(f, keys, bytes, tables);
      f.for(0, n, 1, (i) => f.do(i32.store(word(from, i), i)));
      for (let pass = 0; pass < PASSES; pass++) {
        const table = f.let(i32.add(tables, 4 * DIGITS * pass));
        // A digit that all keys share sorts nothing.
        f.if(i32.ne(i32.load(word(table, digitOf(i32.load(keys), pass))), n), () => {
          distribute(f, keys, bytes, table, pass, from, to);
          const other = f.let(from);
          f.set(from, to);
          f.set(to, other);
        });
      }
      f.return(from);
    },
    "i32",
  );
}

/** Signed keys order like unsigned ones whose highest bit is turned. */
const digitOf = (key: I32, pass: number): I32 => i32.and(i32.shrU(i32.xor(key, LEAST), 8 * pass), DIGITS - 1);

function countDigits(f: Body, keys: I32, bytes: I32, tables: I32): void {
  f.do(memory.fill(tables, 0, i32.const(TABLES)));
  f.for(0, bytes, 4, (at) => {
    const key = f.let(i32.load(i32.add(keys, at)));
    for (let pass = 0; pass < PASSES; pass++) {
      const count = f.let(word(tables, digitOf(key, pass)));
      f.do(i32.store(count, i32.add(i32.load(count, 4 * DIGITS * pass), 1), 4 * DIGITS * pass));
    }
  });
}

/** One pass: counts become the place where each digit begins; then every place moves to where the digit of its key begins. */
function distribute(f: Body, keys: I32, bytes: I32, table: I32, pass: number, from: Local<"i32">, to: Local<"i32">): void {
  const sum = f.let(to);
  f.for(0, 4 * DIGITS, 4, (at) => {
    const count = f.let(i32.load(i32.add(table, at)));
    f.do(i32.store(i32.add(table, at), sum));
    f.set(sum, word(sum, count));
  });
  f.for(0, bytes, 4, (at) => {
    const place = f.let(i32.load(i32.add(from, at)));
    const begins = f.let(word(table, digitOf(i32.load(word(keys, place)), pass)));
    const target = f.let(i32.load(begins));
    f.do(i32.store(target, place), i32.store(begins, i32.add(target, 4)));
  });
}

const SCRATCH = { scratch: "i32", scratchBytes: "i32", begin: "i32", end: "i32" } as const;

/** Item: a row. */
function sortKernel(m: Module, sort: Sort, thread: I32): void {
  m.export("sortedPlaces", { out: "i32", keys: "i32", n: "i32", k: "i32", ...SCRATCH }, (f, { out, keys, n, k, ...p }) => {
    const tables = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
    f.for(p.begin, p.end, 1, (r) => {
      const sorted = callOf(sort, { keys: word(keys, i32.mul(r, n)), n, tables });
      f.do(memory.copy(word(out, i32.mul(r, k)), sorted, i32.shl(k, 2)));
    });
  });
}

/** Item: a row. Keys of one row that are all below COUNTED are counted in a table; others are sorted first, so that equals are neighbours. */
function countEarlierKernel(m: Module, sort: Sort, thread: I32): void {
  m.export("countEarlier", { out: "i32", key: "i32", n: "i32", ...SCRATCH }, (f, { out, key, n, ...p }) => {
    const tables = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
    const bytes = f.let(i32.shl(n, 2));
    f.for(p.begin, p.end, 1, (r) => {
      const to = f.let(i32.add(out, i32.mul(r, bytes)));
      const keys = f.let(i32.add(key, i32.mul(r, bytes)));
      f.if(
        i32.lt(largestOf(f, keys, bytes), COUNTED),
        () => countInTable(f, to, keys, bytes, tables),
        () => countSorted(f, to, keys, bytes, f.let(callOf(sort, { keys, n, tables }))),
      );
    });
  });
}

function largestOf(f: Body, keys: I32, bytes: I32): I32 {
  const largest = f.let(i32x4.const(LEAST));
  forVectors(f, bytes, (at, tail) => f.set(largest, i32x4.max(largest, within(v128.load(i32.add(keys, at)), i32x4.const(LEAST), tail))));
  return i32x4.lane(acrossLanes(f, largest, i32x4.max), 0);
}

function countInTable(f: Body, out: I32, keys: I32, bytes: I32, tables: I32): void {
  f.do(memory.fill(tables, 0, i32.const(TABLES)));
  f.for(0, bytes, 4, (at) => {
    const key = f.let(i32.load(i32.add(keys, at)));
    const before = f.let(i32.const(-1));
    f.if(i32.ge(key, 0), () => {
      const count = f.let(word(tables, key));
      f.set(before, i32.load(count));
      f.do(i32.store(count, i32.add(before, 1)));
    });
    f.do(i32.store(i32.add(out, at), before));
  });
}

/** Sorted, a key's count is how far it stands behind the first of its equals. */
function countSorted(f: Body, out: I32, keys: I32, bytes: I32, order: I32): void {
  const [last, before] = [f.let(i32.const(LEAST)), f.let(i32.const(-1))];
  f.for(0, bytes, 4, (at) => {
    const place = f.let(i32.load(i32.add(order, at)));
    const key = f.let(i32.load(word(keys, place)));
    f.set(before, i32.select(i32.eq(key, last), i32.add(before, 1), 0));
    f.do(i32.store(word(out, place), i32.select(i32.lt(key, 0), -1, before)));
    f.set(last, key);
  });
}

/** Item: a row. */
function tableKernels(m: Module): void {
  // out[index[i]] = i, else -1
  m.export(
    "invert",
    { out: "i32", index: "i32", n: "i32", places: "i32", begin: "i32", end: "i32" },
    (f, { out, index, n, places, begin, end }) => {
      f.do(memory.fill(word(out, i32.mul(begin, places)), 0xff, i32.shl(i32.mul(i32.sub(end, begin), places), 2)));
      f.for(begin, end, 1, (r) => {
        const to = f.let(word(out, i32.mul(r, places)));
        const from = f.let(word(index, i32.mul(r, n)));
        f.for(0, n, 1, (i) => {
          const place = f.let(i32.load(word(from, i)));
          f.if(i32.ltU(place, places), () => f.do(i32.store(word(to, place), i)));
        });
      });
    },
  );
  m.export(
    "bincount",
    { out: "i32", key: "i32", n: "i32", bins: "i32", begin: "i32", end: "i32" },
    (f, { out, key, n, bins, begin, end }) => {
      f.do(memory.fill(word(out, i32.mul(begin, bins)), 0, i32.shl(i32.mul(i32.sub(end, begin), bins), 2)));
      f.for(begin, end, 1, (r) => {
        const counts = f.let(word(out, i32.mul(r, bins)));
        const keys = f.let(word(key, i32.mul(r, n)));
        f.for(0, n, 1, (i) => {
          const bin = f.let(i32.load(word(keys, i)));
          f.if(i32.ltU(bin, bins), () => {
            const count = f.let(word(counts, bin));
            f.do(i32.store(count, i32.add(i32.load(count), 1)));
          });
        });
      });
    },
  );
}

export function orderKernels(m: Module, { thread }: Arithmetic): void {
  keyKernels(m);
  firstKernel(m);
  const sort = sortRow(m);
  sortKernel(m, sort, thread);
  countEarlierKernel(m, sort, thread);
  tableKernels(m);
}
