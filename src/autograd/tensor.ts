/**
 * A tensor: a typed, shaped view of a device buffer, and the line of the tape that made it. Operations on one tensor are its methods, which
 * stand in files by subject; functions of several are in operations.ts.
 */
import type { ArrayType, Backend, Buffer, DType, NDArray } from "../backend/backend.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, inOrder, isContiguous, sameShape, sizeOf, stridesOf } from "../backend/shape.ts";
import * as activations from "./activations.ts";
import { apply, widened } from "./apply.ts";
import {
  aCount,
  aTensor,
  anInteger,
  anOperand,
  check,
  checkHostIndex,
  checkOptions,
  checkShape,
  flag,
  optional,
  requireList,
  requireTensor,
} from "./arguments.ts";
import type { Kinds } from "./arguments.ts";
import { axesOf, axisOf, keeping } from "./axes.ts";
import { constant } from "./constants.ts";
import { within } from "./context.ts";
import type { Nested } from "./create.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import type { Key } from "./key.ts";

import { Holder } from "./life.ts";
import { matmul } from "./matmul.ts";
import * as movement from "./movement.ts";
import type { Primitive } from "./primitive.ts";
import { print } from "./print.ts";
import type { Numbers } from "./read.ts";
import * as read from "./read.ts";
import * as reductions from "./reductions.ts";
import * as rows from "./rows.ts";
import type { SliceRange } from "./shaping.ts";
import * as shaping from "./shaping.ts";
import * as softmax from "./softmax.ts";
import * as statistics from "./statistics.ts";
import { Storage } from "./storage.ts";
import type { Line } from "./tape.ts";
import type { Gradients, WalkOptions } from "./walk.ts";
import { backward, gradients } from "./walk.ts";

/** A second operand: a number stands for a scalar of the other operand's dtype. */
export type Operand = Tensor | number;

/** What a reduction leaves of the axes it reduces. */
export interface ReduceOptions {
  /** Leave the reduced axes with size 1. */
  readonly keepDims?: boolean;
}

/** The direction of a running sum. */
export interface CumsumOptions {
  /** Each sum leaves its own element out, so that the first is 0. */
  readonly exclusive?: boolean;
  /** The sums run from the end. */
  readonly reverse?: boolean;
}

/** The direction of an order. */
export interface SortOptions {
  /** The largest first. */
  readonly descending?: boolean;
}

const reduceKinds: Kinds<ReduceOptions> = { keepDims: optional(flag) };
const cumsumKinds: Kinds<CumsumOptions> = { exclusive: optional(flag), reverse: optional(flag) };
const sortKinds: Kinds<SortOptions> = { descending: optional(flag) };

/**
 * An array of numbers on a device, and how it was computed. Make one with `tensor`, `zeros` and their kind. Operations make new tensors;
 * only `assign` changes one. Bad shapes and dtypes are errors that name the operation and what it was given.
 */
export class Tensor extends Holder implements NDArray {
  /** Sizes of its axes: [] for a scalar. */
  readonly shape: Shape;
  /** float32, float64, bfloat16 or int32. */
  readonly dtype: DType;
  /** The gradient that `backward` adds up; leaves only. */
  grad: Tensor | null = null;
  /** The recorded operation that made it; null for leaves and constants. */
  line: Line | null = null;
  /** Raised by every `assign`. */
  version = 0;
  /** Shown by the tape and in errors. */
  name: string | undefined = undefined;
  #strides: readonly number[];
  #offset: number;
  #leaf = false;

  /** For operations; users make tensors with `tensor(…)`. */
  constructor(type: ArrayType, storage: Storage, strides?: readonly number[], offset = 0) {
    if (!(storage instanceof Storage)) throw new TypeError("Tensor: it has no public constructor; make one with tensor(…)");
    super(storage);
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#strides = strides ?? stridesOf(type.shape);
    this.#offset = offset;
  }

  /** Makes a tensor on a storage, for operations, which do not import this class. @internal */
  wrap(type: ArrayType, storage: Storage, strides?: readonly number[], offset?: number): Tensor {
    return new Tensor(type, storage, strides, offset);
  }

  // Where and what

