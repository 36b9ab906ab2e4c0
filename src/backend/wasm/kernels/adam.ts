/**
 * The optimiser's step. p parameter, g gradient, m and v its running mean and mean square. Kingma and Ba 2014, arXiv:1412.6980, algorithm 1,
 * with the decoupled decay of Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2.
 */
import { f32x4, i32, v128 } from "../instructions.ts";
import type { Module } from "../assembler.ts";
import { splat } from "./loops.ts";

const { add, sub, mul, div } = f32x4;

// prettier-ignore
const STEP = {
  p: "i32", g: "i32", m: "i32", v: "i32",
  scale: "f32", lr: "f32", beta1: "f32", rest1: "f32", beta2: "f32", rest2: "f32",
  eps: "f32", decay: "f32", correction1: "f32", correction2: "f32",
  begin: "i32", end: "i32",
} as const;

export function adamKernel(m: Module): void {
  m.export("adam", STEP, (f, { p, g, m: first, v: second, begin, end, ...numbers }) => {
    const scale = splat(f, numbers.scale);
    const lr = splat(f, numbers.lr);
    const [beta1, rest1, beta2, rest2] = [numbers.beta1, numbers.rest1, numbers.beta2, numbers.rest2].map((x) => splat(f, x));
    const [eps, decay, correction1, correction2] = [numbers.eps, numbers.decay, numbers.correction1, numbers.correction2].map((x) =>
      splat(f, x),
    );
    f.for(i32.shl(begin, 4), i32.shl(end, 4), 16, (at) => {
      const slope = f.let(mul(v128.load(i32.add(g, at)), scale));
      const mean = f.let(add(mul(v128.load(i32.add(first, at)), beta1), mul(slope, rest1)));
      const square = f.let(add(mul(v128.load(i32.add(second, at)), beta2), mul(mul(slope, slope), rest2)));
      f.do(v128.store(i32.add(first, at), mean), v128.store(i32.add(second, at), square));
      const root = add(f32x4.sqrt(div(square, correction2)), eps);
      const x = f.let(v128.load(i32.add(p, at)));
      const step = add(div(div(mean, correction1), root), mul(decay, x));
      f.do(v128.store(i32.add(p, at), sub(x, mul(lr, step))));
    });
  });
}
