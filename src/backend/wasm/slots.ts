/**
 * Launching the experts' products on slots, with their activation: E experts with N = G C rows each, of which the first filled[e, g] of each C hold tokens. One product for
 * each expert and group, all in one launch. D and F widths.
 */
import { isContiguous, sizeOf, stridesOf } from "../shape.ts";
import { filledRows } from "../slots.ts";
import type { Activation, ArrayType, Buffer, FusedKernel, NDArray } from "../backend.ts";
import type { FilledRows } from "../slots.ts";
import { activateInto, activated, sumToBias } from "./activation.ts";
import { multiplyEach, packed } from "./products.ts";
import type { Matrix, Product } from "./products.ts";
import { permuted } from "../views.ts";
import type { Launcher } from "./launcher.ts";

/** ReLU works in place, because its slope can be read from its result; the others keep what they were given. */
export function slotProduct(launcher: Launcher): FusedKernel<{ activation: Activation | null }> {
  const rowsOf = (x: NDArray, counts: NDArray): FilledRows[] =>
    filledRows("slotProduct", launcher.elements(counts), counts.shape, x.shape[1]);
  return {
    forward: (out, [x, weight, counts, bias], { activation: name }) => {
      const product = project(launcher, out, x, weight, rowsOf(x, counts));
      if (!name) return { out: product, saved: [] };
      const z = wholeOf(product, out);
      return withCounts(launcher, counts, (filled) => {
        if (name !== "relu") return { out: activated(launcher, name, z, { bias, filled }), saved: [product] };
        activateInto(launcher, launcher.addressOf(product), name, z, { bias, filled });
        return { out: product, saved: [] };
      });
    },
    backward: (g, out, saved, [x, weight, counts, bias], needed, { activation: name }, spare) => {
      const rows = rowsOf(x, counts);
      const inPlace = spare === true && isContiguous(g.shape, g.strides);
      const slope =
        name &&
        withCounts(launcher, counts, (filled) => {
          const z = name === "relu" ? out : wholeOf(saved[0], out);
          const beside = { g, filled, ...(name === "relu" ? {} : { bias }) };
          if (!inPlace) return activated(launcher, name, z, beside);
          activateInto(launcher, launcher.address(g), name, z, beside);
          return null;
        });
      const dz = slope ? wholeOf(slope, out) : g;
      const cotangents = [
        needed[0] ? project(launcher, x, dz, turned(weight), rows) : null,
        needed[1] ? outer(launcher, weight, x, dz, rows) : null,
        null,
        bias && needed[3] ? sumToBias(launcher, launcher.address(dz), out, bias) : null,
      ];
      if (slope) launcher.free(slope);
      return cotangents.slice(0, bias ? 4 : 3);
    },
  };
}

const wholeOf = (buffer: Buffer, { shape, dtype }: ArrayType): NDArray => ({ shape, dtype, buffer, strides: stridesOf(shape), offset: 0 });

/** `use` with the counts where a kernel reads them: in order. */
function withCounts<T>(launcher: Launcher, counts: NDArray, use: (filled: NDArray) => T): T {
  if (isContiguous(counts.shape, counts.strides)) return use(counts);
  const buffer = launcher.make(counts, (at) => launcher.write(at, [...launcher.elements(counts)]));
  try {
    return use(wholeOf(buffer, counts));
  } finally {
    launcher.free(buffer);
  }
}

/** Weights [E, D, F] read as [E, F, D]. */
const turned = (weight: NDArray): NDArray => permuted(weight, [0, 2, 1]);

/** All matrices of an array [E, M, N]. */
function matrices(launcher: Launcher, x: NDArray): Matrix {
  const [batch, row, column] = x.strides.map((step) => 4 * step);
  return { at: launcher.address(x), batch, row, column };
}

const from = (x: Matrix, expert: number, row: number): Matrix => ({ ...x, at: x.at + expert * x.batch + row * x.row });

