/**
 * The innermost loops of a matrix product, C [M, N] = A [M, K] B [K, N]: tiles of MR x NR numbers of C in registers, and a single row of A.
 * matmul.ts says why tiles have these sizes, and calls these functions block by block.
 */
import { f32, f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Func, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { ZERO } from "./loops.ts";
import { NR, atMost, rowPointers } from "./packing.ts";

/** `tiles` of them, one below the other; `rows` of A exist. */
const MICRO = {
  c: "i32",
  cRow: "i32",
  a: "i32",
  aRow: "i32",
  rows: "i32",
  tiles: "i32",
  b: "i32",
  bRow: "i32",
  k: "i32",
  add: "i32",
} as const;
export type Micro = Func<typeof MICRO, "void">;

/** MR * NR accumulators, set to 0, then written or added to C after K outer products. */
class Tile {
  readonly sums: readonly (readonly [Local<"v128">, Local<"v128">])[];
  readonly #f: Body;
  readonly #madd: Arithmetic["madd"];

  constructor(f: Body, madd: Arithmetic["madd"], rows: number) {
    this.#f = f;
    this.#madd = madd;
    this.sums = Array.from({ length: rows }, () => [f.local("v128"), f.local("v128")] as const);
  }

  clear(): void {
    for (const pair of this.sums) for (const sum of pair) this.#f.set(sum, ZERO);
  }

  /** One outer product: B's two vectors at `b`, A's number of each row by `a`. */
  accumulate(b: I32, a: (row: number) => V128): void {
    const b0 = this.#f.let(v128.load(b));
    const b1 = this.#f.let(v128.load(b, 16));
    for (const [row, [left, right]] of this.sums.entries()) {
      const broadcast = this.#f.let(a(row));
      this.#f.set(left, this.#madd(broadcast, b0, left));
      this.#f.set(right, this.#madd(broadcast, b1, right));
    }
  }

  store(c: Local<"i32">, cRow: I32, add: I32): void {
    const f = this.#f;
    const eachRow = (put: (row: I32, left: V128, right: V128) => void): void => {
      const row = f.let(c);
      for (const [left, right] of this.sums) {
        put(row, left, right);
        f.set(row, i32.add(row, cRow));
      }
    };
    const write = (row: I32, left: V128, right: V128): void => f.do(v128.store(row, left), v128.store(row, right, 16));
    f.if(
      add,
      () => eachRow((row, left, right) => write(row, f32x4.add(v128.load(row), left), f32x4.add(v128.load(row, 16), right))),
      () => eachRow(write),
    );
  }
}

/**
 * K outer products. `a` walks along A, `bytes` for each, and counts them. Several make a turn where the engine keeps them apart (V8
 * before 11.4 hoists the loads of all, and spills).
 */
function unrolled(f: Body, a: Local<"i32">, bytes: number, k: I32, turns: number, steps: (count: number) => void): void {
  const end = f.let(i32.add(a, i32.mul(k, bytes)));
  if (turns > 1) f.walk(a, f.let(i32.add(a, i32.mul(i32.and(k, -turns), bytes))), turns * bytes, () => steps(turns));
  f.walk(a, end, bytes, () => steps(1));
}

/**
 * Tiles one below the other, each with the same panel of B. They stand in one function, because a call for each tile costs as much as some ten
 * steps of it, and heads of 32 columns have 32.
 */
function micro(m: Module, name: string, MR: number, madd: Arithmetic["madd"], sum: (f: Body, tile: Tile, p: MicroParts) => void): Micro {
  return m.func(name, MICRO, (f, { c, cRow, a, aRow, rows, tiles, b, bRow, k, add }) => {
    const tile = new Tile(f, madd, MR);
    f.for(0, tiles, 1, () => {
      tile.clear();
      sum(f, tile, { a, aRow, rows, b: f.let(b), bRow, k });
      tile.store(c, cRow, add);
      f.set(c, i32.add(c, i32.mul(MR, cRow)));
      f.set(rows, i32.sub(rows, MR));
    });
  });
}

interface MicroParts extends Readonly<Record<"aRow" | "rows" | "bRow" | "k", I32>> {
  /** Behind this tile when it is done. */
  readonly a: Local<"i32">;
  /** Walks along the panel. */
  readonly b: Local<"i32">;
}

/** A where it lies: MR pointers walk along its rows. */
export function microByRows(m: Module, { madd, unroll, tileRows: MR }: Arithmetic): Micro {
  return micro(m, "microByRows", MR, madd, (f, tile, { a, aRow, rows, b, bRow, k }) => {
    const pointers = rowPointers(f, a, aRow, rows, MR);
    unrolled(f, pointers[0], 4, k, unroll, (count) => {
      for (let step = 0; step < count; step++) {
        tile.accumulate(b, (row) => v128.load32Splat(pointers[row], 4 * step));
        f.set(b, i32.add(b, bRow));
      }
      for (const pointer of pointers.slice(1)) f.set(pointer, i32.add(pointer, 4 * count));
    });
    f.set(a, i32.add(a, i32.mul(MR, aRow)));
  });
}

/** A in packed panels, [K, MR] each. */
export function microByPanel(m: Module, { madd, unroll, tileRows: MR }: Arithmetic): Micro {
  return micro(m, "microByPanel", MR, madd, (f, tile, { a, b, bRow, k }) => {
    unrolled(f, a, 4 * MR, k, unroll, (count) => {
      for (let step = 0; step < count; step++) {
        tile.accumulate(b, (row) => v128.load32Splat(a, 4 * (step * MR + row)));
        f.set(b, i32.add(b, bRow));
      }
    });
  });
}

const COPY_TILE = { c: "i32", cRow: "i32", tile: "i32", rows: "i32", columns: "i32", add: "i32" } as const;

export type CopyTile = Func<typeof COPY_TILE, "void">;

/** At the edges of C a whole tile is computed in scratch memory, and this copies the part that exists. */
export function copyTile(m: Module): CopyTile {
  return m.func("copyTile", COPY_TILE, (f, { c, cRow, tile, rows, columns, add }) => {
    f.for(0, rows, 1, () => {
      f.for(0, i32.shl(columns, 2), 4, (j) => {
        const to = f.let(i32.add(c, j));
        const value = f.let(f32.load(i32.add(tile, j)));
        f.if(add, () => f.set(value, f32.add(f32.load(to), value)));
        f.do(f32.store(to, value));
      });
      f.set(c, i32.add(c, cRow));
      f.set(tile, i32.add(tile, 4 * NR));
    });
  });
}

/** Panels of B that a single row of A is multiplied by at once: eight sums, so that none waits for its last addition. */
const ROW_PANELS = 4;

// prettier-ignore
const ROW = { c: "i32", a: "i32", b: "i32", bRow: "i32", bPanel: "i32", n: "i32", k: "i32", add: "i32", tile: "i32" } as const;
export type RowTimes = Func<typeof ROW, "void">;

/**
 * A single row of A, as a token that is written alone has it: nothing of B is used twice, so a tile of MR rows would be MR times the work. A sum
 * takes its products in the order of the tiles, and so has their bits.
 */
export function rowTimes(m: Module, { madd }: Arithmetic, copy: CopyTile): RowTimes {
  return m.func("rowTimes", ROW, (f, { c, a, b, bRow, bPanel, n, k, add, tile }) => {
    const end = f.let(i32.add(a, i32.shl(k, 2)));
    const strip = (panels: number, to: I32, addTo: I32): void => {
      const columns = Array.from({ length: panels }, () => new Tile(f, madd, 1));
      for (const column of columns) column.clear();
      const places = columns.map((_, p) => f.let(i32.add(b, i32.mul(bPanel, p))));
      const from = f.let(a);
      f.walk(from, end, 4, () => {
        const broadcast = f.let(v128.load32Splat(from));
        for (const [p, column] of columns.entries()) {
          column.accumulate(places[p], () => broadcast);
          f.set(places[p], i32.add(places[p], bRow));
        }
      });
      for (const [p, column] of columns.entries()) column.store(f.let(i32.add(to, 4 * NR * p)), i32.const(0), addTo);
      f.set(b, i32.add(b, i32.mul(bPanel, panels)));
    };
    const whole = f.let(i32.and(n, -(NR * ROW_PANELS)));
    f.for(0, whole, NR * ROW_PANELS, (j) => strip(ROW_PANELS, i32.add(c, i32.shl(j, 2)), add));
    f.for(whole, n, NR, (j) => {
      const columns = f.let(atMost(i32.sub(n, j), NR));
      strip(1, tile, i32.const(0));
      f.call(copy, { c: i32.add(c, i32.shl(j, 2)), cRow: 0, tile, rows: 1, columns, add });
    });
  });
}
