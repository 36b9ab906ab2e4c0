/**
 * Functions of rows, and their cotangents: softmax, cross-entropy, layer norm and RMS norm. R rows of D (or V) numbers. A row is walked
 * two or three times, and stays in the first-level cache. Sums along rows and over rows are kept in float64 (Sums of loops.ts).
 */
import { f32, f32x4, f64, f64x2, i32, v128 } from "../instructions.ts";
import type { F64, I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { Sums, ZERO, acrossLanes, forVectors, narrowed, splatF64, store, storeStrip, widened, within } from "./loops.ts";
import { expOfNegative, log } from "./math.ts";
import type { Scribe } from "./math.ts";

const { add, sub, mul } = f32x4;
const NONE = f32x4.const(-Infinity);

/** Whether all lanes of the row's maximum are -Infinity: then nothing may be subtracted. */
const isNone = (top: V128): V128 => f32x4.eq(top, NONE);

/** The largest number of a row in all lanes, or 0 where that is -Infinity; NaN is passed over: its own exponential is NaN anyway. */
function shiftOf({ f }: Scribe, x: I32, bytes: I32): Local<"v128"> {
  const top = f.local("v128");
  f.set(top, NONE);
  forVectors(f, bytes, (at, tail) => f.set(top, f32x4.pmax(top, within(v128.load(i32.add(x, at)), NONE, tail))));
  const best = acrossLanes(f, top, f32x4.pmax);
  return f.let(v128.andnot(best, isNone(best)));
}

/** Writes e^(x - shift) to `out`, and gives the shift and the sum in all lanes. */
export function exponentials(s: Scribe, out: I32, x: I32, bytes: I32): { shift: Local<"v128">; total: Local<"v128"> } {
  const { f } = s;
  const shift = shiftOf(s, x, bytes);
  const sums = new Sums(f);
  sums.start();
  forVectors(f, bytes, (at, tail) => {
    const e = f.let(expOfNegative(s, sub(v128.load(i32.add(x, at)), shift)));
    store(f, i32.add(out, at), e, tail);
    sums.add(widened(f, within(e, ZERO, tail)));
  });
  return { shift, total: splatF64(f, sums.total) };
}

/** Multiplies a row in place. */
export function scaleRow(f: Body, row: I32, bytes: I32, by: V128): void {
  forVectors(f, bytes, (at, tail) => store(f, i32.add(row, at), mul(v128.load(i32.add(row, at)), by), tail));
}

/** 1 / total, or 0 where there is nothing. */
export const shareOf = (f: Body, total: V128): Local<"v128"> => f.let(v128.andnot(f32x4.div(1, total), f32x4.eq(total, 0)));

/**
 * The shift and the sum of e^(x - shift), in all lanes. They stay apart, because shift + ln(sum) would round away what is small beside
 * a large shift.
 */
function totalOf(s: Scribe, x: I32, bytes: I32): { shift: Local<"v128">; total: Local<"v128"> } {
  const { f } = s;
  const shift = shiftOf(s, x, bytes);
  return {
    shift,
    total: splatF64(
      f,
      rowSum(f, bytes, (at) => expOfNegative(s, sub(v128.load(i32.add(x, at)), shift))),
    ),
  };
}

/** ln(total), or 0 for a row of -Infinity, so that subtracting it leaves -Infinity. */
const logTotal = (s: Scribe, total: Local<"v128">): Local<"v128"> => s.f.let(v128.andnot(log(s, total), f32x4.eq(total, 0)));

const ROWS = { out: "i32", x: "i32", columns: "i32", begin: "i32", end: "i32" } as const;
const ROWS2 = { out: "i32", g: "i32", y: "i32", columns: "i32", begin: "i32", end: "i32" } as const;

/** `body` for each row's byte offset. */
function forRows(
  f: Body,
  { columns, begin, end }: { columns: I32; begin: I32; end: I32 },
  body: (row: Local<"i32">, bytes: I32, r: I32) => void,
): void {
  const bytes = f.let(i32.shl(columns, 2));
  f.for(begin, end, 1, (r) => body(f.let(i32.mul(r, bytes)), bytes, r));
}

/** The sum over a row of what `term` gives, in float64. */
function rowSum(f: Body, bytes: I32, term: (at: I32) => V128): Local<"f64"> {
  const sums = new Sums(f);
  sums.start();
  forVectors(f, bytes, (at, tail) => sums.add(widened(f, within(term(at), ZERO, tail))));
  return f.let(sums.total);
}

/** The sum over a row of x y, each product exact. */
function rowDot(f: Body, bytes: I32, x: (at: I32) => V128, y: (at: I32) => V128): Local<"f64"> {
  const sums = new Sums(f);
  sums.start();
  forVectors(f, bytes, (at, tail) => {
    const left = widened(f, within(x(at), ZERO, tail));
    const right = widened(f, within(y(at), ZERO, tail));
    sums.add([f64x2.mul(left[0], right[0]), f64x2.mul(left[1], right[1])]);
  });
  return f.let(sums.total);
}

function softmaxKernels(m: Module, { madd }: Arithmetic): void {
  m.export("softmax", ROWS, (f, p) =>
    forRows(f, p, (row, bytes) => {
      const out = f.let(i32.add(p.out, row));
      const { total } = exponentials({ f, madd }, out, f.let(i32.add(p.x, row)), bytes);
      scaleRow(f, out, bytes, shareOf(f, total));
    }),
  );
  m.export("logSoftmax", ROWS, (f, p) =>
    forRows(f, p, (row, bytes) => {
      const x = f.let(i32.add(p.x, row));
      const { shift, total } = totalOf({ f, madd }, x, bytes);
      const level = logTotal({ f, madd }, total);
      const out = f.let(i32.add(p.out, row));
      forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), sub(sub(v128.load(i32.add(x, at)), shift), level), tail));
    }),
  );
  // dx = y (g - sum(g y))
  m.export("softmaxCotangent", ROWS2, (f, p) =>
    forRows(f, p, (row, bytes) => {
      const [g, y, out] = [p.g, p.y, p.out].map((base) => f.let(i32.add(base, row)));
      const [gAt, yAt] = [g, y].map((base) => (at: I32) => v128.load(i32.add(base, at)));
      const along = f.let(f64x2.splat(rowDot(f, bytes, gAt, yAt)));
      forVectors(f, bytes, (at, tail) => {
        const [slopes, shares] = [widened(f, gAt(at)), widened(f, yAt(at))];
        const [low, high] = slopes.map((slope, half) => f64x2.mul(shares[half], f64x2.sub(slope, along)));
        store(f, i32.add(out, at), narrowed(low, high), tail);
      });
    }),
  );
  // dx = g - e^y sum(g); a row of -Infinity has no slope
  m.export("logSoftmaxCotangent", ROWS2, (f, p) =>
    forRows(f, p, (row, bytes) => {
      const [g, y, out] = [p.g, p.y, p.out].map((base) => f.let(i32.add(base, row)));
      const total = f.let(f64x2.splat(rowSum(f, bytes, (at) => v128.load(i32.add(g, at)))));
      const share = (at: I32): V128 => expOfNegative({ f, madd }, v128.load(i32.add(y, at)));
      const empty = f.let(f32x4.eq(splatF64(f, rowSum(f, bytes, share)), 0));
      forVectors(f, bytes, (at, tail) => {
        const [slopes, shares] = [widened(f, v128.load(i32.add(g, at))), widened(f, share(at))];
        const [low, high] = slopes.map((slope, half) => f64x2.sub(slope, f64x2.mul(shares[half], total)));
        store(f, i32.add(out, at), v128.andnot(narrowed(low, high), empty), tail);
      });
    }),
  );
}

