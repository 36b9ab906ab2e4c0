/** Wrong values for everything, right ones of the types that all entries share, and what is left between two calls. */
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

export const floats = (...shape: number[]): Tensor => ones(shape.length > 0 ? shape : [2, 3]);
export const ids = (data: number[][] | number[]): Tensor => tensor(data, { dtype: "int32" });

/** What the walk must be told of an entry, beyond the types of its parameters. */
export interface Tables {
  /** Values of named types, beside those of all entries. */
  readonly makers?: ReadonlyMap<string, () => unknown>;
  /** Objects whose methods are called, by class, and by method where that takes another. */
  readonly instances: ReadonlyMap<string, () => unknown>;
  /** Arguments that fit where the types of the parameters leave too much open. */
  readonly callsByHand: ReadonlyMap<string, () => unknown[]>;
  /** Not called, each with its reason. */
  readonly skipped: ReadonlyMap<string, string>;
  /** Base classes whose methods are called on one class alone, not on all that inherit them. */
  readonly onceFor?: Readonly<Record<string, string>>;
}

/** Values of named types. */
export const makers: ReadonlyMap<string, () => unknown> = new Map<string, () => unknown>([
  ["Tensor", () => floats()],
  ["Operand", () => floats()],
  ["Key", () => key(1)],
  ["Backend", cpuBackend],
  ["Shape", () => [2, 3]],
  ["Pass", () => ({ training: true, random: key(1) })],
  ["ArrayLike", () => [1, 2]],
  ["Uint8Array", () => Uint8Array.of(1, 2)],
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

/** What a call may have changed for the next one. */
export async function reset(): Promise<void> {
  await useBackend("cpu");
  scope(() => undefined);
}
