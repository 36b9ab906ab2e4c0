/** Whole numbers of 32 bits: what does not fit wraps around, to the last bit. The oracle computes with bigints. */
import type { BinaryOp, UnaryOp } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { plain, stream } from "../plain.ts";
import type { Plain } from "../plain.ts";

const edges = [0, 1, -1, 2, 46_341, 65_537, -65_536, 123_456_789, 2 ** 30, -(2 ** 30), 2 ** 31 - 1, 2 - 2 ** 31, -(2 ** 31)];

const wrapped = (x: bigint): number => Number(BigInt.asIntN(32, x));

const binaries = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
} satisfies Partial<Record<BinaryOp, (x: bigint, y: bigint) => bigint>>;

const unaries = {
  neg: (x) => -x,
  abs: (x) => (x < 0n ? -x : x),
  square: (x) => x * x,
} satisfies Partial<Record<UnaryOp, (x: bigint) => bigint>>;

/** Numbers of all 32 bits, three rows of 40. */
function wide(seed: number): Plain {
  const next = stream(seed);
  return plain(
    [3, 40],
    "int32",
    Array.from({ length: 120 }, () => Math.floor((next() - 0.5) * 2 ** 32) | 0),
  );
}

const sumOf = (numbers: readonly number[]): number => wrapped(numbers.reduce((total, v) => total + BigInt(v), 0n));

export const wrapping: Record<string, Law> = {
  "int32 wraps around: elementwise": async (bench) => {
    const n = edges.length;
    const [x, y] = [plain([n, 1], "int32", edges), plain([1, n], "int32", edges)];
    for (const [op, of] of Object.entries(binaries)) {
      const want = plain(
        [n, n],
        "int32",
        edges.flatMap((a) => edges.map((b) => wrapped(of(BigInt(a), BigInt(b))))),
      );
      await bench.expect(op, (out) => bench.backend.binary(op as keyof typeof binaries, out, bench.put(x), bench.put(y)), want);
    }
    for (const [op, of] of Object.entries(unaries)) {
      const want = plain(
        [n, 1],
        "int32",
        edges.map((a) => wrapped(of(BigInt(a)))),
      );
      await bench.expect(op, (out) => bench.backend.unary(op as keyof typeof unaries, out, bench.put(x)), want);
    }
  },

  "int32 wraps around: sums": async (bench) => {
    const x = wide(321);
    const rows = [0, 1, 2].map((r) => x.data.slice(40 * r, 40 * r + 40));
    const columns = rows[0].map((_, c) => rows.map((row) => row[c]));
    for (const layout of bench.layouts) {
      const sums = (axis: number, want: number[]) =>
        bench.expect("sum", (out) => bench.backend.reduce("sum", out, bench.put(x, layout), [axis]), plain([want.length], "int32", want));
      await sums(1, rows.map(sumOf));
      await sums(0, columns.map(sumOf));
      const running = rows.flatMap((row) => row.map((_, i) => sumOf(row.slice(0, i + 1))));
      await bench.expect(
        "cumsum",
        (out) => bench.backend.cumsum(out, bench.put(x, layout), 1, false, false),
        plain([3, 40], "int32", running),
      );
    }
    const index = bench.put(plain([3], "int32", [1, 1, 1]));
    const met = plain([2, 40], "int32", [...new Array<number>(40).fill(0), ...columns.map(sumOf)]);
    await bench.expect("addRows", (out) => bench.backend.addRows(out, bench.put(x), index), met);
    const everywhere = bench.put(plain([3, 40], "int32", new Array<number>(120).fill(1)));
    await bench.expect("addAlong", (out) => bench.backend.addAlong(out, bench.put(x), everywhere, 0), met);
  },
};
