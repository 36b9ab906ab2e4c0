/**
 * Attention without its [T, S] matrix of scores: a block of queries meets all keys, its probabilities live in a scratch block, and the
 * block is done with before the next begins. Going back, the block is computed again from what forward kept of each row: the
 * largest score and the sum of exponentials. Dao et al. 2022, arXiv:2205.14135, section 3, without their tiling of the keys:
 * a block of 96 queries and 1,024 keys still fits a second-level cache.
 *
 * Heads of queries that share a head of keys and values (`share` of them, neighbours) follow one another in a thread: their keys and values
 * are laid out once, and their cotangents add up in place. Ainslie et al. 2023, arXiv:2305.13245.
 *
 * T queries, S keys, D width of a head; a head's rows are `row` bytes apart, its numbers adjacent. P probabilities, dS the cotangent
 * of the scores.
 */
import { f32, f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { ZERO, forVectors, splat, store, sumLanes, within } from "./loops.ts";
import { expOfNegative } from "./math.ts";
import type { Scribe } from "./math.ts";
import { GEMM_SCRATCH, NR } from "./matmul.ts";
import type { Products } from "./matmul.ts";
import { exponentials, scaleRow, shareOf } from "./rowwise.ts";

// prettier-ignore
const SHAPE = {
  heads: "i32", share: "i32", queries: "i32", keys: "i32", width: "i32", scale: "f32", causal: "i32", block: "i32", scratch: "i32", scratchBytes: "i32",
} as const;
// prettier-ignore
const OPERANDS = {
  q: "i32", qBatch: "i32", qHead: "i32", qRow: "i32", k: "i32", kBatch: "i32", kHead: "i32", kRow: "i32",
  v: "i32", vBatch: "i32", vHead: "i32", vRow: "i32", bias: "i32", biasBatch: "i32", biasHead: "i32", biasRow: "i32", kept: "i32",
} as const;
const FORWARD = { out: "i32", ...OPERANDS, ...SHAPE, begin: "i32", end: "i32" } as const;
// prettier-ignore
const BACKWARD = {
  dq: "i32", dk: "i32", dv: "i32", dBias: "i32", g: "i32", gBatch: "i32", gHead: "i32", gRow: "i32", out: "i32", ...OPERANDS, ...SHAPE,
  itemStep: "i32", batches: "i32", itemHeads: "i32", biasMatrixBatch: "i32", biasMatrixHead: "i32", begin: "i32", end: "i32",
} as const;

const padded = (n: I32): I32 => i32.and(i32.add(n, NR - 1), -NR);

/** Bytes of a row of scores: whole vectors. */
const scoreRowBytes = (keys: number): number => 4 * (Math.ceil(keys / NR) * NR);

/** Scratch bytes of one thread. Panels of keys and values, and blocks of scores. */
export function attentionScratch(keys: number, width: number, block: number, backward: boolean): number {
  const across = 4 * width * Math.ceil(keys / NR) * NR;
  const along = 4 * keys * Math.ceil(width / NR) * NR;
  const scores = block * scoreRowBytes(keys);
  return GEMM_SCRATCH + (backward ? 2 * across + along + 2 * scores : across + along + scores);
}

/** Keys that query t sees: up to t + S - T, all where not causal. */
function visibleKeys(f: Body, p: { readonly causal: I32; readonly keys: I32; readonly queries: I32 }, t: I32): Local<"i32"> {
  const limit = f.let(i32.add(i32.add(t, 1), i32.sub(p.keys, p.queries)));
  f.set(limit, i32.select(i32.gt(limit, 0), limit, 0));
  f.set(limit, i32.select(i32.lt(limit, p.keys), limit, p.keys));
  return f.let(i32.select(p.causal, limit, p.keys));
}

function at(f: Body, base: I32, batchStride: I32, headStride: I32, batch: I32, head: I32): Local<"i32"> {
  return f.let(i32.add(base, i32.add(i32.mul(batch, batchStride), i32.mul(head, headStride))));
}

/** s scale + bias over a row of scores, in place. */
function finishScores(f: Body, row: I32, bytes: I32, scale: V128, hasBias: I32, bias: I32): void {
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
function clear(f: Body, row: I32, from: I32, to: I32): void {
  f.for(from, to, 4, (j) => f.do(f32.store(i32.add(row, j), 0)));
}

export function attentionKernels(m: Module, arithmetic: Arithmetic, { gemm, packAll }: Products): void {
  const { madd, thread } = arithmetic;

  /** What both ways share: the operands of one head, and its blocks of queries. */
  const forBlocks = (
    f: Body,
    p: { readonly queries: I32; readonly block: I32; readonly causal: I32; readonly keys: I32 },
    body: (first: I32, rows: I32, limit: I32) => void,
  ): void => {
    f.for(0, p.queries, p.block, (first) => {
      const left = f.let(i32.sub(p.queries, first));
      const rows = f.let(i32.select(i32.ltU(left, p.block), left, p.block));
      const seen = visibleKeys(f, p, i32.add(first, i32.sub(rows, 1)));
      // One key at least, with probability 0 if need be, so that products have something to sum.
      body(first, rows, f.let(i32.select(seen, seen, 1)));
    });
  };

  m.export("attention", FORWARD, (f, p) => {
    const s: Scribe = { f, madd };
    const scale = splat(f, p.scale);
    const scoreRow = f.let(i32.shl(padded(p.keys), 2));
    const gemmScratch = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
    const keyPanels = f.let(i32.add(gemmScratch, GEMM_SCRATCH));
    const valuePanels = f.let(i32.add(keyPanels, i32.mul(p.width, scoreRow)));
    const scores = f.let(i32.add(valuePanels, i32.shl(i32.mul(p.keys, padded(p.width)), 2)));
    const panel = f.let(i32.mul(p.width, 4 * NR));
    const outRow = f.let(i32.shl(p.width, 2));
    f.for(p.begin, p.end, 1, (item) => {
      const batch = f.let(i32.divU(item, p.heads));
      const head = f.let(i32.remU(item, p.heads));
      const group = f.let(i32.divU(head, p.share));
      const q = at(f, p.q, p.qBatch, p.qHead, batch, head);
      const bias = at(f, p.bias, p.biasBatch, p.biasHead, batch, head);
      f.if(i32.or(i32.eq(item, p.begin), i32.eqz(i32.remU(head, p.share))), () => {
        const [k, v] = [at(f, p.k, p.kBatch, p.kHead, batch, group), at(f, p.v, p.vBatch, p.vHead, batch, group)];
        f.call(packAll, { to: keyPanels, b: k, kStride: 4, nStride: p.kRow, k: p.width, n: p.keys });
        f.call(packAll, { to: valuePanels, b: v, kStride: p.vRow, nStride: 4, k: p.keys, n: p.width });
      });
      const rowOfItem = f.let(i32.mul(item, p.queries));
      forBlocks(f, p, (first, rows, limit) => {
        // prettier-ignore
        f.call(gemm, {
          c: scores, cRow: scoreRow, a: i32.add(q, i32.mul(first, p.qRow)), aRow: p.qRow, aColumn: 4,
          b: keyPanels, bRow: 4 * NR, bPanel: panel, m: rows, n: limit, k: p.width, scratch: gemmScratch, add: 0,
        });
        f.for(0, rows, 1, (r) => {
          const t = f.let(i32.add(first, r));
          const row = f.let(i32.add(scores, i32.mul(r, scoreRow)));
          const bytes = f.let(i32.shl(visibleKeys(f, p, t), 2));
          finishScores(f, row, bytes, scale, p.bias, f.let(i32.add(bias, i32.mul(t, p.biasRow))));
          const { shift, total } = exponentials(s, row, row, bytes);
          const share = shareOf(f, total);
          scaleRow(f, row, bytes, share);
          clear(f, row, bytes, i32.shl(limit, 2));
          const kept = f.let(i32.add(p.kept, i32.shl(i32.add(rowOfItem, t), 3)));
          f.do(f32.store(kept, f32x4.lane(shift, 0)), f32.store(kept, f32x4.lane(share, 0), 4));
        });
        // prettier-ignore
        f.call(gemm, {
          c: i32.add(p.out, i32.mul(i32.add(rowOfItem, first), outRow)), cRow: outRow, a: scores, aRow: scoreRow, aColumn: 4,
          b: valuePanels, bRow: 4 * NR, bPanel: i32.mul(p.keys, 4 * NR), m: rows, n: p.width, k: limit, scratch: gemmScratch, add: 0,
        });
      });
    });
  });

  // Item: all heads whose cotangents meet somewhere, in order.
  m.export("attentionCotangent", BACKWARD, (f, p) => {
    const s: Scribe = { f, madd };
    const scale = splat(f, p.scale);
    const scoreRow = f.let(i32.shl(padded(p.keys), 2));
    const gemmScratch = f.let(i32.add(p.scratch, i32.mul(thread, p.scratchBytes)));
    const keyPanels = f.let(i32.add(gemmScratch, GEMM_SCRATCH));
    const valuePanels = f.let(i32.add(keyPanels, i32.mul(p.width, scoreRow)));
    const keysDown = f.let(i32.add(valuePanels, i32.mul(p.width, scoreRow)));
    const probs = f.let(i32.add(keysDown, i32.shl(i32.mul(p.keys, padded(p.width)), 2)));
    const slopes = f.let(i32.add(probs, i32.mul(p.block, scoreRow)));
    const panel = f.let(i32.mul(p.width, 4 * NR));
    const width4 = f.let(i32.shl(p.width, 2));
    const keyBytes = f.let(i32.mul(p.keys, width4));
    const keys4 = f.let(i32.shl(p.keys, 2));
    const biasBytes = f.let(i32.mul(p.queries, keys4));
    f.for(p.begin, p.end, 1, (item) => {
      const first = f.let(i32.mul(item, p.itemStep));
      const steps = f.let(i32.mul(p.batches, p.itemHeads));
      f.for(0, steps, 1, (step) => {
        const ofBatch = f.let(i32.divU(step, p.itemHeads));
        const ofHead = f.let(i32.remU(step, p.itemHeads));
        const pair = f.let(i32.add(first, i32.add(i32.mul(ofBatch, p.heads), ofHead)));
        const batch = f.let(i32.divU(pair, p.heads));
        const head = f.let(i32.remU(pair, p.heads));
        const group = f.let(i32.divU(head, p.share));
        const matrix = i32.add(i32.mul(batch, p.biasMatrixBatch), i32.mul(head, p.biasMatrixHead));
        const dBias = f.let(i32.add(p.dBias, i32.mul(matrix, biasBytes)));
        // The first that adds to a matrix of the bias: of its batch where batches share it, of its heads where they do.
        const fresh = i32.and(i32.eqz(ofBatch), i32.or(i32.eqz(ofHead), p.biasMatrixHead));
        f.if(p.dBias, () => f.if(fresh, () => clear(f, dBias, i32.const(0), biasBytes)));
        const q = at(f, p.q, p.qBatch, p.qHead, batch, head);
        const g = at(f, p.g, p.gBatch, p.gHead, batch, head);
        const bias = at(f, p.bias, p.biasBatch, p.biasHead, batch, head);
        const keysAt = f.let(i32.mul(i32.add(i32.mul(batch, i32.divU(p.heads, p.share)), group), keyBytes));
        const [dk, dv] = [p.dk, p.dv].map((base) => f.let(i32.add(base, keysAt)));
        f.if(i32.eqz(i32.remU(head, p.share)), () => {
          const [k, v] = [at(f, p.k, p.kBatch, p.kHead, batch, group), at(f, p.v, p.vBatch, p.vHead, batch, group)];
          clear(f, dk, i32.const(0), keyBytes);
          clear(f, dv, i32.const(0), keyBytes);
          f.call(packAll, { to: keyPanels, b: k, kStride: 4, nStride: p.kRow, k: p.width, n: p.keys });
          f.call(packAll, { to: valuePanels, b: v, kStride: 4, nStride: p.vRow, k: p.width, n: p.keys });
          f.call(packAll, { to: keysDown, b: k, kStride: p.kRow, nStride: 4, k: p.keys, n: p.width });
        });
        const rowOfPair = f.let(i32.mul(pair, p.queries));
        forBlocks(f, p, (first, rows, limit) => {
          const qBlock = f.let(i32.add(q, i32.mul(first, p.qRow)));
          const gBlock = f.let(i32.add(g, i32.mul(first, p.gRow)));
          const across = {
            cRow: scoreRow,
            aColumn: 4,
            bRow: 4 * NR,
            bPanel: panel,
            m: rows,
            n: limit,
            k: p.width,
            scratch: gemmScratch,
            add: 0,
          };
          f.call(gemm, { ...across, c: probs, a: qBlock, aRow: p.qRow, b: keyPanels });
          f.call(gemm, { ...across, c: slopes, a: gBlock, aRow: p.gRow, b: valuePanels });
          f.for(0, rows, 1, (r) => {
            const t = f.let(i32.add(first, r));
            const [prob, slope] = [probs, slopes].map((base) => f.let(i32.add(base, i32.mul(r, scoreRow))));
            const bytes = f.let(i32.shl(visibleKeys(f, p, t), 2));
            finishScores(f, prob, bytes, scale, p.bias, f.let(i32.add(bias, i32.mul(t, p.biasRow))));
            const row = f.let(i32.add(rowOfPair, t));
            const kept = f.let(i32.add(p.kept, i32.shl(row, 3)));
            const shift = f.let(v128.load32Splat(kept));
            const share = f.let(v128.load32Splat(kept, 4));
            const along = rowDot(f, i32.add(g, i32.mul(t, p.gRow)), i32.add(p.out, i32.mul(row, width4)), width4);
            const toBias = f.let(i32.add(dBias, i32.mul(t, keys4)));
            forVectors(f, bytes, (j, tail) => {
              const value = f.let(f32x4.mul(expOfNegative(s, f32x4.sub(v128.load(i32.add(prob, j)), shift)), share));
              store(f, i32.add(prob, j), value, tail);
              const score = f.let(f32x4.mul(value, f32x4.sub(v128.load(i32.add(slope, j)), along)));
              f.if(p.dBias, () => store(f, i32.add(toBias, j), f32x4.add(v128.load(i32.add(toBias, j)), score), tail));
              store(f, i32.add(slope, j), f32x4.mul(score, scale), tail);
            });
            for (const base of [prob, slope]) clear(f, base, bytes, i32.shl(limit, 2));
          });
          const down = {
            cRow: width4,
            aRow: 4,
            aColumn: scoreRow,
            bPanel: 4 * NR,
            m: limit,
            n: p.width,
            k: rows,
            scratch: gemmScratch,
            add: 1,
          };
          f.call(gemm, { ...down, c: dv, a: probs, b: gBlock, bRow: p.gRow });
          f.call(gemm, { ...down, c: dk, a: slopes, b: qBlock, bRow: p.qRow });
          // prettier-ignore
          f.call(gemm, {
            c: i32.add(p.dq, i32.mul(i32.add(rowOfPair, first), width4)), cRow: width4, a: slopes, aRow: scoreRow, aColumn: 4,
            b: keysDown, bRow: 4 * NR, bPanel: i32.mul(p.keys, 4 * NR), m: rows, n: p.width, k: limit, scratch: gemmScratch, add: 0,
          });
        });
      });
    });
  });
}

/** The dot product of two rows, in all lanes. */
function rowDot(f: Body, xAt: I32, yAt: I32, bytes: I32): Local<"v128"> {
  const [x, y] = [f.let(xAt), f.let(yAt)];
  const sum = f.local("v128");
  f.set(sum, ZERO);
  forVectors(f, bytes, (j, tail) =>
    f.set(sum, f32x4.add(sum, within(f32x4.mul(v128.load(i32.add(x, j)), v128.load(i32.add(y, j))), ZERO, tail))),
  );
  return sumLanes(f, sum);
}
