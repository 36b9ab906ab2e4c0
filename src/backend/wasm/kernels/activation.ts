/** Activations with their bias in one pass, and their cotangents. z = x + bias. */
import { f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Activation } from "../../backend.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { ZERO, forVectors, store } from "./loops.ts";
import { normalCdf, normalDensity, sigmoid } from "./math.ts";
import type { Emitter } from "./math.ts";

const { add, sub, mul } = f32x4;

interface Pair {
  readonly of: (s: Emitter, z: V128) => V128;
  /** g times the derivative at z. */
  readonly pulled: (s: Emitter, z: V128, g: V128) => V128;
}

/** g times a slope. */
const times =
  (slope: (s: Emitter, z: V128) => V128): Pair["pulled"] =>
  (s, z, g) =>
    mul(g, slope(s, z));

/** GELU by tanh, Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2: z sigmoid(2 u), u = sqrt(2 / pi) (z + 0.044715 z^3). */
const TWICE = 2 * Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
const tanhGate = (s: Emitter, z: V128): V128 => sigmoid(s, mul(mul(z, TWICE), s.madd(mul(z, z), f32x4.const(CUBIC), f32x4.const(1))));

/** z is a local. */
const pairs: Record<Activation, Pair> = {
  // Selected, not multiplied: 0 times an infinite g would be NaN.
  relu: { of: (_, z) => f32x4.max(z, 0), pulled: (_, z, g) => v128.and(g, f32x4.gt(z, 0)) },
  gelu: { of: (s, z) => mul(z, normalCdf(s, z)), pulled: times((s, z) => s.madd(z, normalDensity(s, z), normalCdf(s, z))) },
  geluTanh: {
    of: (s, z) => mul(z, tanhGate(s, z)),
    pulled: times((s, z) => {
      const gate = s.f.let(tanhGate(s, z));
      const inner = mul(s.madd(mul(z, z), f32x4.const(3 * CUBIC), f32x4.const(1)), TWICE);
      return s.madd(mul(z, mul(gate, sub(1, gate))), inner, gate);
    }),
  },
  silu: {
    of: (s, z) => mul(z, sigmoid(s, z)),
    pulled: times((s, z) => {
      const gate = s.f.let(sigmoid(s, z));
      return mul(gate, s.madd(z, sub(1, gate), f32x4.const(1)));
    }),
  },
};

// prettier-ignore
const ROWS = {
  out: "i32", x: "i32", bias: "i32", g: "i32", columns: "i32", group: "i32", filled: "i32", capacity: "i32", begin: "i32", end: "i32",
} as const;

/**
 * Rows of x; `group` rows share a bias, and so on through the biases. Where `filled` is given, it says of each `capacity` rows
 * how many count: the others are not read, and their results are zeros.
 */
function forFilledRows(f: Body, p: { readonly [Name in keyof typeof ROWS]: I32 }, value: (z: Local<"v128">, g: I32) => V128): void {
  const bytes = f.let(i32.shl(p.columns, 2));
  const count = f.local("i32");
  f.for(p.begin, p.end, 1, (r) => {
    const row = f.let(i32.mul(r, bytes));
    const [x, g, out] = [p.x, p.g, p.out].map((base) => f.let(i32.add(base, row)));
    const bias = f.let(i32.add(p.bias, i32.mul(i32.divU(r, p.group), bytes)));
    f.set(count, 1);
    f.if(p.filled, () => {
      const left = i32.load(i32.add(p.filled, i32.shl(i32.divU(r, p.capacity), 2)));
      f.set(count, i32.lt(i32.remU(r, p.capacity), left));
    });
    f.if(
      count,
      () =>
        forVectors(f, bytes, (at, tail) => {
          const z = f.let(add(v128.load(i32.add(x, at)), v128.load(i32.add(bias, at))));
          store(f, i32.add(out, at), value(z, i32.add(g, at)), tail);
        }),
      () => forVectors(f, bytes, (at, tail) => store(f, i32.add(out, at), ZERO, tail)),
    );
  });
}

/** Of each function: over all numbers of an array, and over rows that have a bias or may be empty. */
export function activationKernels(m: Module, { madd }: Arithmetic): void {
  for (const [name, { of, pulled }] of Object.entries(pairs)) {
    m.export(`${name}Activation`, { out: "i32", x: "i32", g: "i32", begin: "i32", end: "i32" }, (f, p) => {
      f.for(i32.shl(p.begin, 4), i32.shl(p.end, 4), 16, (at) =>
        f.do(v128.store(i32.add(p.out, at), of({ f, madd }, f.let(v128.load(i32.add(p.x, at)))))),
      );
    });
    m.export(`${name}ActivationCotangent`, { out: "i32", x: "i32", g: "i32", begin: "i32", end: "i32" }, (f, p) => {
      f.for(i32.shl(p.begin, 4), i32.shl(p.end, 4), 16, (at) => {
        const z = f.let(v128.load(i32.add(p.x, at)));
        f.do(v128.store(i32.add(p.out, at), pulled({ f, madd }, z, v128.load(i32.add(p.g, at)))));
      });
    });
    m.export(`${name}Rows`, ROWS, (f, p) => forFilledRows(f, p, (z) => of({ f, madd }, z)));
    m.export(`${name}RowsCotangent`, ROWS, (f, p) => forFilledRows(f, p, (z, g) => pulled({ f, madd }, z, v128.load(g))));
  }
}
