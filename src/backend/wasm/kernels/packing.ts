/**
 * Packing the operands of a matrix product, C [M, N] = A [M, K] B [K, N]: B into panels of NR columns, [N / NR, K, NR], A into panels of MR
 * rows, [M / MR, K, MR]. A panel's numbers then follow one another in the order in which the micro-kernel reads them.
 */
import { f32, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Func, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";

/** Columns of a panel of B. */
export const NR = 8;

/** What is left or the limit, whichever is less (all positive). */
export function atMost(left: I32, limit: I32 | number): I32 {
  return i32.select(i32.ltU(left, limit), left, limit);
}

/** The pointers to MR rows of A. From `rows` on they repeat the last one, and what they give is not stored. */
export function rowPointers(f: Body, a: I32, aRow: I32, rows: I32, MR: number): Local<"i32">[] {
  const pointers = [f.let(a)];
  for (let r = 1; r < MR; r++) pointers.push(f.let(i32.add(pointers[r - 1], i32.select(i32.gt(rows, r), aRow, 0))));
  return pointers;
}

const PACK_ROWS = { to: "i32", a: "i32", aRow: "i32", aColumn: "i32", m: "i32", k: "i32" } as const;

/** A block of A as panels of MR rows. A panel's missing rows hold whatever is there. */
export function packRows(m: Module, { tileRows: MR }: Arithmetic): Func<typeof PACK_ROWS, "void"> {
  return m.func("packRows", PACK_ROWS, (f, { to, a, aRow, aColumn, m: M, k: K }) => {
    const byColumns = f.let(i32.eq(aRow, 4));
    f.for(0, M, MR, (i) => {
      const pointers = rowPointers(f, i32.add(a, i32.mul(i, aRow)), aRow, i32.sub(M, i), MR);
      const from = pointers[0];
      const next = (): void => f.set(to, i32.add(to, 4 * MR));
      f.if(
        byColumns,
        () =>
          f.for(0, K, 1, () => {
            f.do(v128.store(to, v128.load(from)));
            if (MR === 6) f.do(v128.store64Lane(to, v128.load64Zero(from, 16), 0, 16));
            f.set(from, i32.add(from, aColumn));
            next();
          }),
        () => {
          const whole = f.let(i32.select(i32.and(i32.eq(aColumn, 4), MR === 4 ? 1 : 0), i32.and(K, -4), 0));
          if (MR === 4)
            f.for(0, whole, 4, () => {
              for (const [k, row] of transpose4(
                f,
                pointers.map((p) => v128.load(p)),
              ).entries())
                f.do(v128.store(to, row, 16 * k));
              for (const pointer of pointers) f.set(pointer, i32.add(pointer, 16));
              f.set(to, i32.add(to, 64));
            });
          f.for(whole, K, 1, () => {
            for (const [r, pointer] of pointers.entries()) {
              f.do(f32.store(to, f32.load(pointer), 4 * r));
              f.set(pointer, i32.add(pointer, aColumn));
            }
            next();
          });
        },
      );
    });
  });
}

/** Rows of four vectors become columns. */
export function transpose4(f: Body, rows: readonly V128[]): V128[] {
  const [a, b, c, d] = rows.map((row) => f.let(row));
  const low = f.let(v128.shuffle(a, b, [0, 4, 1, 5]));
  const low2 = f.let(v128.shuffle(c, d, [0, 4, 1, 5]));
  const high = f.let(v128.shuffle(a, b, [2, 6, 3, 7]));
  const high2 = f.let(v128.shuffle(c, d, [2, 6, 3, 7]));
  return [
    v128.shuffle(low, low2, [0, 1, 4, 5]),
    v128.shuffle(low, low2, [2, 3, 6, 7]),
    v128.shuffle(high, high2, [0, 1, 4, 5]),
    v128.shuffle(high, high2, [2, 3, 6, 7]),
  ];
}

const PACK = { to: "i32", b: "i32", kStride: "i32", nStride: "i32", k: "i32", columns: "i32" } as const;

/** One panel of B, [K, 8]; columns that do not exist are zeros. */
function packPanel(m: Module): Func<typeof PACK, "void"> {
  return m.func("packPanel", PACK, (f, { to, b, kStride, nStride, k, columns }) => {
    const wide = f.let(i32.eq(columns, NR));
    f.if(i32.and(wide, i32.eq(nStride, 4)), () => {
      f.for(0, k, 1, () => {
        f.do(v128.store(to, v128.load(b)), v128.store(to, v128.load(b, 16), 16));
        f.set(b, i32.add(b, kStride));
        f.set(to, i32.add(to, 4 * NR));
      });
      f.return();
    });
    const done = f.local("i32");
    f.if(i32.and(wide, i32.eq(kStride, 4)), () => {
      f.set(done, i32.and(k, -4));
      f.for(0, done, 4, () => {
        for (let half = 0; half < NR; half += 4) {
          const column = (n: number): I32 => i32.add(b, i32.mul(nStride, half + n));
          const rows = transpose4(
            f,
            [0, 1, 2, 3].map((n) => v128.load(column(n))),
          );
          for (const [n, row] of rows.entries()) f.do(v128.store(to, row, 4 * (n * NR + half)));
        }
        f.set(b, i32.add(b, 16));
        f.set(to, i32.add(to, 16 * NR));
      });
    });
    f.for(done, k, 1, () => {
      const from = f.let(b);
      f.do(v128.store(to, 0), v128.store(to, 0, 16));
      f.for(0, i32.shl(columns, 2), 4, (j) => {
        f.do(f32.store(i32.add(to, j), f32.load(from)));
        f.set(from, i32.add(from, nStride));
      });
      f.set(b, i32.add(b, kStride));
      f.set(to, i32.add(to, 4 * NR));
    });
  });
}

const PACK_ALL = { to: "i32", b: "i32", kStride: "i32", nStride: "i32", k: "i32", n: "i32" } as const;

export type PackAll = Func<typeof PACK_ALL, "void">;

/** Adds "packB" to a module, and returns what packs all panels of one matrix B. */
export function packKernels(m: Module): PackAll {
  const pack = packPanel(m);
  /** Item: one panel of one of the batch's matrices. */
  m.export(
    "packB",
    {
      to: "i32",
      b: "i32",
      batchStride: "i32",
      kStride: "i32",
      nStride: "i32",
      k: "i32",
      n: "i32",
      begin: "i32",
      end: "i32",
    },
    (f, p) => {
      const panels = f.let(i32.divU(i32.add(p.n, NR - 1), NR));
      f.for(p.begin, p.end, 1, (item) => {
        const batch = f.let(i32.divU(item, panels));
        const j = f.let(i32.mul(i32.remU(item, panels), NR));
        f.call(pack, {
          to: i32.add(p.to, i32.mul(item, i32.mul(p.k, 4 * NR))),
          b: i32.add(i32.add(p.b, i32.mul(batch, p.batchStride)), i32.mul(j, p.nStride)),
          kStride: p.kStride,
          nStride: p.nStride,
          k: p.k,
          columns: atMost(i32.sub(p.n, j), NR),
        });
      });
    },
  );

  return m.func("packAll", PACK_ALL, (f, { to, b, kStride, nStride, k, n }) => {
    f.for(0, n, NR, (j) => {
      f.call(pack, { to, b, kStride, nStride, k, columns: atMost(i32.sub(n, j), NR) });
      f.set(to, i32.add(to, i32.mul(k, 4 * NR)));
      f.set(b, i32.add(b, i32.mul(nStride, NR)));
    });
  });
}
