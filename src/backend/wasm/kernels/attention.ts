/**
 * Attention without its [T, S] matrix of scores: one block of queries after the other is multiplied by all keys, and its probabilities are kept
 * in a scratch block. The backward kernel computes a block again from what the forward one saved of each row: the largest score and
 * 1 / the sum of exponentials. Dao et al. 2022, arXiv:2205.14135, section 3, without their tiling of the keys:
 * a block of 96 queries and 1,024 keys still fits a second-level cache.
 *
 * Heads of queries that share a head of keys and values (`share` of them, neighbours) follow one another in a thread: their keys and values
 * are laid out once, and their cotangents add up in place. Ainslie et al. 2023, arXiv:2305.13245.
 *
 * T queries, S keys, D width of a head; a head's rows are `row` bytes apart, its numbers adjacent. P probabilities, dS the cotangent
 * of the scores.
 */
import type { Module } from "../assembler.ts";
import type { Arithmetic } from "./arithmetic.ts";
import { attentionCotangent } from "./attentionCotangent.ts";
import { attentionForward } from "./attentionForward.ts";
import { GEMM_SCRATCH, NR } from "./matmul.ts";
import type { Products } from "./matmul.ts";

/** Adds attention and its cotangent to a module. */
export function attentionKernels(m: Module, arithmetic: Arithmetic, products: Products): void {
  attentionForward(m, arithmetic, products);
  attentionCotangent(m, arithmetic, products);
}

/** Bytes of a row of scores: whole vectors. */
const scoreRowBytes = (keys: number): number => 4 * (Math.ceil(keys / NR) * NR);

/** Scratch bytes of one thread. Panels of keys and values, and blocks of scores. */
export function attentionScratch(keys: number, width: number, block: number, backward: boolean): number {
  const across = 4 * width * Math.ceil(keys / NR) * NR;
  const along = 4 * keys * Math.ceil(width / NR) * NR;
  const scores = block * scoreRowBytes(keys);
  return GEMM_SCRATCH + (backward ? 2 * across + along + 2 * scores : across + along + scores);
}
