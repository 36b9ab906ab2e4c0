/**
 * What attention and its cotangent share: blocks of queries, panels of keys and values in a thread's scratch, and rows of scores.
 *
 * T queries, S keys, D width of a head; a head's rows are `row` bytes apart, its numbers adjacent.
 */
import { f32, f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local } from "../assembler.ts";
import { forVectors, store } from "./loops.ts";
import { GEMM_SCRATCH, NR } from "./matmul.ts";
import { scaleRow } from "./softmax.ts";

// prettier-ignore
export const SHAPE = {
  heads: "i32", share: "i32", queries: "i32", keys: "i32", width: "i32", scale: "f32", causal: "i32", block: "i32", scratch: "i32", scratchBytes: "i32",
} as const;
// prettier-ignore
export const OPERANDS = {
  q: "i32", qBatch: "i32", qHead: "i32", qRow: "i32", k: "i32", kBatch: "i32", kHead: "i32", kRow: "i32",
  v: "i32", vBatch: "i32", vHead: "i32", vRow: "i32", bias: "i32", biasBatch: "i32", biasHead: "i32", biasRow: "i32", kept: "i32",
} as const;
/** The rows of the output, [B, T, H, D]. */
export const OUTPUT = { out: "i32", outBatch: "i32", outHead: "i32", outRow: "i32" } as const;

/** The parameters of a kernel, inside of it. */
export type Locals<P extends Readonly<Record<string, "i32" | "f32">>> = { readonly [Name in keyof P]: Local<P[Name]> };
export type Shape = Locals<typeof SHAPE>;
export type Operands = Locals<typeof OPERANDS>;

/** A block of queries, and how many keys the last of them sees. */
export interface Block {
  readonly first: I32;
  readonly rows: I32;
  readonly limit: I32;
}

/** Where a pair of batch and head lies among the operands. */
export interface Pair {
  readonly batch: I32;
  readonly head: I32;
  /** The head of keys and values. */
  readonly group: I32;
}

/** The parts of a thread's scratch that both ways have, and the bytes of a row of scores. */
export interface Panels {
  readonly scoreRow: I32;
  readonly gemmScratch: I32;
  readonly keyPanels: I32;
  readonly valuePanels: I32;
}

export const padded = (n: I32): I32 => i32.and(i32.add(n, NR - 1), -NR);

export function panelsOf(f: Body, p: Shape, thread: I32): Panels {
  const scoreRow = f.let(i32.shl(padded(p.keys), 2));
  const gemmScratch = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
  const keyPanels = f.let(i32.add(gemmScratch, GEMM_SCRATCH));
  const valuePanels = f.let(i32.add(keyPanels, i32.mul(p.width, scoreRow)));
  return { scoreRow, gemmScratch, keyPanels, valuePanels };
}

export function pairOf(f: Body, p: Shape, pair: I32): Pair {
  const batch = f.let(i32.divU(pair, p.heads));
  const head = f.let(i32.remU(pair, p.heads));
  return { batch, head, group: f.let(i32.divU(head, p.share)) };
}

/** The address of a head of an operand. */
export function at(f: Body, base: I32, batchStride: I32, headStride: I32, batch: I32, head: I32): Local<"i32"> {
  return f.let(i32.add(base, i32.add(i32.mul(batch, batchStride), i32.mul(head, headStride))));
}

/** The addresses of the keys and values that a pair attends to. */
export function keysAndValues(f: Body, p: Operands, { batch, group }: Pair): [k: I32, v: I32] {
  return [at(f, p.k, p.kBatch, p.kHead, batch, group), at(f, p.v, p.vBatch, p.vHead, batch, group)];
}

/** Keys that query t sees: up to t + S - T, all where not causal. */
export function visibleKeys(f: Body, p: Shape, t: I32): Local<"i32"> {
  const limit = f.let(i32.add(i32.add(t, 1), i32.sub(p.keys, p.queries)));
  f.set(limit, i32.select(i32.gt(limit, 0), limit, 0));
  f.set(limit, i32.select(i32.lt(limit, p.keys), limit, p.keys));
  return f.let(i32.select(p.causal, limit, p.keys));
}

export function forBlocks(f: Body, p: Shape, body: (block: Block) => void): void {
  f.for(0, p.queries, p.block, (first) => {
    const left = f.let(i32.sub(p.queries, first));
    const rows = f.let(i32.select(i32.ltU(left, p.block), left, p.block));
    const seen = visibleKeys(f, p, i32.add(first, i32.sub(rows, 1)));
    // One key at least, with probability 0 if need be, so that products have something to sum.
    body({ first, rows, limit: f.let(i32.select(seen, seen, 1)) });
  });
}

/** s scale + bias over a row of scores, in place. */
export function finishScores(f: Body, row: I32, bytes: I32, scale: V128, hasBias: I32, bias: I32): void {
  f.if(
    hasBias,
    () => {
      forVectors(f, bytes, (j, tail) => {
        store(f, i32.add(row, j), f32x4.add(f32x4.mul(v128.load(i32.add(row, j)), scale), v128.load(i32.add(bias, j))), tail);
      });
    },
    () => scaleRow(f, row, bytes, scale),
  );
}

/** Zeros from one byte of a row to another. */
export function clear(f: Body, row: I32, from: I32, to: I32): void {
  f.for(from, to, 4, (j) => f.do(f32.store(i32.add(row, j), 0)));
}
