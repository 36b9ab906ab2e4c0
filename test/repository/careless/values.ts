/** Right values for what types alone do not say, wrong ones for everything, and what the walk leaves out, with the reason. */
import { cpuBackend, key, ones, scope, tensor, useBackend, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";

const freed = (): Tensor => {
  const x = ones([2, 3]);
  x.dispose();
  return x;
};

/** Each takes the place of each argument and option. */
export const wrongValues: readonly (readonly [string, () => unknown])[] = [
  ["undefined", () => undefined],
  ["null", () => null],
  ["NaN", () => NaN],
  ["Infinity", () => Infinity],
  ["-1", () => -1],
  ["0.5", () => 0.5],
  ["1e15", () => 1e15],
  ['"x"', () => "x"],
  ["{}", () => ({})],
  ["[]", () => []],
  ["[null]", () => [null]],
  ["a function", () => () => 1],
  ["a Map", () => new Map()],
  ["a freed tensor", freed],
  ["an int32 tensor", () => tensor([0, 1], { dtype: "int32" })],
  ["a tensor of another shape", () => zeros([3, 1, 5, 2])],
];

const floats = (): Tensor => ones([2, 3]);
const ids = (data: number[][] | number[]): Tensor => tensor(data, { dtype: "int32" });

/** Values of named types. */
export const makers = new Map<string, () => unknown>([
  ["Tensor", floats],
  ["Operand", floats],
  ["Key", () => key(1)],
  ["Backend", cpuBackend],
  ["Shape", () => [2, 3]],
  ["DType", () => "float32"],
  ["Nested", () => [[1, 2], [3, 4]]], // prettier-ignore
  ["FlatNumbers", () => [1, 2]],
  ["ReadonlySet", () => new Set()],
  ["Set", () => new Set()],
  ["ReadonlyMap", () => new Map()],
  ["Map", () => new Map()],
  ["Record", () => ({})],
  ["T", () => [floats().requireGrad()]],
]);

/** Outlives every call, so that a history can end at it. */
const leaf = floats().requireGrad();

/** Objects whose methods are called, by class, and by method where that takes another. */
export const instances = new Map<string, () => unknown>([
  ["Tensor", floats],
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

/** Arguments that fit where the types of the parameters leave too much open. */
export const callsByHand = new Map<string, () => unknown[]>([
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

/** Not called, each with its reason. */
export const skipped = new Map<string, string>([
  ["Tensor", "its constructor takes a Storage, a class that no entry exports"],
  ["Tensor.holdAlso", "takes Storages"],
  ["Tensor.adoptBy", "takes a Scope, a class that no entry exports, and runs for every tensor that is made"],
  ["Tensor.toJSON", "always throws, so that JSON.stringify says how else to write a tensor"],
]);

/** What a call may have changed for the next one. */
export async function reset(): Promise<void> {
  await useBackend("cpu");
  scope(() => undefined);
}
