/** Orders, inverses and counts as launches: by counting for short lanes, by merge sort and binary search for long ones. */
import * as source from "./source/order.ts";
import { reduceAll } from "./reductions.ts";
import { elementwise } from "./source/elementwise.ts";
import { consume, whole } from "./views.ts";
import type { ArrayType, Buffer, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

/** Up to here every element looks at every other. */
const short = 64;
/** Blocks that are sorted by counting before merging begins. */
const block = 32;
/** Up to here a scan costs less than the launches of a sort. */
const scanned = 256;
/** Keys that one thread counts. */
const piece = 512;

function lengthOf(x: { shape: readonly number[] }): number {
  return x.shape[x.shape.length - 1];
}

export function argsort(launcher: Launcher, out: ArrayType, x: NDArray, descending: boolean): Buffer {
  const { limits } = launcher.device;
  const n = lengthOf(x);
  const first = n <= short ? n : block;
  let sorted = consume(launcher, countRank(launcher, out, x, descending, first), (ranks) => {
    const rank = whole(ranks, out);
    const program = () => source.invertByScan(out.shape, rank, first, limits);
    return launcher.launch({ name: "argsort, blocks", out, inputs: [rank], variant: String(first), program });
  });
  for (let run = first; run < n; run *= 2) {
    sorted = consume(launcher, sorted, (places) => {
      const layout = whole(places, out);
      const program = () => source.mergeRuns(x, layout, descending, run, limits);
      return launcher.launch({ name: "argsort, merge", out, inputs: [x, layout], variant: `${run} ${descending}`, program });
    });
  }
  return sorted;
}

function countRank(launcher: Launcher, out: ArrayType, x: NDArray, descending: boolean, size: number): Buffer {
  const program = () => source.rankByCounting(x, descending, size, launcher.device.limits);
  return launcher.launch({ name: "rank", out, inputs: [x], variant: `${size} ${descending}`, program });
}

export function rank(launcher: Launcher, out: ArrayType, x: NDArray, descending: boolean): Buffer {
  const n = lengthOf(x);
  if (n <= scanned) return countRank(launcher, out, x, descending, n);
  return consume(launcher, argsort(launcher, out, x, descending), (places) => {
    const layout = whole(places, out);
    const program = () => source.rankInSorted(x, layout, descending, launcher.device.limits);
    return launcher.launch({ name: "rank, search", out, inputs: [x, layout], variant: String(descending), program });
  });
}

/** The head of the descending order; of a short lane only that head is looked up. */
export function topK(launcher: Launcher, out: ArrayType, x: NDArray): Buffer {
  const n = lengthOf(x);
  const type = { shape: x.shape, dtype: out.dtype };
  const { limits } = launcher.device;
  if (n <= scanned) {
    return consume(launcher, countRank(launcher, type, x, true, n), (ranks) => {
      const view = whole(ranks, type);
      const program = () => source.invertByScan(out.shape, view, n, limits);
      return launcher.launch({ name: "topK", out, inputs: [view], program });
    });
  }
  return consume(launcher, argsort(launcher, type, x, true), (places) => {
    const head = { ...whole(places, type), shape: out.shape };
    return launcher.launch({ name: "topK, head", out, inputs: [head], program: () => elementwise(out.shape, [head], "return x;", limits) });
  });
}

export function invert(launcher: Launcher, out: ArrayType, index: NDArray): Buffer {
  const { limits } = launcher.device;
  const m = lengthOf(index);
  if (m <= scanned) {
    const program = () => source.invertByScan(out.shape, index, m, limits);
    return launcher.launch({ name: "invert", out, inputs: [index], program });
  }
  const type = { shape: index.shape, dtype: index.dtype };
  return consume(launcher, argsort(launcher, type, index, false), (places) => {
    const layout = whole(places, type);
    const program = () => source.invertBySearch(out.shape, index, layout, limits);
    return launcher.launch({ name: "invert, search", out, inputs: [index, layout], program });
  });
}

export function countEarlier(launcher: Launcher, out: ArrayType, key: NDArray): Buffer {
  const { limits } = launcher.device;
  if (lengthOf(key) <= scanned) {
    return launcher.launch({ name: "countEarlier", out, inputs: [key], program: () => source.countEarlierByScan(key, limits) });
  }
  return consume(launcher, argsort(launcher, out, key, false), (places) => {
    const layout = whole(places, out);
    const program = () => source.countEarlierInSorted(key, layout, limits);
    return launcher.launch({ name: "countEarlier, search", out, inputs: [key, layout], program });
  });
}

export function bincount(launcher: Launcher, out: ArrayType, key: NDArray): Buffer {
  const { limits } = launcher.device;
  const pieces = Math.max(1, Math.ceil(lengthOf(key) / piece));
  const type = { dtype: out.dtype, shape: pieces > 1 ? [...out.shape, pieces] : out.shape };
  const program = () => source.countKeys(out.shape, key, piece, limits);
  const counts = launcher.launch({ name: "bincount", out: type, inputs: [key], program });
  if (pieces === 1) return counts;
  return consume(launcher, counts, () => reduceAll(launcher, "sum", out, whole(counts, type), [out.shape.length]));
}

/** Which entries of index [I] name each of n rows: the entries sorted, and where each row's begin. */
export function sortedEntries(launcher: Launcher, index: NDArray, n: number): readonly [order: Buffer, starts: Buffer] {
  const order = argsort(launcher, { shape: index.shape, dtype: "int32" }, index, false);
  const layout = whole(order, index);
  const program = () => source.startsOf(n, index, layout, launcher.device.limits);
  const starts = launcher.launch({ name: "starts", out: { shape: [n + 1], dtype: "int32" }, inputs: [index, layout], program });
  return [order, starts];
}
