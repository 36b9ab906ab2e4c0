/**
 * Running sums along the middle axis of [O, N, I]. Those of float32 are kept in float64 and rounded at each place, as the reference does: the
 * bits are the same.
 */
import { f32, f32x4, f64, f64x2, i32, i32x4, v128 } from "../instructions.ts";
import type { F32, I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { storeStrip } from "./loops.ts";
import { kernelName } from "./names.ts";

/** A sum that runs. `next` takes a value in and gives the sum with it, or without it where `exclusive` is not 0. */
interface Running<T> {
  start(): void;
  next(value: T, exclusive: I32): T;
}

function floatSum(f: Body): Running<F32> {
  const total = f.local("f64");
  return {
    start: () => f.set(total, 0),
    next: (value, exclusive) => {
      const before = f.let(total);
      f.set(total, f64.add(total, f64.fromF32(value)));
      return f32.select(exclusive, f32.fromF64(before), f32.fromF64(total));
    },
  };
}

function intSum(f: Body): Running<I32> {
  const total = f.local("i32");
  return {
    start: () => f.set(total, 0),
    next: (value, exclusive) => {
      const before = f.let(total);
      f.set(total, i32.add(total, value));
      return i32.select(exclusive, before, total);
    },
  };
}

const chosen = (exclusive: I32, before: V128, after: V128): V128 =>
  v128.select(i32x4.splat(i32.sub(0, i32.ne(exclusive, 0))), before, after);

function floatSums(f: Body): Running<V128> {
  const [low, high] = [f.local("v128"), f.local("v128")];
  const both = (): V128 => v128.shuffle(f32x4.fromF64x2(low), f32x4.fromF64x2(high), [0, 1, 4, 5]);
  return {
    start: () => [low, high].forEach((total) => f.set(total, f64x2.const(0))),
    next: (value, exclusive) => {
      const before = f.let(both());
      const lanes = f.let(value);
      f.set(low, f64x2.add(low, f64x2.fromLowF32x4(lanes)));
      f.set(high, f64x2.add(high, f64x2.fromLowF32x4(v128.shuffle(lanes, lanes, [2, 3, 2, 3]))));
      return chosen(exclusive, before, both());
    },
  };
}

function intSums(f: Body): Running<V128> {
  const total = f.local("v128");
  return {
    start: () => f.set(total, i32x4.const(0)),
    next: (value, exclusive) => {
      const before = f.let(total);
      f.set(total, i32x4.add(total, value));
      return chosen(exclusive, before, total);
    },
  };
}

/** `body` for N places that are `step` bytes apart, from the first or from the last. */
function forPlaces(f: Body, n: I32, step: I32, reverse: I32, body: (at: Local<"i32">) => void): void {
  const at = f.let(i32.select(reverse, i32.mul(i32.sub(n, 1), step), 0));
  const onward = f.let(i32.select(reverse, i32.sub(0, step), step));
  f.for(0, n, 1, () => {
    body(at);
    f.set(at, i32.add(at, onward));
  });
}

const ROWS = { out: "i32", x: "i32", n: "i32", exclusive: "i32", reverse: "i32", begin: "i32", end: "i32" } as const;
const COLUMNS = { out: "i32", x: "i32", n: "i32", inner: "i32", exclusive: "i32", reverse: "i32", begin: "i32", end: "i32" } as const;

/** I = 1. Item: one of O. */
function rowKernel(
  m: Module,
  name: string,
  step: (f: Body) => { start: () => void; place: (to: I32, from: I32, exclusive: I32) => void },
): void {
  m.export(name, ROWS, (f, p) => {
    const { start, place } = step(f);
    f.for(p.begin, p.end, 1, (item) => {
      const first = f.let(i32.shl(i32.mul(item, p.n), 2));
      start();
      forPlaces(f, p.n, i32.const(4), p.reverse, (at) => {
        const here = f.let(i32.add(first, at));
        place(i32.add(p.out, here), i32.add(p.x, here), p.exclusive);
      });
    });
  });
}

/** Item: eight columns, of one of O. */
function columnKernel(m: Module, name: string, sums: (f: Body) => Running<V128>): void {
  m.export(name, COLUMNS, (f, p) => {
    const running = [sums(f), sums(f)];
    const row = f.let(i32.shl(p.inner, 2));
    const strips = f.let(i32.shrU(i32.add(p.inner, 7), 3));
    f.for(p.begin, p.end, 1, (item) => {
      const column = f.let(i32.shl(i32.remU(item, strips), 5));
      const first = f.let(i32.add(i32.mul(i32.divU(item, strips), i32.mul(p.n, row)), column));
      for (const { start } of running) start();
      forPlaces(f, p.n, row, p.reverse, (at) => {
        const here = f.let(i32.add(first, at));
        const values = running.map(({ next }, k) => f.let(next(v128.load(i32.add(p.x, here), 16 * k), p.exclusive)));
        storeStrip(f, f.let(i32.add(p.out, here)), f.let(i32.sub(row, column)), values);
      });
    });
  });
}

export function cumsumKernels(m: Module): void {
  rowKernel(m, "cumsumRows", (f) => {
    const { start, next } = floatSum(f);
    return { start, place: (to, from, exclusive) => f.do(f32.store(to, next(f32.load(from), exclusive))) };
  });
  rowKernel(m, kernelName("cumsumRows", "int32"), (f) => {
    const { start, next } = intSum(f);
    return { start, place: (to, from, exclusive) => f.do(i32.store(to, next(i32.load(from), exclusive))) };
  });
  columnKernel(m, "cumsumColumns", floatSums);
  columnKernel(m, kernelName("cumsumColumns", "int32"), intSums);
}
