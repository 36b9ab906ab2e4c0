/**
 * Functions of rows, and their cotangents: softmax, cross-entropy, layer norm and RMS norm. R rows of D (or V) numbers. A row is walked
 * two or three times, and stays in the first-level cache.
 */
import { f32, f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { ZERO, acrossLanes, forVectors, splat, store, storeStrip, sumLanes, within } from "./loops.ts";
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
  const total = f.local("v128");
  f.set(total, ZERO);
  forVectors(f, bytes, (at, tail) => {
    const e = f.let(expOfNegative(s, sub(v128.load(i32.add(x, at)), shift)));
    store(f, i32.add(out, at), e, tail);
    f.set(total, add(total, within(e, ZERO, tail)));
  });
  return { shift, total: sumLanes(f, total) };
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
  const sum = f.local("v128");
  f.set(sum, ZERO);
  forVectors(f, bytes, (at, tail) => f.set(sum, add(sum, within(expOfNegative(s, sub(v128.load(i32.add(x, at)), shift)), ZERO, tail))));
  return { shift, total: sumLanes(f, sum) };
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

/** The sum over a row of what `term` gives, in all lanes. */
function rowSum(f: Body, bytes: I32, term: (at: I32) => V128): Local<"v128"> {
  const sum = f.local("v128");
  f.set(sum, ZERO);
  forVectors(f, bytes, (at, tail) => f.set(sum, add(sum, within(term(at), ZERO, tail))));
  return sumLanes(f, sum);
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
      const along = rowSum(f, bytes, (at) => mul(v128.load(i32.add(g, at)), v128.load(i32.add(y, at))));
      forVectors(f, bytes, (at, tail) => {
        store(f, i32.add(out, at), mul(v128.load(i32.add(y, at)), sub(v128.load(i32.add(g, at)), along)), tail);
      });
    }),
  );
  // dx = g - e^y sum(g); a row of -Infinity has no slope
  m.export("logSoftmaxCotangent", ROWS2, (f, p) =>
    forRows(f, p, (row, bytes) => {
      const [g, y, out] = [p.g, p.y, p.out].map((base) => f.let(i32.add(base, row)));
      const total = rowSum(f, bytes, (at) => v128.load(i32.add(g, at)));
      const weights = rowSum(f, bytes, (at) => expOfNegative({ f, madd }, v128.load(i32.add(y, at))));
      const empty = f.let(f32x4.eq(weights, 0));
      forVectors(f, bytes, (at, tail) => {
        const slope = sub(v128.load(i32.add(g, at)), mul(expOfNegative({ f, madd }, v128.load(i32.add(y, at))), total));
        store(f, i32.add(out, at), v128.andnot(slope, empty), tail);
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

/** Rows whose products are summed before they join the total. */
const BLOCK = 64;

/**
 * Layer norm, Ba et al. 2016 (arXiv:1607.06450), or RMS norm, Zhang and Sennrich 2019 (arXiv:1910.07467), which does not centre. Forward
 * keeps each row's mean and 1 / sqrt(variance + eps), [R, 2]; z is the normalised row.
 */
function normKernels(m: Module, name: string, centred: boolean): void {
  m.export(
    name,
    { out: "i32", statistics: "i32", x: "i32", weight: "i32", bias: "i32", eps: "f32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const n = f.let(f32x4.splat(f32.fromI32(p.columns)));
      const eps = splat(f, p.eps);
      forRows(f, p, (row, bytes, r) => {
        const [x, out] = [p.x, p.out].map((base) => f.let(i32.add(base, row)));
        const mean = centred
          ? f.let(
              f32x4.div(
                rowSum(f, bytes, (at) => v128.load(i32.add(x, at))),
                n,
              ),
            )
          : ZERO;
        const squares = rowSum(f, bytes, (at) => {
          const d = f.let(sub(v128.load(i32.add(x, at)), mean));
          return mul(d, d);
        });
        const scale = f.let(f32x4.div(1, f32x4.sqrt(add(f32x4.div(squares, n), eps))));
        const kept = f.let(i32.add(p.statistics, i32.shl(r, 3)));
        f.do(f32.store(kept, f32x4.lane(mean, 0)), f32.store(kept, f32x4.lane(scale, 0), 4));
        forVectors(f, bytes, (at, tail) => {
          const z = mul(mul(sub(v128.load(i32.add(x, at)), mean), scale), v128.load(i32.add(p.weight, at)));
          store(f, i32.add(out, at), centred ? add(z, v128.load(i32.add(p.bias, at))) : z, tail);
        });
      });
    },
  );
  normCotangents(m, name, centred);
}

function normCotangents(m: Module, name: string, centred: boolean): void {
  // With h = g w: dx = (h - mean(h) - z mean(h z)) scale, without mean(h) where rows are not centred
  m.export(
    `${name}Cotangent`,
    { out: "i32", g: "i32", x: "i32", weight: "i32", statistics: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const n = f.let(f32x4.splat(f32.fromI32(p.columns)));
      forRows(f, p, (row, bytes, r) => {
        const [x, g, out] = [p.x, p.g, p.out].map((base) => f.let(i32.add(base, row)));
        const kept = f.let(i32.add(p.statistics, i32.shl(r, 3)));
        const mean = f.let(v128.load32Splat(kept));
        const scale = f.let(v128.load32Splat(kept, 4));
        const h = (at: I32): V128 => mul(v128.load(i32.add(g, at)), v128.load(i32.add(p.weight, at)));
        const z = (at: I32): V128 => mul(sub(v128.load(i32.add(x, at)), mean), scale);
        const level = f.local("v128");
        const along = f.local("v128");
        f.set(level, ZERO);
        f.set(along, ZERO);
        forVectors(f, bytes, (at, tail) => {
          const slope = f.let(within(h(at), ZERO, tail));
          f.set(level, add(level, slope));
          f.set(along, add(along, within(mul(slope, z(at)), ZERO, tail)));
        });
        const shift = centred ? f.let(f32x4.div(sumLanes(f, level), n)) : ZERO;
        const share = f.let(f32x4.div(sumLanes(f, along), n));
        forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), mul(sub(sub(h(at), shift), mul(z(at), share)), scale), tail));
      });
    },
  );
  // dw = sum over rows of g z, db = sum over rows of g. Item: two vectors of columns.
  m.export(
    `${name}WeightCotangent`,
    { weight: "i32", bias: "i32", g: "i32", x: "i32", statistics: "i32", rows: "i32", columns: "i32", begin: "i32", end: "i32" },
    (f, p) => {
      const bytes = f.let(i32.shl(p.columns, 2));
      f.for(i32.shl(p.begin, 5), i32.shl(p.end, 5), 32, (strip) => {
        const totals = [0, 1, 2, 3].map(() => f.local("v128"));
        for (const total of totals) f.set(total, ZERO);
        const [g, x] = [p.g, p.x].map((base) => f.let(i32.add(base, strip)));
        const kept = f.let(p.statistics);
        f.for(0, p.rows, BLOCK, (block) => {
          const sums = totals.map(() => f.let(ZERO));
          const left = i32.sub(p.rows, block);
          f.for(0, i32.select(i32.ltU(left, BLOCK), left, BLOCK), 1, () => {
            const mean = f.let(v128.load32Splat(kept));
            const scale = f.let(v128.load32Splat(kept, 4));
            for (const k of [0, 1]) {
              const slope = f.let(v128.load(g, 16 * k));
              f.set(sums[k], add(sums[k], mul(slope, mul(sub(v128.load(x, 16 * k), mean), scale))));
              f.set(sums[k + 2], add(sums[k + 2], slope));
            }
            for (const pointer of [g, x]) f.set(pointer, i32.add(pointer, bytes));
            f.set(kept, i32.add(kept, 8));
          });
          for (const [k, total] of totals.entries()) f.set(total, add(total, sums[k]));
        });
        const left = f.let(i32.sub(bytes, strip));
        storeStrip(f, f.let(i32.add(p.weight, strip)), left, totals.slice(0, 2));
        if (centred) storeStrip(f, f.let(i32.add(p.bias, strip)), left, totals.slice(2));
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