  /** The device's handle of its memory. */
  get buffer(): Buffer {
    return this.storage.buffer;
  }
  /** How many elements of the buffer lie between neighbours, for each axis: 0 along stretched axes, negative along flipped ones. */
  get strides(): readonly number[] {
    return this.#strides;
  }
  /** The place of its first element in the buffer. */
  get offset(): number {
    return this.#offset;
  }
  /** The elements in order, of integers that were made on the host and moved since: known without reading. Otherwise null. */
  get host(): Int32Array | null {
    const { host } = this.storage;
    return host && inOrder(host, this);
  }
  /** The device on which it lives. */
  get backend(): Backend {
    return this.storage.backend;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }
  /** Whether a gradient flows through it: a leaf that asked for one, or computed from such. */
  get requiresGrad(): boolean {
    return this.#leaf || this.line !== null;
  }
  /** Its name, dtype and shape, as errors write them. */
  get label(): string {
    return `${this.name === undefined ? "tensor" : `"${this.name}"`} ${this.dtype} ${formatShape(this.shape)}`;
  }

  // Memory

  /**
   * Makes it a leaf whose gradient `backward` adds into `.grad`. Leaves are persistent: no scope frees them. Throws for int32, and for
   * what was computed from a leaf.
   */
  requireGrad(): this {
    if (this.dtype === "int32") throw new TypeError(`requireGrad: ${this.label}: integers have no gradient`);
    if (this.line)
      throw new TypeError(
        `requireGrad: ${this.label} was computed by ${this.line.name} and already carries its gradient; detach() it to make a leaf`,
      );
    this.#leaf = true;
    return this.persist();
  }

  /** Makes another tensor on the same storage, without history. */
  alias(): Tensor {
    return new Tensor(this, this.storage, this.strides, this.offset);
  }

  /** The same values as a constant: no gradient flows back. Nothing is copied. */
  detach(): Tensor {
    return this.alias();
  }

  /**
   * Replaces the values of a leaf; the only mutation there is. Lines of the tape that used the old values refuse to be walked. Throws
   * for another shape, dtype or device, and for what was computed.
   */
  assign(value: Tensor): this {
    requireTensor("assign", value, "value");
    if (this.line) throw new TypeError(`assign: ${this.label} was computed by ${this.line.name}; only leaves can be assigned`);
    if (value.dtype !== this.dtype || !sameShape(value.shape, this.shape))
      throw new RangeError(`assign: ${value.label} does not fit ${this.label}`);
    if (value.backend !== this.backend)
      throw new TypeError(
        `assign: ${value.label} lives on "${value.backend.name}", ${this.label} on "${this.backend.name}"; move it with to(backend)`,
      );
    const source = within({ recording: false }, () => value.contiguous());
    this.#replace(source.storage, source.offset);
    if (source !== value) source.dispose();
    return this;
  }

