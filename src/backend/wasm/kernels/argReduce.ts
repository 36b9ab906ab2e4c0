/** The place of the first of the best of each row, [R, C] -> [R] of int32. */
import { f32x4, i32, i32x4, v128 } from "../instructions.ts";
import type { V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { forVectors } from "./loops.ts";
import { kernelName } from "./names.ts";

/** Lanes in which x is strictly better than y. NaN is worse than any number for argmax, and better for argmin. */
type Better = (x: V128, y: V128) => V128;

const isNaN = (x: V128): V128 => f32x4.ne(x, x);

const orders: Readonly<Record<string, Better>> = {
  argmax: (x, y) => v128.or(f32x4.gt(x, y), v128.andnot(isNaN(y), isNaN(x))),
  argmin: (x, y) => v128.or(f32x4.lt(x, y), v128.andnot(isNaN(x), isNaN(y))),
  [kernelName("argmax", "int32")]: i32x4.gt,
  [kernelName("argmin", "int32")]: i32x4.lt,
};

interface Best {
  readonly value: Local<"v128">;
  readonly place: Local<"v128">;
}

/** Gives each lane the value and place of the lane `from`, if that is better, or as good and earlier. */
function combine(f: Body, { value, place }: Best, better: Better, from: readonly [number, number, number, number]): void {
  const [otherValue, otherPlace] = [value, place].map((lanes) => f.let(v128.shuffle(lanes, lanes, from)));
  const earlier = v128.andnot(i32x4.lt(otherPlace, place), better(value, otherValue));
  const wins = f.let(v128.or(better(otherValue, value), earlier));
  f.set(value, v128.select(wins, otherValue, value));
  f.set(place, v128.select(wins, otherPlace, place));
}

export function argReduceKernels(m: Module): void {
  for (const [name, better] of Object.entries(orders)) {
    m.export(`${name}Rows`, { out: "i32", x: "i32", columns: "i32", begin: "i32", end: "i32" }, (f, { out, x, columns, begin, end }) => {
      const bytes = f.let(i32.shl(columns, 2));
      f.for(begin, end, 1, (r) => {
        const row = f.let(i32.add(x, i32.mul(r, bytes)));
        const best = { value: f.let(v128.load32Splat(row)), place: f.let(i32x4.const(0)) };
        const here = f.let(i32x4.lanes(0, 1, 2, 3));
        forVectors(f, bytes, (at, tail) => {
          const value = f.let(v128.load(i32.add(row, at)));
          const wins = better(value, best.value);
          const mask = f.let(tail ? v128.and(wins, tail.mask) : wins);
          f.set(best.value, v128.select(mask, value, best.value));
          f.set(best.place, v128.select(mask, here, best.place));
          f.set(here, i32x4.add(here, 4));
        });
        combine(f, best, better, [2, 3, 0, 1]);
        combine(f, best, better, [1, 0, 3, 2]);
        f.do(v128.store32Lane(i32.add(out, i32.shl(r, 2)), best.place, 0));
      });
    });
  }
}
