/** The cotangents of attention in blocks of queries; see attention.ts. P probabilities, dS the cotangent of the scores; T, S, D as there. */
import { f32x4, i32, v128 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local, Module } from "../assembler.ts";
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
import { ZERO, forVectors, splat, store, sumLanes, within } from "./loops.ts";
import { expOfNegative } from "./math.ts";
import type { Emitter } from "./math.ts";
import { NR } from "./matmul.ts";
import type { Products } from "./matmul.ts";

// prettier-ignore
const BACKWARD = {
  dq: "i32", dk: "i32", dv: "i32", dBias: "i32", g: "i32", gBatch: "i32", gHead: "i32", gRow: "i32", ...OUTPUT, ...OPERANDS, ...SHAPE,
  itemStep: "i32", batches: "i32", itemHeads: "i32", biasMatrixBatch: "i32", biasMatrixHead: "i32", begin: "i32", end: "i32",
} as const;
type Backward = Locals<typeof BACKWARD>;

/** A thread's scratch, and sizes in bytes. */
interface Scratch extends Panels {
  /** Panels of the keys down; those of `Panels` lie across. */
  readonly keysDown: I32;
  /** P [block, S] */
  readonly probs: I32;
  /** dS [block, S] */
  readonly slopes: I32;
  readonly panel: I32;
  /** A row of queries, keys or values, as the cotangents have them. */
  readonly width4: I32;
  /** All keys of a head. */
  readonly keyBytes: I32;
  /** A row of the bias, and all of it. */
  readonly keys4: I32;
  readonly biasBytes: I32;
}

/** One pair of batch and head: where its operands and cotangents lie. */
interface Head {
  readonly dBias: I32;
  readonly q: I32;
  readonly g: I32;
  readonly bias: I32;
  readonly out: I32;
  readonly dk: I32;
  readonly dv: I32;
  readonly firstRow: I32;
}

/** dq, dk, dv, and dBias where it is wanted. An item: all heads whose cotangents add up in one matrix, in order. */
export function attentionCotangent(m: Module, { madd, thread }: Arithmetic, products: Products): void {
  m.export("attentionCotangent", BACKWARD, (f, p) => {
    const scale = splat(f, p.scale);
    const scratch = scratchOf(f, p, thread);
    forPairs(f, p, (pairIndex, ofBatch, ofHead) => {
      const pair = pairOf(f, p, pairIndex);
      const dBias = biasOf(f, p, pair, scratch, ofBatch, ofHead);
      const head = headOf(f, p, pair, scratch, dBias, pairIndex, products);
      forBlocks(f, p, (block) => {
        const rows = scoresAndSlopes(f, p, head, block, scratch, products);
        f.for(0, block.rows, 1, (r) => cotangentOfRow({ f, madd }, p, head, block, scratch, scale, r));
        keysValuesAndQueries(f, p, head, block, scratch, rows, products);
      });
    });
  });
}

function scratchOf(f: Body, p: Backward, thread: I32): Scratch {
  const panels = panelsOf(f, p, thread);
  const keysDown = f.let(i32.add(panels.valuePanels, i32.mul(p.width, panels.scoreRow)));
  const probs = f.let(i32.add(keysDown, i32.shl(i32.mul(p.keys, padded(p.width)), 2)));
  const slopes = f.let(i32.add(probs, i32.mul(p.block, panels.scoreRow)));
  const panel = f.let(i32.mul(p.width, 4 * NR));
  const width4 = f.let(i32.shl(p.width, 2));
  const keyBytes = f.let(i32.mul(p.keys, width4));
  const keys4 = f.let(i32.shl(p.keys, 2));
  return { ...panels, keysDown, probs, slopes, panel, width4, keyBytes, keys4, biasBytes: f.let(i32.mul(p.queries, keys4)) };
}

/** The pairs of batch and head of each item, and which batch and head of the item they are. */
function forPairs(f: Body, p: Backward, body: (pair: I32, ofBatch: I32, ofHead: I32) => void): void {
  f.for(p.begin, p.end, 1, (item) => {
    const first = f.let(i32.mul(item, p.itemStep));
    const steps = f.let(i32.mul(p.batches, p.itemHeads));
    f.for(0, steps, 1, (step) => {
      const ofBatch = f.let(i32.divU(step, p.itemHeads));
      const ofHead = f.let(i32.remU(step, p.itemHeads));
      body(f.let(i32.add(first, i32.add(i32.mul(ofBatch, p.heads), ofHead))), ofBatch, ofHead);
    });
  });
}

/** The cotangent of a pair's bias, made zeros by the first that adds to it. */
function biasOf(f: Body, p: Backward, { batch, head }: Pair, { biasBytes }: Scratch, ofBatch: I32, ofHead: I32): Local<"i32"> {
  const matrix = i32.add(i32.mul(batch, p.biasMatrixBatch), i32.mul(head, p.biasMatrixHead));
  const dBias = f.let(i32.add(p.dBias, i32.mul(matrix, biasBytes)));
  // The first that adds to a matrix of the bias: of its batch where batches share it, of its heads where they do.
  const fresh = i32.and(i32.eqz(ofBatch), i32.or(i32.eqz(ofHead), p.biasMatrixHead));
  f.if(p.dBias, () => f.if(fresh, () => clear(f, dBias, i32.const(0), biasBytes)));
  return dBias;
}

