/**
 * The matrix product. C [M, N] = A [M, K] B [K, N]; MR x NR is the tile that a micro-kernel keeps in registers.
 *
 * A tile of C is a sum of K outer products: for each k, MR numbers of A times NR of B. MR + NR loads feed MR * NR multiply-adds, so
 * the larger the tile the less the loads count, until registers run out. x64 has 16 vector registers and V8 keeps one for
 * itself: with a fused multiply-add 6 x 8 takes 12 accumulators + 2 of B + 1 of A; without, a product needs a register too and 4 x 8 is best.
 *
 * B is packed into panels of 8 columns, [N / 8, K, 8], so that each k of a tile reads 32 bytes that follow the last 32; A is read
 * where it lies if its rows are contiguous, else (a transpose) packed into panels of MR rows, [M / MR, K, MR]. K and M are cut into blocks
 * so that a panel of B stays in the first-level cache and a block of A in the second, as Goto and van de Geijn 2008 (Anatomy of
 * high-performance matrix multiplication) have it.
 */
import { f32x4, i32, v128 } from "../instructions.ts";
import type { Func, Module } from "../assembler.ts";
import type { I32 } from "../instructions.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { forVectors, store } from "./loops.ts";
import { copyTile, microByPanel, microByRows, rowTimes } from "./microKernels.ts";
import type { CopyTile, Micro, RowTimes } from "./microKernels.ts";
import { NR, atMost, packKernels, packRows } from "./packing.ts";
import type { PackAll } from "./packing.ts";

export { NR };

/** Of K at once: a panel of B is then 8 KiB, a quarter of the first-level cache. */
const K_BLOCK = 256;
/** Rows of A at once; a multiple of 4 and of 6. */
const M_BLOCK = 96;
/** Bytes that a product needs for itself on each thread: a packed block of A, and a tile for the edges of C. */
export const GEMM_SCRATCH = 4 * M_BLOCK * K_BLOCK + 256;
/** Of one product in a table of many. */
export const PRODUCT_WORDS = 6;
/** From this many columns of C on, packing A pays where the micro-kernel is short of instructions. */
const PACK_FROM = 64;

/** Of a product's operands, for one thread. Strides in bytes; B's columns are adjacent, or it is packed (bRow 32, bPanel K * 32). */
// prettier-ignore
const GEMM = {
  c: "i32", cRow: "i32", a: "i32", aRow: "i32", aColumn: "i32", b: "i32", bRow: "i32", bPanel: "i32", m: "i32", n: "i32", k: "i32", scratch: "i32", add: "i32",
} as const;
export type Gemm = Func<typeof GEMM, "void">;

/** What a block is computed by. */
interface Parts {
  readonly byRows: Micro;
  readonly byPanel: Micro;
  readonly copy: CopyTile;
  readonly row: RowTimes;
}

// prettier-ignore
const BLOCK = { c: "i32", cRow: "i32", a: "i32", aRow: "i32", packed: "i32", b: "i32", bRow: "i32", bPanel: "i32", m: "i32", n: "i32", k: "i32", add: "i32", tile: "i32" } as const;