/** `kept` is each row's shift and 1 / sum of e^(x - shift), [R, 2], for the way back. */
function crossEntropyKernels(m: Module, { madd }: Arithmetic): void {
  const common = { x: "i32", target: "i32", kept: "i32", ignored: "i32", columns: "i32", begin: "i32", end: "i32" } as const;
  m.export("crossEntropy", { out: "i32", ...common }, (f, p) =>
    forRows(f, p, (row, bytes, r) => {
      const at = f.let(i32.shl(r, 2));
      const target = f.let(i32.load(i32.add(p.target, at)));
      f.do(f32.store(i32.add(p.out, at), 0));
      f.if(i32.ne(target, p.ignored), () => {
        const x = f.let(i32.add(p.x, row));
        const { shift, total } = totalOf({ f, madd }, x, bytes);
        const kept = f.let(i32.add(p.kept, i32.shl(r, 3)));
        f.do(f32.store(kept, f32x4.lane(shift, 0)), f32.store(kept, f32x4.lane(shareOf(f, total), 0), 4));
        const distance = f32.sub(f32x4.lane(shift, 0), f32.load(i32.add(x, i32.shl(target, 2))));
        f.do(f32.store(i32.add(p.out, at), f32.add(f32x4.lane(logTotal({ f, madd }, total), 0), distance)));
      });
    }),
  );
  m.export("crossEntropyCotangent", { out: "i32", g: "i32", ...common }, (f, p) =>
    forRows(f, p, (row, bytes, r) => {
      const at = f.let(i32.shl(r, 2));
      const target = f.let(i32.load(i32.add(p.target, at)));
      const [x, out] = [p.x, p.out].map((base) => f.let(i32.add(base, row)));
      f.if(
        i32.eq(target, p.ignored),
        () => forVectors(f, bytes, (d, tail) => store(f, i32.add(out, d), ZERO, tail)),
        () => {
          const kept = f.let(i32.add(p.kept, i32.shl(r, 3)));
          const shift = f.let(v128.load32Splat(kept));
          const g = f.let(v128.load32Splat(i32.add(p.g, at)));
          const share = f.let(mul(g, v128.load32Splat(kept, 4)));
          forVectors(f, bytes, (d, tail) =>
            store(f, i32.add(out, d), mul(share, expOfNegative({ f, madd }, sub(v128.load(i32.add(x, d)), shift))), tail),
          );
          const hit = f.let(i32.add(out, i32.shl(target, 2)));
          f.do(f32.store(hit, f32.sub(f32.load(hit), f32x4.lane(g, 0))));
        },
      );
    }),
  );
}

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

export function rowwiseKernels(m: Module, arithmetic: Arithmetic): void {
  softmaxKernels(m, arithmetic);
  crossEntropyKernels(m, arithmetic);
  normKernels(m, "layerNorm", true);
  normKernels(m, "rmsNorm", false);
}
