/** Attention in blocks of queries; see attention.ts. T queries, S keys, D width of a head. */
import { f32, f32x4, i32 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import {
  OPERANDS,
  OUTPUT,
  SHAPE,
  at,
  clear,
  finishScores,
  forBlocks,
  keysAndValues,
  padded,
  pairOf,
  panelsOf,
  visibleKeys,
} from "./attentionBlocks.ts";
import type { Block, Locals, Pair, Panels } from "./attentionBlocks.ts";
import { splat } from "./loops.ts";
import type { Emitter } from "./math.ts";
import { NR } from "./matmul.ts";
import type { Products } from "./matmul.ts";
import { exponentials, scaleRow, shareOf } from "./softmax.ts";

const FORWARD = { ...OUTPUT, ...OPERANDS, ...SHAPE, begin: "i32", end: "i32" } as const;
type Forward = Locals<typeof FORWARD>;

/** A thread's scratch. */
interface Scratch extends Panels {
  /** [block, S] */
  readonly scores: I32;
  /** Bytes of a panel of keys. */
  readonly panel: I32;
}

/** One pair of batch and head: its queries, its bias, its output, and the number of its first row. */
interface Head {
  readonly q: I32;
  readonly bias: I32;
  readonly out: I32;
  readonly firstRow: I32;
}

/** out = softmax(q k^T scale + bias) v, and of each row the largest score and 1 / the sum of exponentials. An item is a pair of batch and head. */
export function attentionForward(m: Module, { madd, thread }: Arithmetic, products: Products): void {
  m.export("attention", FORWARD, (f, p) => {
    const scale = splat(f, p.scale);
    const scratch = scratchOf(f, p, thread);
    f.for(p.begin, p.end, 1, (item) => {
      const pair = pairOf(f, p, item);
      const q = at(f, p.q, p.qBatch, p.qHead, pair.batch, pair.head);
      const bias = at(f, p.bias, p.biasBatch, p.biasHead, pair.batch, pair.head);
      const out = at(f, p.out, p.outBatch, p.outHead, pair.batch, pair.head);
      const first = i32.or(i32.eq(item, p.begin), i32.eqz(i32.remU(pair.head, p.share)));
      f.if(first, () => packKeysAndValues(f, p, pair, scratch, products));
      const head = { q, bias, out, firstRow: f.let(i32.mul(item, p.queries)) };
      forBlocks(f, p, (block) => {
        scoresOfBlock(f, p, head, block, scratch, products);
        f.for(0, block.rows, 1, (r) => probabilitiesOfRow({ f, madd }, p, head, block, scratch, scale, r));
        outputOfBlock(f, p, head, block, scratch, products);
      });
    });
  });
}

function scratchOf(f: Body, p: Forward, thread: I32): Scratch {
  const panels = panelsOf(f, p, thread);
  const scores = f.let(i32.add(panels.valuePanels, i32.shl(i32.mul(p.keys, padded(p.width)), 2)));
  return { ...panels, scores, panel: f.let(i32.mul(p.width, 4 * NR)) };
}

/** Panels of the keys across, and of the values down. */
function packKeysAndValues(f: Body, p: Forward, pair: Pair, { keyPanels, valuePanels }: Scratch, { packAll }: Products): void {
  const [k, v] = keysAndValues(f, p, pair);
  f.call(packAll, { to: keyPanels, b: k, kStride: 4, nStride: p.kRow, k: p.width, n: p.keys });
  f.call(packAll, { to: valuePanels, b: v, kStride: p.vRow, nStride: 4, k: p.keys, n: p.width });
}

/** q k^T of a block. */
function scoresOfBlock(f: Body, p: Forward, { q }: Head, { first, rows, limit }: Block, scratch: Scratch, { gemm }: Products): void {
  // prettier-ignore
  f.call(gemm, {
    c: scratch.scores, cRow: scratch.scoreRow, a: i32.add(q, i32.mul(first, p.qRow)), aRow: p.qRow, aColumn: 4,
    b: scratch.keyPanels, bRow: 4 * NR, bPanel: scratch.panel, m: rows, n: limit, k: p.width, scratch: scratch.gemmScratch, add: 0,
  });
}

/** Row r of a block: from scores to probabilities, in place; the largest score and the share of each exponential are kept. */
// prettier-ignore
function probabilitiesOfRow(s: Emitter, p: Forward, head: Head, block: Block, { scores, scoreRow }: Scratch, scale: V128, r: I32): void {
  const { f } = s;
  const t = f.let(i32.add(block.first, r));
  const row = f.let(i32.add(scores, i32.mul(r, scoreRow)));
  const bytes = f.let(i32.shl(visibleKeys(f, p, t), 2));
  finishScores(f, row, bytes, scale, p.bias, f.let(i32.add(head.bias, i32.mul(t, p.biasRow))));
  const { shift, total } = exponentials(s, row, row, bytes);
  const share = shareOf(f, total);
  scaleRow(f, row, bytes, share);
  clear(f, row, bytes, i32.shl(block.limit, 2));
  const kept = f.let(i32.add(p.kept, i32.shl(i32.add(head.firstRow, t), 3)));
  f.do(f32.store(kept, f32x4.lane(shift, 0)), f32.store(kept, f32x4.lane(share, 0), 4));
}

/** P v of a block. */
function outputOfBlock(f: Body, p: Forward, head: Head, { first, rows, limit }: Block, scratch: Scratch, { gemm }: Products): void {
  const { scores, scoreRow, valuePanels, gemmScratch } = scratch;
  // prettier-ignore
  f.call(gemm, {
    c: i32.add(head.out, i32.mul(first, p.outRow)), cRow: p.outRow, a: scores, aRow: scoreRow, aColumn: 4,
    b: valuePanels, bRow: 4 * NR, bPanel: i32.mul(p.keys, 4 * NR), m: rows, n: p.width, k: limit, scratch: gemmScratch, add: 0,
  });
}