/** One block of rows of A times one block of K: all tiles of C that they reach. */
function gemmBlock(m: Module, MR: number, { byRows, byPanel, copy, row }: Parts): Func<typeof BLOCK, "void"> {
  return m.func("gemmBlock", BLOCK, (f, { c, cRow, a, aRow, packed, b, bRow, bPanel, m: M, n: N, k, add, tile }) => {
    f.if(i32.and(i32.eq(M, 1), i32.eqz(packed)), () => {
      f.call(row, { c, a, b, bRow, bPanel, n: N, k, add, tile });
      f.return();
    });
    const step = f.let(i32.mul(MR, i32.select(packed, i32.shl(k, 2), aRow)));
    f.for(0, N, NR, (j) => {
      const columns = f.let(atMost(i32.sub(N, j), NR));
      const target = f.let(i32.add(c, i32.shl(j, 2)));
      const tilesOf = (given: { c: I32; cRow: I32 | number; a: I32; rows: I32; tiles: I32 | number; add: I32 | number }): void => {
        const all = { ...given, aRow, b, bRow, k };
        f.if(
          packed,
          () => f.call(byPanel, all),
          () => f.call(byRows, all),
        );
      };
      const whole = f.let(i32.select(i32.eq(columns, NR), i32.divU(M, MR), 0));
      f.if(whole, () => tilesOf({ c: target, cRow, a, rows: M, tiles: whole, add }));
      // At the edges a tile is computed aside.
      f.for(i32.mul(whole, MR), M, MR, (i) => {
        const rows = f.let(atMost(i32.sub(M, i), MR));
        tilesOf({ c: tile, cRow: 4 * NR, a: i32.add(a, i32.mul(i32.divU(i, MR), step)), rows, tiles: 1, add: 0 });
        f.call(copy, { c: i32.add(target, i32.mul(i, cRow)), cRow, tile, rows, columns, add });
      });
      f.set(b, i32.add(b, bPanel));
    });
  });
}

/** C = A B by tiles, one thread; C += A B where `add` is not 0. */
function gemm(m: Module, arithmetic: Arithmetic): Gemm {
  const MR = arithmetic.tileRows;
  const byRows = microByRows(m, arithmetic);
  const byPanel = microByPanel(m, arithmetic);
  const pack = packRows(m, arithmetic);
  const copy = copyTile(m);
  const row = rowTimes(m, arithmetic, copy);
  const block = gemmBlock(m, MR, { byRows, byPanel, copy, row });

  return m.func("gemm", GEMM, (f, { c, cRow, a, aRow, aColumn, b, bRow, bPanel, m: M, n: N, k: K, scratch, add }) => {
    const worthPacking = arithmetic.unroll === 1 ? i32.geU(N, PACK_FROM) : i32.const(0);
    const packed = f.let(i32.or(i32.ne(aColumn, 4), i32.and(worthPacking, i32.ne(M, 1))));
    f.for(0, M, M_BLOCK, (i) => {
      const rows = f.let(atMost(i32.sub(M, i), M_BLOCK));
      f.for(0, K, K_BLOCK, (k0) => {
        const k = f.let(atMost(i32.sub(K, k0), K_BLOCK));
        const from = f.let(i32.add(a, i32.add(i32.mul(i, aRow), i32.mul(k0, aColumn))));
        const tile = i32.add(scratch, 4 * M_BLOCK * K_BLOCK);
        f.if(packed, () => {
          f.call(pack, { to: scratch, a: from, aRow, aColumn, m: rows, k });
          f.set(from, scratch);
        });
        // prettier-ignore
        f.call(block, {
          c: i32.add(c, i32.mul(i, cRow)), cRow, a: from, aRow, packed,
          b: i32.add(b, i32.mul(k0, bRow)), bRow, bPanel, m: rows, n: N, k, add: i32.or(k0, add), tile,
        });
      });
    });
  });
}

const ADD_TO_ROWS = { c: "i32", cRow: "i32", rows: "i32", bytes: "i32", row: "i32" } as const;

/** A row of numbers to each row of C, while the block is near. */
function addToRows(m: Module): Func<typeof ADD_TO_ROWS, "void"> {
  return m.func("addToRows", ADD_TO_ROWS, (f, { c, cRow, rows, bytes, row }) => {
    f.for(0, rows, 1, () => {
      forVectors(f, bytes, (at, tail) => {
        const to = f.let(i32.add(c, at));
        store(f, to, f32x4.add(v128.load(to), v128.load(i32.add(row, at))), tail);
      });
      f.set(c, i32.add(c, cRow));
    });
  });
}

export interface Products {
  readonly gemm: Gemm;
  /** All panels of a matrix B. */
  readonly packAll: PackAll;
}

/** Adds the kernels of the matrix product to a module, and returns the single-threaded one for other kernels. */
export function matmulKernels(m: Module, arithmetic: Arithmetic): Products {
  const packAll = packKernels(m);
  const product = gemm(m, arithmetic);
  productKernel(m, arithmetic, product);
  eachKernel(m, arithmetic, product);
  return { gemm: product, packAll };
}

