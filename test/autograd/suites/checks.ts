/** How the gradient tables draw their data: plain arrays first, tensors of them in the property. */
import fc from "fast-check";
import { key, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { PlainArray } from "switchyard-moe/testing";
import { arrays, axisOf, broadcastable, checkGradients, distinctArrays, numbers, shapes, toTensor } from "switchyard-moe/testing";

export interface Case {
  readonly inputs: readonly Tensor[];
  readonly f: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
}

export type Check = (runs: number) => Promise<void>;

/** Draws plain data, builds the tensors of it, and compares derivatives. */
export function check<T>(drawn: fc.Arbitrary<T>, build: (drawn: T) => Case): Check {
  const property = fc.asyncProperty(drawn, fc.nat(), (data, seed) => {
    const { inputs, f } = build(data);
    return checkGradients(f, inputs, { key: key(seed) });
  });
  return (runs) => fc.assert(property, { numRuns: runs });
}

/** Half a grid step beside the grid: away from integers and halves, where steps and kinks are. */
const smooth = { shift: 1 / 128 };
export const some = numbers(smooth);
export const positive = numbers({ min: 0.5, max: 3 });

export function unary(f: (x: Tensor) => Tensor, elements = some): Check {
  return check(arrays(shapes(), elements), (x) => ({ inputs: [toTensor(x)], f }));
}

export function binary(f: (x: Tensor, y: Tensor) => Tensor, left = some, right = numbers()): Check {
  const pair = broadcastable().chain(([a, b]) => fc.tuple(arrays(a, left), arrays(b, right)));
  return check(pair, ([x, y]) => ({ inputs: [toTensor(x), toTensor(y)], f }));
}

/** An array of at least one axis, and one of its axes. */
export function withAxis(options: Parameters<typeof shapes>[0] = {}, elements = some): fc.Arbitrary<[PlainArray, number]> {
  return shapes({ minAxes: 1, ...options }).chain((shape) => fc.tuple(arrays(shape, elements), axisOf(shape)));
}

/** Distinct numbers, so that no order changes on the way, and an axis. */
export const ordered = shapes({ minAxes: 1, minSize: 1 }).chain((shape) => fc.tuple(distinctArrays(shape), axisOf(shape)));

export const integer = (data: readonly number[], shape: readonly number[] = [data.length]): Tensor =>
  tensor(Int32Array.from(data), { shape });

/** Indices below `n` of a shape, repeats and all. */
export function indices(shape: readonly number[], n: number): fc.Arbitrary<PlainArray> {
  return arrays(shape, fc.nat({ max: n - 1 }));
}
