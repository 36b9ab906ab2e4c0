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

/** Objects whose methods are called. */
export const instances = new Map<string, () => unknown>([["Tensor", () => ones([2, 3])]]);

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
  ["NonFiniteError", () => ["log: made NaN", { operation: "log", phase: "forward" }]],
  ["Key", () => [1, 2]],
]); // prettier-ignore

/** Not called, each with its reason. */
export const skipped = new Map<string, string>([]);

/** What a call may have changed for the next one. */
export async function reset(): Promise<void> {
  await useBackend("cpu");
  scope(() => undefined);
}