/** The operands of a pair. The first of those that share keys and values lays them out, and begins their cotangents with zeros. */
// prettier-ignore
function headOf(f: Body, p: Backward, pair: Pair, scratch: Scratch, dBias: I32, pairIndex: I32, products: Products): Head {
  const { batch, head, group } = pair;
  const q = at(f, p.q, p.qBatch, p.qHead, batch, head);
  const g = at(f, p.g, p.gBatch, p.gHead, batch, head);
  const bias = at(f, p.bias, p.biasBatch, p.biasHead, batch, head);
  const out = at(f, p.out, p.outBatch, p.outHead, batch, head);
  const keysAt = f.let(i32.mul(i32.add(i32.mul(batch, i32.divU(p.heads, p.share)), group), scratch.keyBytes));
  const [dk, dv] = [p.dk, p.dv].map((base) => f.let(i32.add(base, keysAt)));
  f.if(i32.eqz(i32.remU(head, p.share)), () => {
    const [k, v] = keysAndValues(f, p, pair);
    for (const sum of [dk, dv]) clear(f, sum, i32.const(0), scratch.keyBytes);
    packKeysAndValues(f, p, k, v, scratch, products);
  });
  return { dBias, q, g, bias, out, dk, dv, firstRow: f.let(i32.mul(pairIndex, p.queries)) };
}

/** Panels of keys and values across, and of the keys down. */
function packKeysAndValues(f: Body, p: Backward, k: I32, v: I32, scratch: Scratch, { packAll }: Products): void {
  f.call(packAll, { to: scratch.keyPanels, b: k, kStride: 4, nStride: p.kRow, k: p.width, n: p.keys });
  f.call(packAll, { to: scratch.valuePanels, b: v, kStride: 4, nStride: p.vRow, k: p.width, n: p.keys });
  f.call(packAll, { to: scratch.keysDown, b: k, kStride: p.kRow, nStride: 4, k: p.keys, n: p.width });
}

/** q k^T and g v^T of a block; answers where its rows of q and g begin. */
// prettier-ignore
function scoresAndSlopes(f: Body, p: Backward, { q, g }: Head, block: Block, scratch: Scratch, { gemm }: Products): { q: I32; g: I32 } {
  const qBlock = f.let(i32.add(q, i32.mul(block.first, p.qRow)));
  const gBlock = f.let(i32.add(g, i32.mul(block.first, p.gRow)));
  const across = {
    cRow: scratch.scoreRow, aColumn: 4, bRow: 4 * NR, bPanel: scratch.panel,
    m: block.rows, n: block.limit, k: p.width, scratch: scratch.gemmScratch, add: 0,
  };
  f.call(gemm, { ...across, c: scratch.probs, a: qBlock, aRow: p.qRow, b: scratch.keyPanels });
  f.call(gemm, { ...across, c: scratch.slopes, a: gBlock, aRow: p.gRow, b: scratch.valuePanels });
  return { q: qBlock, g: gBlock };
}

/** Row r of a block, in place: P from the scores, by what forward kept; dS = P (g v^T - g . out); dS is added to the bias's cotangent. */
function cotangentOfRow(s: Emitter, p: Backward, head: Head, block: Block, scratch: Scratch, scale: V128, r: I32): void {
  const { f } = s;
  const t = f.let(i32.add(block.first, r));
  const [prob, slope] = [scratch.probs, scratch.slopes].map((base) => f.let(i32.add(base, i32.mul(r, scratch.scoreRow))));
  const bytes = f.let(i32.shl(visibleKeys(f, p, t), 2));
  finishScores(f, prob, bytes, scale, p.bias, f.let(i32.add(head.bias, i32.mul(t, p.biasRow))));
  const row = f.let(i32.add(head.firstRow, t));
  const kept = f.let(i32.add(p.kept, i32.shl(row, 3)));
  const shift = f.let(v128.load32Splat(kept));
  const share = f.let(v128.load32Splat(kept, 4));
  const along = rowDot(f, i32.add(head.g, i32.mul(t, p.gRow)), i32.add(head.out, i32.mul(t, p.outRow)), scratch.width4);
  const toBias = f.let(i32.add(head.dBias, i32.mul(t, scratch.keys4)));
  forVectors(f, bytes, (j, tail) => {
    const value = f.let(f32x4.mul(expOfNegative(s, f32x4.sub(v128.load(i32.add(prob, j)), shift)), share));
    store(f, i32.add(prob, j), value, tail);
    const score = f.let(f32x4.mul(value, f32x4.sub(v128.load(i32.add(slope, j)), along)));
    f.if(p.dBias, () => store(f, i32.add(toBias, j), f32x4.add(v128.load(i32.add(toBias, j)), score), tail));
    store(f, i32.add(slope, j), f32x4.mul(score, scale), tail);
  });
  for (const base of [prob, slope]) clear(f, base, bytes, i32.shl(block.limit, 2));
}

/** dv += P^T g, dk += dS^T q, dq = dS k of a block. */
// prettier-ignore
function keysValuesAndQueries(
  f: Body, p: Backward, head: Head, block: Block, scratch: Scratch, { q, g }: { q: I32; g: I32 }, { gemm }: Products,
): void {
  const { width4, scoreRow, gemmScratch, probs, slopes, keysDown } = scratch;
  const down = {
    cRow: width4, aRow: 4, aColumn: scoreRow, bPanel: 4 * NR, m: block.limit, n: p.width, k: block.rows, scratch: gemmScratch, add: 1,
  };
  f.call(gemm, { ...down, c: head.dv, a: probs, b: g, bRow: p.gRow });
  f.call(gemm, { ...down, c: head.dk, a: slopes, b: q, bRow: p.qRow });
  f.call(gemm, {
    c: i32.add(p.dq, i32.mul(i32.add(head.firstRow, block.first), width4)), cRow: width4, a: slopes, aRow: scoreRow, aColumn: 4,
    b: keysDown, bRow: 4 * NR, bPanel: i32.mul(p.keys, 4 * NR), m: block.rows, n: p.width, k: block.limit, scratch: gemmScratch, add: 0,
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