  #replace(storage: Storage, offset: number): void {
    this.exchange(storage);
    this.#strides = stridesOf(this.shape);
    this.#offset = offset;
    this.version++;
  }

  /** Whether a kernel may write into its buffer, because nobody else reads it. */
  get isSoleOwner(): boolean {
    return this.storage.owners === 1 && this.offset === 0 && isContiguous(this.shape, this.strides);
  }

  /** Adds `g`, which has the shape and dtype of this tensor, into `.grad`, as `backward` does. Throws for another shape or dtype. */
  accumulateGrad(g: Tensor): void {
    requireTensor("accumulateGrad", g, "g");
    if (g.dtype !== this.dtype || !sameShape(g.shape, this.shape))
      throw new RangeError(`accumulateGrad: g is ${g.dtype} ${formatShape(g.shape)}, the tensor ${this.dtype} ${formatShape(this.shape)}`);
    const sum = (this.grad ? this.grad.add(g) : g.contiguous()).alias();
    this.grad?.dispose();
    this.grad = sum.persist();
  }

  /** Frees `.grad` and sets it to null. */
  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = null;
  }

  // Reading: the only asynchronous part

  /** Reads the elements in row-major order (bfloat16 as float32). */
  data(): Promise<Numbers> {
    return read.data(this);
  }
  /** Reads the elements at once, on devices that can: cpu and wasm. Throws a `BackendError` on others. */
  dataSync(): Numbers {
    return read.dataSync(this);
  }
  /** Reads the one element of a tensor of size 1. Throws for other sizes. */
  item(): Promise<number> {
    return read.item(this);
  }
  /** Reads the one element at once, on devices that can. */
  itemSync(): number {
    return read.itemSync(this);
  }
  /** Reads it as nested arrays. */
  async array(): Promise<Nested> {
    return read.nest(await this.data(), this.shape);
  }
  /** Reads it as nested arrays at once, on devices that can. */
  arraySync(): Nested {
    return read.nest(this.dataSync(), this.shape);
  }
  /** Writes its dtype, shape, device and values; of more than 1000 elements the first and last three of each axis. */
  override toString(): string {
    return print(this);
  }
  /** Throws: a tensor is read asynchronously, and JSON.stringify does not wait. */
  toJSON(): never {
    throw new TypeError(`${this.label} cannot be written as JSON; use await t.array()`);
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return print(this);
  }
  /** Prints it in a template literal; throws in arithmetic and comparisons, whose methods are add, less and their kind. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return print(this);
    throw new TypeError(
      `${this.label} is not a number: JavaScript operators do not work on tensors; use x.add(y), x.less(y) …, or await x.item()`,
    );
  }

  // Derivatives

  /** Adds the gradient of this tensor into `.grad` of every leaf it was computed from. See the function `backward`. */
  backward(options?: Omit<WalkOptions, "createGraph">): void {
    backward(this, options);
  }
  /** Its gradients with respect to `xs`, one for each; with `createGraph` they can be differentiated again. See the function `gradients`. */
  gradients<const T extends readonly Tensor[]>(xs: T, options?: Omit<WalkOptions, "release">): Gradients<T> {
    return gradients(this, xs, options);
  }

  // Elementwise. Operands broadcast; dtypes must agree; a number stands for a scalar.

  #unary(primitive: Primitive): Tensor {
    return widened(primitive.name, [this], (x) => apply(primitive, x));
  }
  #binary(primitive: Primitive, other: Operand): Tensor {
    const y = typeof other === "number" ? constant(other, this, primitive.name) : other;
    if (!aTensor.accepts(y)) check(primitive.name, "y", y, anOperand);
    return widened(primitive.name, [this, y], (a, b) => apply(primitive, a, b));
  }

  /** x + y. */
  add(y: Operand): Tensor {
    return this.#binary(elementwise.add, y);
  }
  /** x - y. */
  sub(y: Operand): Tensor {
    return this.#binary(elementwise.sub, y);
  }
  /** x y, element by element. */
  mul(y: Operand): Tensor {
    return this.#binary(elementwise.mul, y);
  }
  /** x / y. Float dtypes only; for integers see `floorDiv`. */
  div(y: Operand): Tensor {
    return this.#binary(elementwise.div, y);
  }
  /** x^y; pow(0, 0) = 1. Float dtypes only. */
  pow(y: Operand): Tensor {
    return this.#binary(elementwise.pow, y);
  }
  /** The larger of x and y; ties share the gradient in halves, NaN wins. */
  maximum(y: Operand): Tensor {
    return this.#binary(elementwise.maximum, y);
  }
  /** The smaller of x and y; ties share the gradient in halves, NaN wins. */
  minimum(y: Operand): Tensor {
    return this.#binary(elementwise.minimum, y);
  }
  /** floor(x / y), without gradient. */
  floorDiv(y: Operand): Tensor {
    return this.#binary(elementwise.floorDiv, y);
  }
  /** x - floor(x / y) y: the remainder, with the sign of the divisor. */
  mod(y: Operand): Tensor {
    return this.#binary(elementwise.mod, y);
  }

  // Comparisons give 1 or 0 in the dtype of the operands, without gradient.

  /** 1 where x = y, else 0. */
  equal(y: Operand): Tensor {
    return this.#binary(elementwise.equal, y);
  }
  /** 1 where x and y differ, else 0. */
  notEqual(y: Operand): Tensor {
    return this.#binary(elementwise.notEqual, y);
  }
  /** 1 where x < y, else 0. */
  less(y: Operand): Tensor {
    return this.#binary(elementwise.less, y);
  }
  /** 1 where x <= y, else 0. */
  lessEqual(y: Operand): Tensor {
    return this.#binary(elementwise.lessEqual, y);
  }
  /** 1 where x > y, else 0. */
  greater(y: Operand): Tensor {
    return this.#binary(elementwise.greater, y);
  }
  /** 1 where x >= y, else 0. */
  greaterEqual(y: Operand): Tensor {
    return this.#binary(elementwise.greaterEqual, y);
  }

  /** -x. */
  neg(): Tensor {
    return this.#unary(elementwise.neg);
  }
  /** |x|; gradient 0 at 0. */
  abs(): Tensor {
    return this.#unary(elementwise.abs);
  }
  /** -1, 0 or 1: the sign of x, without gradient. */
  sign(): Tensor {
    return this.#unary(elementwise.sign);
  }
  /** The largest integer not above x, without gradient. */
  floor(): Tensor {
    return this.#unary(elementwise.floor);
  }
  /** The smallest integer not below x, without gradient. */
  ceil(): Tensor {
    return this.#unary(elementwise.ceil);
  }
  /** The nearest integer, halves to even, without gradient. */
  round(): Tensor {
    return this.#unary(elementwise.round);
  }
  /** x without its fraction, without gradient. */
  trunc(): Tensor {
    return this.#unary(elementwise.trunc);
  }
  /** e^x. */
  exp(): Tensor {
    return this.#unary(elementwise.exp);
  }
  /** e^x - 1, exact near 0. */
  expm1(): Tensor {
    return this.#unary(elementwise.expm1);
  }
  /** The natural logarithm. */
  log(): Tensor {
    return this.#unary(elementwise.log);
  }
  /** log(1 + x), exact near 0. */
  log1p(): Tensor {
    return this.#unary(elementwise.log1p);
  }
  /** The square root. */
  sqrt(): Tensor {
    return this.#unary(elementwise.sqrt);
  }
  /** 1 / sqrt(x). */
  rsqrt(): Tensor {
    return this.#unary(elementwise.rsqrt);
  }
  /** 1 / x. */
  reciprocal(): Tensor {
    return this.#unary(elementwise.reciprocal);
  }
  /** x^2; int32 wraps at 32 bits. */
  square(): Tensor {
    return this.#unary(elementwise.square);
  }
  /** The sine, of radians. */
  sin(): Tensor {
    return this.#unary(elementwise.sin);
  }
  /** The cosine, of radians. */
  cos(): Tensor {
    return this.#unary(elementwise.cos);
  }
  /** The hyperbolic tangent. */
  tanh(): Tensor {
    return this.#unary(elementwise.tanh);
  }
  /** 1 / (1 + e^-x), the logistic function. */
  sigmoid(): Tensor {
    return this.#unary(elementwise.sigmoid);
  }
  /** log(1 + e^x), without overflow. */
  softplus(): Tensor {
    return this.#unary(elementwise.softplus);
  }
  /** max(x, 0); gradient 0 at 0. */
  relu(): Tensor {
    return this.#unary(elementwise.relu);
  }
  /** The error function. */
  erf(): Tensor {
    return this.#unary(elementwise.erf);
  }
  /** 1 - erf(x), exact where erf is near 1. */
  erfc(): Tensor {
    return this.#unary(elementwise.erfc);
  }
  /** The standard normal distribution function: Phi(x). */
  normalCdf(): Tensor {
    return this.#unary(elementwise.normalCdf);
  }
  /** 1 where x is finite, 0 at NaN and infinities. */
  isFinite(): Tensor {
    return this.#unary(elementwise.isFinite);
  }
  /** x sigmoid(x), also called swish. */
  silu(): Tensor {
    return activations.silu(this);
  }
  /** x Phi(x), or its approximation by tanh. Hendrycks & Gimpel 2016, arXiv:1606.08415. */
  gelu(approximate: "none" | "tanh" = "none"): Tensor {
    return activations.gelu(this, approximate);
  }
  /** Brings x into [min, max], or to min and above; gradient 1 at the bounds. Where min > max, the result is max. */
  clamp(min: number, max = Infinity): Tensor {
    return activations.clamp(this, min, max);
  }
  /** `value` where `mask` is not 0, x elsewhere; the mask stretches to the shape of x. */
  maskedFill(mask: Tensor, value: number): Tensor {
    return activations.maskedFill(this, mask, value);
  }
  /** Zeroes a share `rate` of the elements and scales the others by 1 / (1 - rate); `key` decides which. Srivastava et al. 2014. */
  dropout(rate: number, key: Key): Tensor {
    return activations.dropout(this, rate, key);
  }

  // Reductions. Without axes: over all. Axes may be negative.

  /** Sums axes; an empty sum is 0. */
  sum(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("sum", options, reduceKinds);
    const list = axesOf("sum", axes, this);
    const out = widened("sum", [this], (x) => apply(reductions.sum(list), x));
    return options.keepDims ? out.reshape(keeping(this.shape, list)) : out;
  }
  /**
   * The largest element. Along one axis that is given as a number the first of equals takes the whole gradient; over a list of axes, or all, they
   * share it. Throws where there is no element.
   */
  max(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("max", options, reduceKinds);
    return statistics.extreme("max", this, axes, options);
  }
  /** The smallest element; equals and gradients as in `max`. */
  min(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("min", options, reduceKinds);
    return statistics.extreme("min", this, axes, options);
  }
  /** The place of the largest element along one axis, the first of equals, as int32. */
  argmax(axis = -1): Tensor {
    return this.#unary(reductions.argReduce("argmax", axisOf("argmax", axis, this)));
  }
  /** The place of the smallest element along one axis, the first of equals, as int32. */
  argmin(axis = -1): Tensor {
    return this.#unary(reductions.argReduce("argmin", axisOf("argmin", axis, this)));
  }
  /** Multiplies along axes; an empty product is 1. Its gradient is exact where factors are 0. */
  prod(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("prod", options, reduceKinds);
    return statistics.prod(this, axes, options);
  }
  /** The mean of float numbers. Throws where there is nothing to average. */
  mean(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("mean", options, reduceKinds);
    return statistics.mean(this, axes, options);
  }
  /** The mean squared distance from the mean, over n - `correction`. */
  variance(axes?: number | readonly number[], options: statistics.VarianceOptions = {}): Tensor {
    checkOptions("variance", options, statistics.varianceKinds);
    return statistics.variance(this, axes, options);
  }
  /** The standard deviation: the root of `variance`; gradient 0 where all numbers are equal. */
  std(axes?: number | readonly number[], options: statistics.VarianceOptions = {}): Tensor {
    checkOptions("std", options, statistics.varianceKinds);
    return statistics.std(this, axes, options);
  }
  /** The Euclidean norm: the root of the sum of squares; its gradient at 0 is 0. */
  norm(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("norm", options, reduceKinds);
    return statistics.norm(this, axes, options);
  }
  /** log(sum(e^x)) without overflow; -Infinity, with zero gradient, where all of x is. */
  logSumExp(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    checkOptions("logSumExp", options, reduceKinds);
    return softmax.logSumExp(this, axes, options);
  }
  /** Running sums along an axis: element i is the sum of the elements up to i. */
  cumsum(axis: number, options: CumsumOptions = {}): Tensor {
    checkOptions("cumsum", options, cumsumKinds);
    const { exclusive = false, reverse = false } = options;
    return this.#unary(reductions.cumsum(axisOf("cumsum", axis, this), exclusive, reverse));
  }
  /** Probabilities along an axis: e^x over the sum of e^x, without overflow. Rows of -Infinity give zeros with zero gradient. */
  softmax(axis = -1): Tensor {
    return softmax.softmax(this, axis);
  }
  /** The logarithm of `softmax`, exact where that is near 0. Rows of -Infinity stay so, with zero gradient. */
  logSoftmax(axis = -1): Tensor {
    return softmax.logSoftmax(this, axis);
  }

  // Products

  /**
   * The matrix product over the last two axes: [..., M, K] and [..., K, N] -> [..., M, N]. Leading axes broadcast; a vector on the left
   * is a row, on the right a column, and its axis is gone from the result. Float dtypes only.
   */
  matmul(y: Tensor): Tensor {
    return matmul(this, y);
  }

  // Movement: views wherever possible

  /** The same elements in another shape, in row-major order. One size may be -1: what is left. */
  reshape(shape: readonly number[]): Tensor {
    return apply(movement.reshape(shaping.inferSize(this, shape)), this);
  }
  /** Reorders axes: axes[i] is the axis that becomes axis i. A view. */
  permute(axes: readonly number[]): Tensor {
    requireList("permute", axes, "axes");
    const list = axes.map((axis) => axisOf("permute", axis, this));
    if (list.length !== this.shape.length || new Set(list).size !== list.length)
      throw new RangeError(`permute: axes ${formatShape(axes)} do not name each axis of ${formatShape(this.shape)} once`);
    return apply(movement.permute(list), this);
  }
  /** Swaps two axes, the last two unless said otherwise. A view. */
  transpose(a = -2, b = -1): Tensor {
    const [i, j] = [axisOf("transpose", a, this), axisOf("transpose", b, this)];
    return apply(movement.permute(this.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis))), this);
  }
  /** Stretches axes of size 1, and adds leading ones, without copying. A view. */
  broadcastTo(shape: readonly number[]): Tensor {
    checkShape("broadcastTo", shape);
    return sameShape(shape, this.shape) ? this : apply(movement.broadcastTo([...shape]), this);
  }
  /**
   * Takes a part of each axis, without copying: `x.slice([1, 3], null, [null, null, -1])`. A range is [start, stop, step]: the elements
   * start, start + step, … before stop. Negative starts and stops count from the end; null, or nothing, is the end in the direction of
   * the step, which is 1 unless given and may be negative. Ranges that are null or not given take the whole axis.
   */
  slice(...ranges: readonly (SliceRange | null)[]): Tensor {
    return apply(movement.slice(shaping.partsOf(this, ranges)), this);
  }
  /** The elements from `start` up to `stop`, which is left out, along one axis. A view. */
  narrow(axis: number, start: number, stop: number): Tensor {
    const at = axisOf("narrow", axis, this);
    check("narrow", "start", start, anInteger);
    check("narrow", "stop", stop, anInteger);
    return apply(movement.slice(shaping.partsAlong(this, at, [start, stop])), this);
  }
  /** Cuts it into equal parts, or parts of the given sizes, along an axis. Views. */
  split(parts: number | readonly number[], axis = 0): Tensor[] {
    return shaping.split(this, parts, axis);
  }
  /** Surrounds it with `value`: widths[i] = [before, after] of axis i; missing ones are [0, 0]. */
  pad(widths: readonly (readonly [number, number])[], value = 0): Tensor {
    return shaping.pad(this, widths, value);
  }
  /** Reads axes backwards: all of them unless named. A view. */
  flip(axes?: number | readonly number[]): Tensor {
    return apply(movement.flip(axesOf("flip", axes, this)), this);
  }
  /** Repeats it: repeats[i] copies along axis i; a longer list adds leading axes. */
  tile(repeats: readonly number[]): Tensor {
    return shaping.tile(this, repeats);
  }
  /** Adds an axis of size 1, which will be axis `axis`. A view. */
  unsqueeze(axis: number): Tensor {
    const at = axisOf("unsqueeze", axis, { shape: [1, ...this.shape] });
    return this.reshape([...this.shape.slice(0, at), 1, ...this.shape.slice(at)]);
  }
  /** Takes an axis of size 1 away. A view. Throws for another size. */
  squeeze(axis: number): Tensor {
    const at = axisOf("squeeze", axis, this);
    if (this.shape[at] !== 1) throw new RangeError(`squeeze: axis ${axis} of ${formatShape(this.shape)} has size ${this.shape[at]}, not 1`);
    return this.reshape(this.shape.filter((_, i) => i !== at));
  }
  /** The lower triangle of the last two axes, zeros above: where column - row <= diagonal. */
  tril(diagonal = 0): Tensor {
    return shaping.triangle(this, diagonal, "lower");
  }
  /** The upper triangle of the last two axes, zeros below: where column - row >= diagonal. */
  triu(diagonal = 0): Tensor {
    return shaping.triangle(this, diagonal, "upper");
  }
  /** Copies it so that its elements follow one another in memory; returns it itself where they do already. */
  contiguous(): Tensor {
    return isContiguous(this.shape, this.strides) ? this : apply(movement.contiguous, this);
  }
  /** Converts to another dtype. To int32: towards zero. Gradients are cast back; through int32 none flows. */
  cast(dtype: DType): Tensor {
    return dtype === this.dtype ? this : shaping.cast(this, dtype);
  }
  /** Widens it to `dtype` if it is narrower: bfloat16 becomes float32, float64 stays. */
  atLeast(dtype: "float32" | "float64"): Tensor {
    return shaping.atLeast(this, dtype);
  }
  /** Copies it to another device, as a constant. Throws where its own cannot be read at once. */
  to(backend: Backend): Tensor {
    return read.moveTo(this, backend);
  }

  // Reading and writing at indices, which are int32 and have no gradient. Those made on the host are checked.

  /** Takes rows: [N, ...D] and an index of rows -> [...index.shape, ...D]; rows may repeat. */
  takeRows(index: Tensor): Tensor {
    if (this.shape.length === 0) throw new RangeError("takeRows: a scalar has no rows");
    checkHostIndex("takeRows", index, 0, this.shape[0]);
    return widened("takeRows", [this, index], (x, i) => apply(rows.takeRows, x, i));
  }
  /** Adds rows of the same index up into `count` rows: [...I, ...D] and index [...I] -> [count, ...D]. The adjoint of `takeRows`. */
  addRows(index: Tensor, count: number): Tensor {
    check("addRows", "count", count, aCount);
    checkHostIndex("addRows", index, 0, count);
    return widened("addRows", [this, index], (g, i) => apply(rows.addRows(count), g, i));
  }
  /** Takes elements along an axis: out[..., i, ...] = x[..., index[..., i, ...], ...]. */
  takeAlong(index: Tensor, axis = -1): Tensor {
    const at = axisOf("takeAlong", axis, this);
    checkHostIndex("takeAlong", index, 0, this.shape[at]);
    return widened("takeAlong", [this, index], (x, i) => apply(rows.takeAlong(at), x, i));
  }
  /** Adds elements at `index` into `count` zeros along an axis. The adjoint of `takeAlong`. */
  addAlong(index: Tensor, axis: number, count: number): Tensor {
    const at = axisOf("addAlong", axis, this);
    check("addAlong", "count", count, aCount);
    checkHostIndex("addAlong", index, 0, count);
    return widened("addAlong", [this, index], (g, i) => apply(rows.addAlong(at, count), g, i));
  }
  /** x plus the elements of `source` at `index` along an axis; elements of the same index are added up. */
  scatterAdd(index: Tensor, source: Tensor, axis = 0): Tensor {
    return indexing.scatterAdd(this, index, source, axis);
  }
  /**
   * x with the elements of `source` in the places `index` along an axis. Of elements with the same index the last stands; the others,
   * and the elements of x that are overwritten, get gradient 0.
   */
  scatter(index: Tensor, source: Operand, axis = 0): Tensor {
    return indexing.scatter(this, index, source, axis);
  }
  /** 1 at the index and 0 elsewhere: [...] int32 -> [..., classes], float32 unless said otherwise. An index outside gives a row of zeros. */
  oneHot(classes: number, dtype: DType = "float32"): Tensor {
    return indexing.oneHot(this, classes, dtype);
  }

  // Order. NaN ranks below every number; equals keep their order.

  /** The places of the elements in ascending order, as int32: x.takeAlong(x.argsort(axis), axis) is sorted. */
  argsort(axis = -1, options: SortOptions = {}): Tensor {
    checkOptions("argsort", options, sortKinds);
    return indexing.alongLast(this, "argsort", axis, rows.argsort(options.descending ?? false));
  }
  /** The sorted values, through which gradient flows, and their places before, int32. */
  sort(axis = -1, options: SortOptions = {}): { values: Tensor; indices: Tensor } {
    checkOptions("sort", options, sortKinds);
    const indices = this.argsort(axis, options);
    return { values: this.takeAlong(indices, axis), indices };
  }
  /** The place of each element in the sorted order, as int32. */
  rank(axis = -1, options: SortOptions = {}): Tensor {
    checkOptions("rank", options, sortKinds);
    return indexing.alongLast(this, "rank", axis, rows.rank(options.descending ?? false));
  }
  /** The k largest elements along an axis, largest first, and their places, int32; gradient flows to the values. Throws where k is above the size. */
  topK(k: number, axis = -1): { values: Tensor; indices: Tensor } {
    check("topK", "k", k, aCount);
    const indices = indexing.alongLast(this, "topK", axis, rows.topK(k));
    return { values: this.takeAlong(indices, axis), indices };
  }
  /** The place of each of 0..count-1 along the last axis, -1 where it does not occur: [..., M] int32 -> [..., count]. No number but -1 may occur twice. */
  invert(count: number): Tensor {
    check("invert", "count", count, aCount);
    checkHostIndex("invert", this, -1, count, "x");
    return apply(rows.invert(count), this);
  }
  /** For each element the number of earlier equal elements along the last axis, as int32; -1 for a negative element. */
  countEarlier(): Tensor {
    return apply(rows.countEarlier, this);
  }
  /** How often each of 0..count-1 occurs along the last axis: [..., M] int32 -> [..., count]. */
  bincount(count: number): Tensor {
    check("bincount", "count", count, aCount);
    return apply(rows.bincount(count), this);
  }
}
