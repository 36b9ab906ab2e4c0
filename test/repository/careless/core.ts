/** The walk through `switchyard-moe`. */
import { cpuBackend, key, ones } from "switchyard-moe";
import { floats, ids } from "./values.ts";
import type { Tables } from "./values.ts";

/** Outlives every call, so that a history can end at it. */
const leaf = floats().requireGrad();

const instances = new Map<string, () => unknown>([
  ["Tensor", () => floats()],
  ["Tensor.item", () => ones([1])],
  ["Tensor.itemSync", () => ones([1])],
  ["Tensor.squeeze", () => ones([1, 3])],
  ["Tensor.backward", () => leaf.sum()],
  ["Tensor.gradients", () => leaf.sum()],
  ["Tensor.oneHot", () => ids([0, 1])],
  ["Tensor.invert", () => ids([0, 1])],
  ["Tensor.countEarlier", () => ids([0, 1])],
  ["Tensor.bincount", () => ids([0, 1])],
]);

const callsByHand = new Map<string, () => unknown[]>([
  ["didYouMean", () => ["a", ["b"]]],
  ["useBackend", () => ["cpu"]],
  ["withBackend", () => [cpuBackend(), () => 1]],
  ["backward", () => [floats().requireGrad().sum()]],
  ["gradients", () => { const x = floats().requireGrad(); return [x.sum(), [x]]; }], // prettier-ignore
  ["einsum", () => ["ij,ij->i", floats(), floats()]],
  ["gatherRows", () => [floats(), ids([[0], [1]]), ids([[0], [1]])]],
  ["groupedMatmul", () => [floats(), ones([1, 3, 4]), ids([0, 2])]],
  ["groupedOuter", () => [floats(), ones([2, 4]), ids([0, 2])]],
  ["random.uniformMask", () => [floats(), 0.5, key(1)]],
  ["Tensor.gradients", () => [[leaf]]],
  ["Tensor.adoptBy", () => [null]],
  ["Tensor.dropout", () => [0.5, key(1)]],
  ["Tensor.cumsum", () => [1]],
  ["Tensor.matmul", () => [ones([3, 2])]],
  ["Tensor.reshape", () => [[3, 2]]],
  ["Tensor.permute", () => [[1, 0]]],
  ["Tensor.broadcastTo", () => [[4, 2, 3]]],
  ["Tensor.narrow", () => [1, 0, 2]],
  ["Tensor.squeeze", () => [0]],
  ["Tensor.takeRows", () => [ids([0, 1])]],
  ["Tensor.addRows", () => [ids([0, 1]), 4]],
  ["Tensor.takeAlong", () => [ids([[0], [1]])]],
  ["Tensor.addAlong", () => [ids([[0, 1, 2], [0, 1, 2]]), 1, 4]],
  ["Tensor.scatterAdd", () => [ids([[0, 1, 0]]), ones([1, 3])]],
  ["Tensor.scatter", () => [ids([[0, 1, 0]]), ones([1, 3])]],
  ["Tensor.oneHot", () => [3]],
  ["Tensor.invert", () => [2]],
  ["Tensor.bincount", () => [2]],
  ["NonFiniteError", () => ["log: made NaN", { operation: "log", phase: "forward" }]],
  ["Key", () => [1, 2]],
]); // prettier-ignore

const skipped = new Map<string, string>([
  ["Tensor", "its constructor takes a Storage, a class that no entry exports"],
  ["Tensor.holdAlso", "takes Storages"],
  ["Tensor.toJSON", "always throws, so that JSON.stringify says how else to write a tensor"],
]);

export const core: Tables = { instances, callsByHand, skipped };
