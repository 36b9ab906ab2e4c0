/** Arbitraries for shapes, arrays and axes: plain data, of which the property makes tensors. */
import fc from "fast-check";
import { aDtype, aShape, check, checkOptions, finite, having, listOf, number, optional, whole } from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";
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
  /** Default 0. */
  readonly minAxes?: number;
  /** Default 3. */
  readonly maxAxes?: number;
  /** Least size of an axis. Default 0. */
  readonly minSize?: number;
  /** Largest size of an axis. Default 4. */
  readonly maxSize?: number;
}

const someAxes = optional(whole(0, 64));
const someSize = optional(whole(0, 2 ** 20));
const shapeKinds: Kinds<ShapeOptions> = { minAxes: someAxes, maxAxes: someAxes, minSize: someSize, maxSize: someSize };
const anArbitrary: Kind = having("an arbitrary of fast-check", "generate", "chain");

/** Throws where the lower bound is above the upper one. */
function requireOrder(where: string, low: string, high: string, bounds: Readonly<Record<string, number>>): void {
  if (bounds[low] > bounds[high]) throw new RangeError(`${where}: ${low} ${bounds[low]}: want at most ${high}, ${bounds[high]}`);
}

/** Draws shapes: of 0 to 3 axes of 0 to 4 elements, unless the options say otherwise. Throws for bounds that are none. */
export function shapes(options: ShapeOptions = {}): fc.Arbitrary<number[]> {
  checkOptions<ShapeOptions>("shapes", options, shapeKinds);
  const { minAxes = 0, maxAxes = 3, minSize = 0, maxSize = 4 } = options;
  requireOrder("shapes", "minAxes", "maxAxes", { minAxes, maxAxes });
  requireOrder("shapes", "minSize", "maxSize", { minSize, maxSize });
  return fc.array(
    fc.nat({ max: maxSize - minSize }).map((n) => n + minSize),
    { minLength: minAxes, maxLength: maxAxes },
  );
}

/** The range of drawn numbers, and how far they lie beside the grid. */
export interface NumberOptions {
  /** Default -3. */
  readonly min?: number;
  /** Default 3. */
  readonly max?: number;
  /**
   * Numbers lie `shift` beside the multiples of 1/64, which keeps them exact in every dtype and short in print. A shift of 1/128
   * keeps them at least that far from every integer and half: away from the kinks of abs, relu, round and their kind.
   */
  readonly shift?: number;
}

/** Draws numbers from min to max that lie on a grid of 1/64, plus `shift`. Throws for bounds that are none. */
export function numbers(options: NumberOptions = {}): fc.Arbitrary<number> {
  const bound = optional(finite(-(2 ** 24), 2 ** 24));
  checkOptions<NumberOptions>("numbers", options, { min: bound, max: bound, shift: bound });
  const { min = -3, max = 3, shift = 0 } = options;
  requireOrder("numbers", "min", "max", { min, max });
  if (Math.ceil(min * 64) > Math.floor(max * 64))
    throw new RangeError(`numbers: min ${min} and max ${max}: want a multiple of 1/64 between them`);
  return fc.integer({ min: Math.ceil(min * 64), max: Math.floor(max * 64) }).map((n) => n / 64 + shift);
}

/** Draws arrays of a shape, or of shapes that are drawn first, with elements of one arbitrary, by default `numbers()`. Throws for neither. */
export function arrays(
  shape: readonly number[] | fc.Arbitrary<number[]>,
  elements: fc.Arbitrary<number> = numbers(),
): fc.Arbitrary<PlainArray> {
  check("arrays", "elements", elements, anArbitrary);
  check("arrays", "shape", shape, {
    wanted: "a shape, or an arbitrary of shapes",
    accepts: (x) => aShape.accepts(x) || anArbitrary.accepts(x),
  });
  if (!Array.isArray(shape)) return (shape as fc.Arbitrary<number[]>).chain((drawn) => arrays(drawn, elements));
  const size = (shape as readonly number[]).reduce((product, n) => product * n, 1);
  return fc.array(elements, { minLength: size, maxLength: size }).map((data) => ({ shape: shape as readonly number[], data }));
}

/** Draws arrays of a shape without two equal elements: no ties, all multiples of 1/16. Throws for a shape that is none. */
export function distinctArrays(shape: readonly number[]): fc.Arbitrary<PlainArray> {
  check("distinctArrays", "shape", shape, aShape);
  const size = shape.reduce((product, n) => product * n, 1);
  const reach = Math.max(48, size);
  return fc
    .uniqueArray(fc.integer({ min: -reach, max: reach }), { minLength: size, maxLength: size })
    .map((data) => ({ shape, data: data.map((n) => n / 16) }));
}

/** Draws one axis of a shape, counted from the front or from the back. Throws for a scalar, which has none. */
export function axisOf(shape: readonly number[]): fc.Arbitrary<number> {
  check("axisOf", "shape", shape, {
    wanted: "a shape of one axis or more",
    accepts: (x) => aShape.accepts(x) && (x as unknown[]).length > 0,
  });
  return fc.integer({ min: -shape.length, max: shape.length - 1 });
}

/** Draws some axes of a shape, each named once, counted from either end; `undefined` for all of them. Throws for a shape that is none. */
export function axesOf(shape: readonly number[]): fc.Arbitrary<number[] | undefined> {
  check("axesOf", "shape", shape, aShape);
  const some = fc
    .subarray(shape.map((_, axis) => axis))
    .chain((axes) =>
      fc
        .array(fc.boolean(), { minLength: axes.length, maxLength: axes.length })
        .map((back) => axes.map((axis, i) => (back[i] ? axis - shape.length : axis))),
    );
  return fc.option(some, { nil: undefined, freq: 4 });
}

/** Draws two shapes that broadcast against each other: both come from one, of which axes are set to 1 or left out. */
export function broadcastable(options: ShapeOptions = {}): fc.Arbitrary<[number[], number[]]> {
  return shapes(options).chain((shape) => fc.tuple(narrowed(shape), narrowed(shape)));
}

function narrowed(shape: readonly number[]): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.nat({ max: shape.length }), fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }))
    .map(([drop, ones]) => shape.map((n, axis) => (ones[axis] ? 1 : n)).slice(drop));
}

/**
 * The tensor of a drawn array; float64 unless the options say otherwise. The result has the shape of the array. Throws where `x` is no
 * array as `arrays` draws it.
 */
export function toTensor(x: PlainArray, options: CreateOptions = {}): Tensor {
  check("toTensor", "x", x, having("an array as arrays() draws it", "shape", "data"));
  check("toTensor", "options", options, having("an object with dtype, or nothing"));
  check("toTensor", "dtype", options.dtype, optional(aDtype));
  check("toTensor", "x.shape", x.shape, aShape);
  check("toTensor", "x.data", x.data, listOf(number));
  return tensor(x.data, { dtype: "float64", ...options, shape: x.shape });
}
