/**
 * Elements by index along an axis: x [O, N, I] and index [O, M, I] of indices into N. An index outside 0..N-1 reads as zero and writes nowhere.
 * Item: one of O. Elements of four bytes.
 */
import { f32, i32, memory } from "../instructions.ts";
import type { I32, Statement } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import { kernelName } from "./names.ts";

const ALONG = { out: "i32", x: "i32", index: "i32", n: "i32", m: "i32", inner: "i32", begin: "i32", end: "i32" } as const;
type Along = { readonly [Name in keyof typeof ALONG]: Local<"i32"> };

/** `body` for each index: its place in [O, M, I], whether it is within, and the place it names in [O, N, I]; places in bytes. */
function forIndices(f: Body, p: Along, start: (item: I32) => void, body: (at: I32, within: I32, named: I32) => void): void {
  const row = f.let(i32.shl(p.inner, 2));
  f.for(p.begin, p.end, 1, (item) => {
    start(item);
    const from = f.let(i32.mul(item, i32.mul(row, p.n)));
    const at = f.let(i32.mul(item, i32.mul(row, p.m)));
    f.for(0, p.m, 1, () =>
      f.for(0, row, 4, (column) => {
        const k = f.let(i32.load(i32.add(p.index, at)));
        body(at, i32.ltU(k, p.n), i32.add(from, i32.add(i32.mul(k, row), column)));
        f.set(at, i32.add(at, 4));
      }),
    );
  });
}

function addAlong(m: Module, name: string, add: (to: I32, from: I32) => Statement): void {
  m.export(name, ALONG, (f, p) => {
    const bytes = f.let(i32.shl(i32.mul(p.n, p.inner), 2));
    const clear = (item: I32): void => f.do(memory.fill(i32.add(p.out, i32.mul(item, bytes)), 0, bytes));
    forIndices(f, p, clear, (at, within, named) => f.if(within, () => f.do(add(f.let(i32.add(p.out, named)), i32.add(p.x, at)))));
  });
}

export function alongKernels(m: Module): void {
  m.export("takeAlong", ALONG, (f, p) => {
    forIndices(
      f,
      p,
      () => {},
      (at, within, named) => {
        const value = f.local("i32");
        f.set(value, 0);
        f.if(within, () => f.set(value, i32.load(i32.add(p.x, named))));
        f.do(i32.store(i32.add(p.out, at), value));
      },
    );
  });
  addAlong(m, "addAlong", (to, from) => f32.store(to, f32.add(f32.load(to), f32.load(from))));
  addAlong(m, kernelName("addAlong", "int32"), (to, from) => i32.store(to, i32.add(i32.load(to), i32.load(from))));
}
