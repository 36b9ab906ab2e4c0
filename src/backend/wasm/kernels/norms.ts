/**
 * Layer norm and RMS norm of rows, and their cotangents. R rows of D numbers. A row is walked two or three times, and stays in the first-level
 * cache. Sums are kept in float64.
 */
import { f32, f32x4, f64, f64x2, i32, v128 } from "../instructions.ts";
import type { F64, I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { Sums, ZERO, forVectors, splatF64, store, storeStrip, widened, within } from "./loops.ts";
import { forRows, rowDot, rowSum } from "./rowwise.ts";

const { add, sub, mul } = f32x4;

/** Of each row's statistics: its mean, what float32 leaves of the mean, and 1 / sqrt(variance + eps). */
export const STATISTICS = 3;

interface Statistics {
  readonly mean: V128;
  readonly rest: V128;
  readonly scale: V128;
}

/** x - mean, to float32 precision whatever the mean: a mean of 1e7 in float32 is off by up to a half, which may be more than the deviation. */
function centre(x: V128, { mean, rest }: Statistics, centred: boolean): V128 {
  return centred ? sub(sub(x, mean), rest) : x;
}

function statisticsAt(f: Body, base: I32): Statistics {
  const [mean, rest, scale] = [0, 4, 8].map((offset) => f.let(v128.load32Splat(base, offset)));
  return { mean, rest, scale };
}

const statisticsOf = (f: Body, base: I32, r: I32): Local<"i32"> => f.let(i32.add(base, i32.mul(r, 4 * STATISTICS)));

/** The statistics of the row x. */
function measure(f: Body, x: I32, bytes: I32, n: Local<"f64">, eps: F64, centred: boolean): Statistics {
  const mean64 = f.let(
    centred
      ? f64.div(
          rowSum(f, bytes, (at) => v128.load(i32.add(x, at))),
          n,
        )
      : f64.const(0),
  );
  const mean = splatF64(f, mean64);
  const rest = splatF64(f, f64.sub(mean64, f64.fromF32(f32x4.lane(mean, 0))));
  const squares = new Sums(f);
  squares.start();
  forVectors(f, bytes, (at, tail) => {
    const [low, high] = widened(f, within(centre(v128.load(i32.add(x, at)), { mean, rest, scale: ZERO }, centred), ZERO, tail));
    const [a, b] = [f.let(low), f.let(high)];
    squares.add([f64x2.mul(a, a), f64x2.mul(b, b)]);
  });
  return { mean, rest, scale: splatF64(f, f64.div(1, f64.sqrt(f64.add(f64.div(squares.total, n), eps)))) };
}

/**
 * Layer norm, Ba et al. 2016 (arXiv:1607.06450), or RMS norm, Zhang and Sennrich 2019 (arXiv:1910.07467), which does not centre. Forward
 * keeps the statistics of each row, [R, 3]; z is the normalised row.
 */
function normKernels(m: Module, name: string, centred: boolean): void {
  m.export(
    name,
    { out: "i32", statistics: "i32", x: "i32", weight: "i32", bias: "i32", eps: "f32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const n = f.let(f64.fromI32(p.columns));
      forRows(f, p, (row, bytes, r) => {
        const [x, out] = [p.x, p.out].map((base) => f.let(i32.add(base, row)));
        const statistics = measure(f, x, bytes, n, f64.fromF32(p.eps), centred);
        const { mean, rest, scale } = statistics;
        const kept = statisticsOf(f, p.statistics, r);
        for (const [k, value] of [mean, rest, scale].entries()) f.do(f32.store(kept, f32x4.lane(value, 0), 4 * k));
        forVectors(f, bytes, (at, tail) => {
          const z = mul(mul(centre(v128.load(i32.add(x, at)), statistics, centred), scale), v128.load(i32.add(p.weight, at)));
          store(f, i32.add(out, at), centred ? add(z, v128.load(i32.add(p.bias, at))) : z, tail);
        });
      });
    },
  );
  normCotangent(m, name, centred);
  normWeightCotangent(m, name, centred);
}

/** With h = g w: dx = (h - mean(h) - z mean(h z)) scale, without mean(h) where rows are not centred. */
function normCotangent(m: Module, name: string, centred: boolean): void {
  m.export(
    `${name}Cotangent`,
    { out: "i32", g: "i32", x: "i32", weight: "i32", statistics: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const n = f.let(f64.fromI32(p.columns));
      forRows(f, p, (row, bytes, r) => {
        const [x, g, out] = [p.x, p.g, p.out].map((base) => f.let(i32.add(base, row)));
        const statistics = statisticsAt(f, statisticsOf(f, p.statistics, r));
        const h = (at: I32): V128 => mul(v128.load(i32.add(g, at)), v128.load(i32.add(p.weight, at)));
        const z = (at: I32): V128 => mul(centre(v128.load(i32.add(x, at)), statistics, centred), statistics.scale);
        const shift = centred ? splatF64(f, f64.div(rowSum(f, bytes, h), n)) : ZERO;
        const share = splatF64(f, f64.div(rowDot(f, bytes, h, z), n));
        forVectors(f, bytes, (at, tail) =>
          store(f, i32.add(out, at), mul(sub(sub(h(at), shift), mul(z(at), share)), statistics.scale), tail),
        );
      });
    },
  );
}

/** dw = sum over rows of g z, db = sum over rows of g. Item: two vectors of columns. */
function normWeightCotangent(m: Module, name: string, centred: boolean): void {
  m.export(
    `${name}WeightCotangent`,
    { weight: "i32", bias: "i32", g: "i32", x: "i32", statistics: "i32", rows: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      const [toWeight, toBias] = [0, 1].map(() => [new Sums(f), new Sums(f)]);
      f.for(i32.shl(p.begin, 5), i32.shl(p.end, 5), 32, (strip) => {
        for (const sums of [...toWeight, ...toBias]) sums.start();
        const [g, x] = [p.g, p.x].map((base) => f.let(i32.add(base, strip)));
        const kept = f.let(p.statistics);
        f.for(0, p.rows, 1, () => {
          const statistics = statisticsAt(f, kept);
          for (const k of [0, 1]) {
            const slope = f.let(v128.load(g, 16 * k));
            toWeight[k].add(widened(f, mul(slope, mul(centre(v128.load(x, 16 * k), statistics, centred), statistics.scale))));
            if (centred) toBias[k].add(widened(f, slope));
          }
          for (const pointer of [g, x]) f.set(pointer, i32.add(pointer, bytes));
          f.set(kept, i32.add(kept, 4 * STATISTICS));
        });
        const left = f.let(i32.sub(bytes, strip));
        const put = (base: I32, sums: readonly Sums[]): void =>
          storeStrip(
            f,
            f.let(i32.add(base, strip)),
            left,
            sums.map(({ lanes }) => lanes),
          );
        put(p.weight, toWeight);
        if (centred) put(p.bias, toBias);
      });
    },
  );
}

/** Adds the norms and their cotangents to a module. */
export function normsKernels(m: Module): void {
  normKernels(m, "layerNorm", true);
  normKernels(m, "rmsNorm", false);
}