/**
 * Item: a block of C, `blockRows` x `blockColumns`, of one of the batch's matrices; where `bias` is not 0, the row at that address is added to
 * each of its rows. `scratch` holds GEMM_SCRATCH bytes a thread.
 */
function productKernel(m: Module, arithmetic: Arithmetic, product: Gemm): void {
  const add = addToRows(m);
  m.export(
    "matmul",
    {
      c: "i32",
      cBatch: "i32",
      cRow: "i32",
      a: "i32",
      aBatch: "i32",
      aRow: "i32",
      aColumn: "i32",
      b: "i32",
      bBatch: "i32",
      bRow: "i32",
      bPanel: "i32",
      m: "i32",
      n: "i32",
      k: "i32",
      blockRows: "i32",
      blockColumns: "i32",
      bias: "i32",
      scratch: "i32",
      begin: "i32",
      end: "i32",
    },
    (f, p) => {
      const down = f.let(i32.divU(i32.add(p.m, i32.sub(p.blockRows, 1)), p.blockRows));
      const across = f.let(i32.divU(i32.add(p.n, i32.sub(p.blockColumns, 1)), p.blockColumns));
      const scratch = f.let(i32.add(p.scratch, i32.mul(arithmetic.thread, GEMM_SCRATCH)));
      f.for(p.begin, p.end, 1, (item) => {
        const batch = f.let(i32.divU(item, i32.mul(down, across)));
        const i = f.let(i32.mul(i32.remU(i32.divU(item, across), down), p.blockRows));
        const j = f.let(i32.mul(i32.remU(item, across), p.blockColumns));
        const c = f.let(i32.add(i32.add(p.c, i32.mul(batch, p.cBatch)), i32.add(i32.mul(i, p.cRow), i32.shl(j, 2))));
        const rows = f.let(atMost(i32.sub(p.m, i), p.blockRows));
        const columns = f.let(atMost(i32.sub(p.n, j), p.blockColumns));
        // prettier-ignore
        f.call(product, {
        c, cRow: p.cRow,
        a: i32.add(i32.add(p.a, i32.mul(batch, p.aBatch)), i32.mul(i, p.aRow)), aRow: p.aRow, aColumn: p.aColumn,
        b: i32.add(i32.add(p.b, i32.mul(batch, p.bBatch)), i32.mul(i32.divU(j, NR), p.bPanel)), bRow: p.bRow, bPanel: p.bPanel,
        m: rows, n: columns, k: p.k, scratch, add: 0,
      });
        f.if(p.bias, () => f.call(add, { c, cRow: p.cRow, rows, bytes: i32.shl(columns, 2), row: i32.add(p.bias, i32.shl(j, 2)) }));
      });
    },
  );
}

/** Item: one of many products whose strides are alike, at `table` as c, a, b, m, n, k. */
function eachKernel(m: Module, arithmetic: Arithmetic, product: Gemm): void {
  m.export(
    "matmulEach",
    {
      table: "i32",
      cRow: "i32",
      aRow: "i32",
      aColumn: "i32",
      bRow: "i32",
      bPanel: "i32",
      scratch: "i32",
      begin: "i32",
      end: "i32",
    },
    (f, { table, cRow, aRow, aColumn, bRow, bPanel, ...p }) => {
      const scratch = f.let(i32.add(p.scratch, i32.mul(arithmetic.thread, GEMM_SCRATCH)));
      f.for(p.begin, p.end, 1, (item) => {
        const row = f.let(i32.add(table, i32.mul(item, 4 * PRODUCT_WORDS)));
        const [c, a, b, M, n, k] = Array.from({ length: PRODUCT_WORDS }, (_, i) => i32.load(row, 4 * i));
        f.call(product, { c, cRow, a, aRow, aColumn, b, bRow, bPanel, m: M, n, k, scratch, add: 0 });
      });
    },
  );
}