/** x [E, N, D] weight [E, D, F] -> out [E, N, F]. */
function project(launcher: Launcher, out: ArrayType, x: NDArray, weight: NDArray, rows: readonly FilledRows[]): Buffer {
  const [experts, each, columns] = out.shape;
  const inner = x.shape[2];
  return launcher.make(out, (to) => {
    if (inner === 0) return launcher.zero(to, sizeOf(out.shape));
    clearEmpty(launcher, to, out, rows);
    const left = matrices(launcher, x);
    const most = rows.reduce((count, { begin, end }) => Math.max(count, end - begin), 0);
    packed(launcher, matrices(launcher, weight), experts, inner, columns, most, (b, bBatch) => {
      const products = rows.map(({ expert, begin, end }): Product => ({
        batch: 1,
        m: end - begin,
        n: columns,
        k: inner,
        a: from(left, expert, begin),
        b: { ...b, at: b.at + expert * bBatch },
        c: { at: to + 4 * (expert * each + begin) * columns, batch: 0, row: 4 * columns },
      }));
      multiplyEach(launcher, products);
    });
  });
}

/** Zeros in the rows that hold no token. */
function clearEmpty(launcher: Launcher, to: number, { shape: [experts, each, columns] }: ArrayType, rows: readonly FilledRows[]): void {
  let done = 0;
  const upTo = (row: number): void => launcher.zero(to + 4 * done * columns, (row - done) * columns);
  for (const { expert, begin, end } of rows) {
    upTo(expert * each + begin);
    done = expert * each + end;
  }
  upTo(experts * each);
}

/** x [E, N, D] and y [E, N, F] -> out [E, D, F]: the sums over the filled rows of x^T y. */
function outer(launcher: Launcher, out: ArrayType, x: NDArray, y: NDArray, rows: readonly FilledRows[]): Buffer {
  const [experts, m, n] = out.shape;
  const counts = Array.from({ length: experts }, (_, e) => countOf(rows, e));
  const most = Math.max(0, ...counts);
  return launcher.make(out, (to) => {
    for (const [e, count] of counts.entries()) if (count === 0) launcher.zero(to + 4 * e * m * n, m * n);
    if (most === 0) return;
    inFront(launcher, x, rows, (left) =>
      inFront(launcher, y, rows, (right) =>
        packed(launcher, right, experts, most, n, m, (b, bBatch) => {
          const products = counts.map((k, e): Product => ({
            batch: 1,
            m,
            n,
            k,
            a: transposed(from(left, e, 0)),
            b: { ...b, at: b.at + e * bBatch },
            c: { at: to + 4 * e * m * n, batch: 0, row: 4 * n },
          }));
          multiplyEach(launcher, products);
        }),
      ),
    );
  });
}

const transposed = (x: Matrix): Matrix => ({ ...x, row: x.column, column: x.row });

function countOf(rows: readonly FilledRows[], expert: number): number {
  return rows.reduce((sum, row) => (row.expert === expert ? sum + row.end - row.begin : sum), 0);
}

/** `use` with matrices whose filled rows stand in front: copied there where there are several groups, because a sum over rows is one product. */
function inFront<T>(launcher: Launcher, x: NDArray, rows: readonly FilledRows[], use: (x: Matrix) => T): T {
  const [experts, each, columns] = x.shape;
  if (rows.length === experts) return use(matrices(launcher, x));
  return launcher.contiguous([x], (at) =>
    launcher.scratch(4 * sizeOf(x.shape), (to) => {
      const next = new Int32Array(experts);
      for (const { expert, begin, end } of rows) {
        const place = (row: number): number => 4 * (expert * each + row) * columns;
        launcher.move(to + place(next[expert]), at + place(begin), 4 * (end - begin) * columns);
        next[expert] += end - begin;
      }
      return use({ at: to, batch: 4 * each * columns, row: 4 * columns, column: 4 });
    }),
  );
}
