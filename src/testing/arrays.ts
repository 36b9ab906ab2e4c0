/** Arbitraries for shapes, arrays and axes: plain data, of which the property makes tensors. */
import fc from "fast-check";
import { tensor } from "../autograd/create.ts";
import type { CreateOptions } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** An array as data: what a counterexample prints. */
export interface PlainArray {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: readonly number[];
}

/** How many axes drawn shapes have, and of which sizes. */
export interface ShapeOptions {
  readonly minAxes?: number;
  readonly maxAxes?: number;
  readonly minSize?: number;
  readonly maxSize?: number;
}

/** Shapes of 0 to 3 axes of 0 to 4 elements, unless said otherwise. */
export function shapes({ minAxes = 0, maxAxes = 3, minSize = 0, maxSize = 4 }: ShapeOptions = {}): fc.Arbitrary<number[]> {
  return fc.array(
    fc.nat({ max: maxSize - minSize }).map((n) => n + minSize),
    { minLength: minAxes, maxLength: maxAxes },
  );
}

/** The range of drawn numbers, and how far they lie beside the grid. */
export interface NumberOptions {
  readonly min?: number;
  readonly max?: number;
  /**
   * Numbers lie `shift` beside the multiples of 1/64, which keeps them exact in every dtype and short in print. A shift of 1/128
   * keeps them at least that far from every integer and half: away from the kinks of abs, relu, round and their kind.
   */
  readonly shift?: number;
}

/** Numbers from min to max on a grid of 1/64. */
export function numbers({ min = -3, max = 3, shift = 0 }: NumberOptions = {}): fc.Arbitrary<number> {
  return fc.integer({ min: Math.ceil(min * 64), max: Math.floor(max * 64) }).map((n) => n / 64 + shift);
}

/** Arrays of a shape, or of shapes drawn first. */
export function arrays(
  shape: readonly number[] | fc.Arbitrary<number[]>,
  elements: fc.Arbitrary<number> = numbers(),
): fc.Arbitrary<PlainArray> {
  if (!Array.isArray(shape)) return (shape as fc.Arbitrary<number[]>).chain((drawn) => arrays(drawn, elements));
  const size = (shape as readonly number[]).reduce((product, n) => product * n, 1);
  return fc.array(elements, { minLength: size, maxLength: size }).map((data) => ({ shape: shape as readonly number[], data }));
}

/** Arrays without two equal elements: no ties, at least 1/16 apart. */
export function distinctArrays(shape: readonly number[]): fc.Arbitrary<PlainArray> {
  const size = shape.reduce((product, n) => product * n, 1);
  const reach = Math.max(48, size);
  return fc
    .uniqueArray(fc.integer({ min: -reach, max: reach }), { minLength: size, maxLength: size })
    .map((data) => ({ shape, data: data.map((n) => n / 16) }));
}

/** One axis of a shape, counted from the front or from the back. */
export function axisOf(shape: readonly number[]): fc.Arbitrary<number> {
  return fc.integer({ min: -shape.length, max: shape.length - 1 });
}

/** Some axes of a shape, each named once, counted from either end; `undefined` for all of them. */
export function axesOf(shape: readonly number[]): fc.Arbitrary<number[] | undefined> {
  const some = fc
    .subarray(shape.map((_, axis) => axis))
    .chain((axes) =>
      fc
        .array(fc.boolean(), { minLength: axes.length, maxLength: axes.length })
        .map((back) => axes.map((axis, i) => (back[i] ? axis - shape.length : axis))),
    );
  return fc.option(some, { nil: undefined, freq: 4 });
}

/** Shapes that broadcast against each other: from one, axes are stretched to 1 or left out. */
export function broadcastable(options: ShapeOptions = {}): fc.Arbitrary<[number[], number[]]> {
  return shapes(options).chain((shape) => fc.tuple(narrowed(shape), narrowed(shape)));
}

function narrowed(shape: readonly number[]): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.nat({ max: shape.length }), fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }))
    .map(([drop, ones]) => shape.map((n, axis) => (ones[axis] ? 1 : n)).slice(drop));
}

/** float64 unless said otherwise. */
export function toTensor(x: PlainArray, options: CreateOptions = {}): Tensor {
  return tensor(x.data, { dtype: "float64", ...options, shape: x.shape });
}
