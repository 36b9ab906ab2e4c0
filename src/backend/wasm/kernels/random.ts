/** Uniform numbers by the 24-bit hash of cpu/random.ts, four at a time: the same bits, because all is whole numbers. */
import { f32x4, i32, i32x4, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Module } from "../assembler.ts";

const HALF = i32x4.const(0xfff);
const { add, mul, shrU } = i32x4;

/** 12 bits to 12 bits. */
function scramble(f: Body, half: V128, m: V128, a: V128): V128 {
  const s = f.let(v128.and(add(half, a), HALF));
  const t = v128.and(add(shrU(mul(s, s), 5), s), HALF);
  return v128.and(shrU(mul(t, m), 6), HALF);
}

export function randomKernels(m: Module): void {
  const rounds = { m0: "i32", a0: "i32", m1: "i32", a1: "i32", m2: "i32", a2: "i32", m3: "i32", a3: "i32" } as const;
  m.export("uniform", { out: "i32", ...rounds, begin: "i32", end: "i32" }, (f, { out, begin, end, ...p }) => {
    const splat = (x: I32): V128 => f.let(i32x4.splat(x));
    const keys = ([[p.m0, p.a0], [p.m1, p.a1], [p.m2, p.a2], [p.m3, p.a3]] as const).map(([x, y]) => [splat(x), splat(y)] as const); // prettier-ignore
    f.for(begin, end, 1, (vector) => {
      const index = f.let(add(i32x4.splat(i32.shl(vector, 2)), i32x4.lanes(0, 1, 2, 3)));
      const left = f.let(shrU(index, 12));
      const right = f.let(v128.and(index, HALF));
      for (const [x, y] of keys) {
        const mixed = f.let(v128.and(add(left, scramble(f, right, x, y)), HALF));
        f.set(left, right);
        f.set(right, mixed);
      }
      const bits = v128.or(i32x4.shl(left, 12), right);
      f.do(v128.store(i32.add(out, i32.shl(vector, 4)), f32x4.mul(f32x4.fromI32x4(bits), 2 ** -24)));
    });
  });
}
