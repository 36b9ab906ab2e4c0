/**
 * Elements by index along an axis: x [O, N, I] and index [O, M, I] of indices into N. The launcher has checked that each is in 0..N-1.
 * Item: one of O. Elements of four bytes.
 */
import { f32, f64, i32, memory, v128 } from "../instructions.ts";
import type { I32 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { forVectors, narrowed, store } from "./loops.ts";
import { kernelName } from "./names.ts";

const ALONG = { out: "i32", x: "i32", index: "i32", n: "i32", m: "i32", inner: "i32" } as const;
type Along = { readonly [Name in keyof typeof ALONG]: Local<"i32"> };

/** `body` for each index of an item: its place in [O, M, I] and the place it names in [O, N, I], in bytes. */
function forIndices(f: Body, p: Along, item: I32, body: (at: I32, named: I32) => void): void {
  const row = f.let(i32.shl(p.inner, 2));
  const from = f.let(i32.mul(item, i32.mul(row, p.n)));
  const at = f.let(i32.mul(item, i32.mul(row, p.m)));
  f.for(0, p.m, 1, () =>
    f.for(0, row, 4, (column) => {
      const k = f.let(i32.load(i32.add(p.index, at)));
      body(at, i32.add(from, i32.add(i32.mul(k, row), column)));
      f.set(at, i32.add(at, 4));
    }),
  );
}

const ADD_ALONG = { out: "i32", x: "i32", index: "i32", n: "i32", m: "i32", inner: "i32", scratch: "i32", scratchBytes: "i32", begin: "i32", end: "i32" } as const; // prettier-ignore

/** Sums in float64, in the scratch of the thread, rounded once. */
function addAlong(m: Module, thread: I32): void {
  m.export("addAlong", ADD_ALONG, (f, p) => {
    const bytes = f.let(i32.shl(i32.mul(p.n, p.inner), 2));
    const sums = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
    f.for(p.begin, p.end, 1, (item) => {
      f.do(memory.fill(sums, 0, p.scratchBytes));
      const first = f.let(i32.mul(item, bytes));
      forIndices(f, p, item, (at, named) => {
        const to = f.let(i32.add(sums, i32.shl(i32.sub(named, first), 1)));
        f.do(f64.store(to, f64.add(f64.load(to), f64.fromF32(f32.load(i32.add(p.x, at))))));
      });
      const out = f.let(i32.add(p.out, first));
      forVectors(f, bytes, (at, tail) => {
        const from = f.let(i32.add(sums, i32.shl(at, 1)));
        store(f, i32.add(out, at), narrowed(v128.load(from), v128.load(from, 16)), tail);
      });
    });
  });
}

function addIntegersAlong(m: Module): void {
  m.export(kernelName("addAlong", "int32"), ADD_ALONG, (f, p) => {
    const bytes = f.let(i32.shl(i32.mul(p.n, p.inner), 2));
    f.for(p.begin, p.end, 1, (item) => {
      f.do(memory.fill(i32.add(p.out, i32.mul(item, bytes)), 0, bytes));
      forIndices(f, p, item, (at, named) => {
        const to = f.let(i32.add(p.out, named));
        f.do(i32.store(to, i32.add(i32.load(to), i32.load(i32.add(p.x, at)))));
      });
    });
  });
}

export function alongKernels(m: Module, { thread }: Arithmetic): void {
  m.export("takeAlong", { ...ALONG, begin: "i32", end: "i32" }, (f, p) => {
    f.for(p.begin, p.end, 1, (item) =>
      forIndices(f, p, item, (at, named) => f.do(i32.store(i32.add(p.out, at), i32.load(i32.add(p.x, named))))),
    );
  });
  addAlong(m, thread);
  addIntegersAlong(m);
}
