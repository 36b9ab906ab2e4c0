/**
 * Softmax, its logarithm and cross-entropy of rows, and their cotangents. R rows of D (or V) numbers. A row is walked two or three times, and
 * stays in the first-level cache. Sums of exponentials are kept in float64.
 */
import { f32, f32x4, f64x2, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { Sums, ZERO, acrossLanes, forVectors, narrowed, splatF64, store, widened, within } from "./loops.ts";
import { expOfNegative, log } from "./math.ts";
import type { Emitter } from "./math.ts";
import { forRows, rowDot, rowSum } from "./rowwise.ts";

const { sub, mul } = f32x4;
const NONE = f32x4.const(-Infinity);

/** Whether all lanes of the row's maximum are -Infinity: then nothing may be subtracted. */
const isNone = (top: V128): V128 => f32x4.eq(top, NONE);

/** The largest number of a row in all lanes, or 0 where that is -Infinity; NaN is passed over: its own exponential is NaN anyway. */
function shiftOf({ f }: Emitter, x: I32, bytes: I32): Local<"v128"> {
  const top = f.local("v128");
  f.set(top, NONE);
  forVectors(f, bytes, (at, tail) => f.set(top, f32x4.pmax(top, within(v128.load(i32.add(x, at)), NONE, tail))));
  const best = acrossLanes(f, top, f32x4.pmax);
  return f.let(v128.andnot(best, isNone(best)));
}

/** Writes e^(x - shift) to `out`, and gives the shift and the sum in all lanes. */
export function exponentials(s: Emitter, out: I32, x: I32, bytes: I32): { shift: Local<"v128">; total: Local<"v128"> } {
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
function totalOf(s: Emitter, x: I32, bytes: I32): { shift: Local<"v128">; total: Local<"v128"> } {
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
const logTotal = (s: Emitter, total: Local<"v128">): Local<"v128"> => s.f.let(v128.andnot(log(s, total), f32x4.eq(total, 0)));

const ROWS = { out: "i32", x: "i32", columns: "i32", begin: "i32", end: "i32" } as const;
const ROWS2 = { out: "i32", g: "i32", y: "i32", columns: "i32", begin: "i32", end: "i32" } as const;

export function softmaxKernels(m: Module, { madd }: Arithmetic): void {
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
  softmaxCotangents(m, madd);
}

function softmaxCotangents(m: Module, madd: Arithmetic["madd"]): void {
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
export function crossEntropyKernels(m: Module, { madd }: Arithmetic): void {
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
