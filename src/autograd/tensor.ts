/**
 * A tensor: a typed, shaped reading of a device buffer, and the line of the tape that made it. Methods say what can be done
 * with one tensor; functions of several are in operations.ts.
 */
import type { ArrayType, Backend, Buffer, DType, NDArray } from "../backend/backend.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, isContiguous, sameShape, sizeOf, stridesOf } from "../backend/shape.ts";
import * as activations from "./activations.ts";
import { apply, widened } from "./apply.ts";
import { checkHostIndex, checkShape, requireList, requireTensor } from "./arguments.ts";
import { axesOf, axisOf, keeping } from "./axes.ts";
import { constant } from "./constants.ts";
import { within } from "./context.ts";
import type { Nested } from "./create.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import type { Key } from "./key.ts";
import { inOrder } from "./hostIntegers.ts";
import { Holder } from "./life.ts";
import { matmul } from "./matmul.ts";
import * as movement from "./movement.ts";
import type { Primitive } from "./primitive.ts";
import { print } from "./print.ts";
import type { Numbers } from "./read.ts";
import * as read from "./read.ts";
import * as reductions from "./reductions.ts";
import * as rows from "./rows.ts";
import * as shaping from "./shaping.ts";
import * as softmax from "./softmax.ts";
import * as statistics from "./statistics.ts";
import type { Storage } from "./storage.ts";
import type { Line, WalkOptions } from "./tape.ts";
import { backward, gradients } from "./tape.ts";

/** A number stands for a scalar of the other operand's dtype. */
export type Operand = Tensor | number;

export interface ReduceOptions {
  /** Leave the reduced axes with size 1. */
  readonly keepDims?: boolean;
}

/**
 * An array of numbers on a device, and how it came about. Operations make new tensors; only `assign` changes one. Bad shapes and dtypes
 * are errors that name the operation and what it was given.
 */
export class Tensor extends Holder implements NDArray {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The gradient that `backward` adds up; leaves only. */
  grad: Tensor | null = null;
  /** The operation that made it; null for leaves and constants. */
  line: Line | null = null;
  /** Raised by every `assign`. */
  version = 0;
  /** Shown by the tape and in errors. */
  name: string | undefined = undefined;
  #strides: readonly number[];
  #offset: number;
  #leaf = false;

  constructor(type: ArrayType, storage: Storage, strides: readonly number[] = stridesOf(type.shape), offset = 0) {
    super(storage);
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#strides = strides;
    this.#offset = offset;
  }

  /** A tensor on a storage, such as the result of an operation: so operations need not import this class. */
  wrap(type: ArrayType, storage: Storage, strides?: readonly number[], offset?: number): Tensor {
    return new Tensor(type, storage, strides, offset);
  }

  // Where and what

  get buffer(): Buffer {
    return this.storage.buffer;
  }
  get strides(): readonly number[] {
    return this.#strides;
  }
  get offset(): number {
    return this.#offset;
  }
  /** The elements in order, of integers that were made on the host and moved since: known without reading. Otherwise null. */
  get host(): Int32Array | null {
    const { host } = this.storage;
    return host && inOrder(host, this);
  }
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
  /** How errors speak of it. */
  get label(): string {
    return `${this.name === undefined ? "tensor" : `"${this.name}"`} ${this.dtype} ${formatShape(this.shape)}`;
  }

  // Memory

  /** Makes it a leaf whose gradient `backward` adds into `.grad`. Leaves are persistent: no scope frees them. */
  requireGrad(): this {
    if (this.dtype === "int32") throw new TypeError(`requireGrad: ${this.label}: integers have no gradient`);
    if (this.line)
      throw new TypeError(
        `requireGrad: ${this.label} was computed by ${this.line.name} and already carries its gradient; detach() it to make a leaf`,
      );
    this.#leaf = true;
    return this.persist();
  }

  /** Another tensor on the same storage, without history. */
  alias(): Tensor {
    return new Tensor(this, this.storage, this.strides, this.offset);
  }

  /** The same values as a constant: no gradient flows back. */
  detach(): Tensor {
    return this.alias();
  }

  /** Replaces the values of a leaf; the only mutation there is. Lines that used the old values refuse to be walked. */
  assign(value: Tensor): this {
    requireTensor("assign", value);
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

  /** Whether a kernel may write into its buffer: nobody else reads it. */
  get isSoleOwner(): boolean {
    return this.storage.owners === 1 && this.offset === 0 && isContiguous(this.shape, this.strides);
  }

  /** Called by the walk: adds `g` into `.grad`. */
  accumulateGrad(g: Tensor): void {
    const sum = (this.grad ? this.grad.add(g) : g.contiguous()).alias();
    this.grad?.dispose();
    this.grad = sum.persist();
  }

  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = null;
  }

  // Reading: the only asynchronous part

  /** The elements in row-major order (bfloat16 as float32). */
  data(): Promise<Numbers> {
    return read.data(this);
  }
  /** The same at once, on devices that can. */
  dataSync(): Numbers {
    return read.dataSync(this);
  }
  /** The one element of a tensor of size 1. */
  item(): Promise<number> {
    return read.item(this);
  }
  itemSync(): number {
    return read.itemSync(this);
  }
  /** Nested arrays. */
  async array(): Promise<Nested> {
    return read.nest(await this.data(), this.shape);
  }
  arraySync(): Nested {
    return read.nest(this.dataSync(), this.shape);
  }
  override toString(): string {
    return print(this);
  }
  toJSON(): never {
    throw new TypeError(`${this.label} cannot be written as JSON; use await t.array()`);
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return print(this);
  }
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return print(this);
    throw new TypeError(
      `${this.label} is not a number: JavaScript operators do not work on tensors; use x.add(y), x.less(y) …, or await x.item()`,
    );
  }

  // Derivatives

  /** Adds the gradient of this tensor into `.grad` of every leaf it was computed from. */
  backward(options?: Omit<WalkOptions, "createGraph">): void {
    backward(this, options);
  }
  /** Its gradients with respect to `xs`; with `createGraph` they can be differentiated again. */
  gradients(xs: readonly Tensor[], options?: Omit<WalkOptions, "release">): Tensor[] {
    return gradients(this, xs, options);
  }

  // Elementwise

  #unary(primitive: Primitive): Tensor {
    return widened(primitive.name, [this], (x) => apply(primitive, x));
  }
  #binary(primitive: Primitive, other: Operand): Tensor {
    const y = typeof other === "number" ? constant(other, this) : other;
    requireTensor(primitive.name, y);
    return widened(primitive.name, [this, y], (a, b) => apply(primitive, a, b));
  }

  add(y: Operand): Tensor { return this.#binary(elementwise.add, y); } // prettier-ignore
  sub(y: Operand): Tensor { return this.#binary(elementwise.sub, y); } // prettier-ignore
  mul(y: Operand): Tensor { return this.#binary(elementwise.mul, y); } // prettier-ignore
  div(y: Operand): Tensor { return this.#binary(elementwise.div, y); } // prettier-ignore
  /** x^y; pow(0, 0) = 1. */
  pow(y: Operand): Tensor { return this.#binary(elementwise.pow, y); } // prettier-ignore
  /** Ties share the gradient in halves; NaN wins. */
  maximum(y: Operand): Tensor { return this.#binary(elementwise.maximum, y); } // prettier-ignore
  minimum(y: Operand): Tensor { return this.#binary(elementwise.minimum, y); } // prettier-ignore
  /** floor(x / y). */
  floorDiv(y: Operand): Tensor { return this.#binary(elementwise.floorDiv, y); } // prettier-ignore
  /** x - floor(x / y) y: the sign of the divisor. */
  mod(y: Operand): Tensor { return this.#binary(elementwise.mod, y); } // prettier-ignore
  // Comparisons give 1 or 0 in the operands' dtype.
  equal(y: Operand): Tensor { return this.#binary(elementwise.equal, y); } // prettier-ignore
  notEqual(y: Operand): Tensor { return this.#binary(elementwise.notEqual, y); } // prettier-ignore
  less(y: Operand): Tensor { return this.#binary(elementwise.less, y); } // prettier-ignore
  lessEqual(y: Operand): Tensor { return this.#binary(elementwise.lessEqual, y); } // prettier-ignore
  greater(y: Operand): Tensor { return this.#binary(elementwise.greater, y); } // prettier-ignore
  greaterEqual(y: Operand): Tensor { return this.#binary(elementwise.greaterEqual, y); } // prettier-ignore

  neg(): Tensor { return this.#unary(elementwise.neg); } // prettier-ignore
  abs(): Tensor { return this.#unary(elementwise.abs); } // prettier-ignore
  sign(): Tensor { return this.#unary(elementwise.sign); } // prettier-ignore
  floor(): Tensor { return this.#unary(elementwise.floor); } // prettier-ignore
  ceil(): Tensor { return this.#unary(elementwise.ceil); } // prettier-ignore
  /** To the nearest integer, halves to even. */
  round(): Tensor { return this.#unary(elementwise.round); } // prettier-ignore
  trunc(): Tensor { return this.#unary(elementwise.trunc); } // prettier-ignore
  exp(): Tensor { return this.#unary(elementwise.exp); } // prettier-ignore
  expm1(): Tensor { return this.#unary(elementwise.expm1); } // prettier-ignore
  log(): Tensor { return this.#unary(elementwise.log); } // prettier-ignore
  log1p(): Tensor { return this.#unary(elementwise.log1p); } // prettier-ignore
  sqrt(): Tensor { return this.#unary(elementwise.sqrt); } // prettier-ignore
  rsqrt(): Tensor { return this.#unary(elementwise.rsqrt); } // prettier-ignore
  reciprocal(): Tensor { return this.#unary(elementwise.reciprocal); } // prettier-ignore
  square(): Tensor { return this.#unary(elementwise.square); } // prettier-ignore
  sin(): Tensor { return this.#unary(elementwise.sin); } // prettier-ignore
  cos(): Tensor { return this.#unary(elementwise.cos); } // prettier-ignore
  tanh(): Tensor { return this.#unary(elementwise.tanh); } // prettier-ignore
  sigmoid(): Tensor { return this.#unary(elementwise.sigmoid); } // prettier-ignore
  /** log(1 + e^x). */
  softplus(): Tensor { return this.#unary(elementwise.softplus); } // prettier-ignore
  relu(): Tensor { return this.#unary(elementwise.relu); } // prettier-ignore
  erf(): Tensor { return this.#unary(elementwise.erf); } // prettier-ignore
  erfc(): Tensor { return this.#unary(elementwise.erfc); } // prettier-ignore
  /** Phi(x), the standard normal distribution function. */
  normalCdf(): Tensor { return this.#unary(elementwise.normalCdf); } // prettier-ignore
  /** 1 where finite, 0 at NaN and infinities. */
  isFinite(): Tensor { return this.#unary(elementwise.isFinite); } // prettier-ignore
  /** x sigmoid(x). */
  silu(): Tensor { return activations.silu(this); } // prettier-ignore
  /** x Phi(x), or its tanh approximation. Hendrycks & Gimpel 2016, arXiv:1606.08415. */
  gelu(approximate: "none" | "tanh" = "none"): Tensor { return activations.gelu(this, approximate); } // prettier-ignore
  /** Into [min, max], or from min on; gradient 1 at the bounds. Where min > max, max. */
  clamp(min: number, max = Infinity): Tensor { return activations.clamp(this, min, max); } // prettier-ignore
  /** `value` where mask is not 0; the mask stretches to this shape. */
  maskedFill(mask: Tensor, value: number): Tensor { return activations.maskedFill(this, mask, value); } // prettier-ignore
  /** Zeroes a share `rate` of the elements and scales the rest by 1 / (1 - rate); `key` decides which. */
  dropout(rate: number, key: Key): Tensor { return activations.dropout(this, rate, key); } // prettier-ignore

  // Reductions. Without axes: over all.

  /** An empty sum is 0. */
  sum(axes?: number | readonly number[], { keepDims = false }: ReduceOptions = {}): Tensor {
    const list = axesOf("sum", axes, this);
    const out = widened("sum", [this], (x) => apply(reductions.sum(list), x));
    return keepDims ? out.reshape(keeping(this.shape, list)) : out;
  }
  /** The largest. Along one axis the first of equals takes the gradient; over several they share it. */
  max(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return statistics.extreme("max", this, axes, options);
  }
  /** The smallest; equals as in `max`. */
  min(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return statistics.extreme("min", this, axes, options);
  }
  /** int32 place of the largest, the first of equals, along one axis: the last unless said otherwise. */
  argmax(axis = -1): Tensor {
    return this.#unary(reductions.argReduce("argmax", axisOf("argmax", axis, this)));
  }
  /** int32 place of the smallest, as `argmax`. */
  argmin(axis = -1): Tensor {
    return this.#unary(reductions.argReduce("argmin", axisOf("argmin", axis, this)));
  }
  /** An empty product is 1. */
  prod(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return statistics.prod(this, axes, options);
  }
  /** An error where there is nothing to take the mean of. */
  mean(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return statistics.mean(this, axes, options);
  }
  /** Mean squared distance from the mean, over n - correction: population by default, 1 for the sample's. */
  variance(axes?: number | readonly number[], options?: statistics.VarianceOptions): Tensor {
    return statistics.variance(this, axes, options);
  }
  /** The root of the variance; its gradient at 0 is 0. */
  std(axes?: number | readonly number[], options?: statistics.VarianceOptions): Tensor {
    return statistics.std(this, axes, options);
  }
  /** Euclidean norm; its gradient at 0 is 0. */
  norm(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return statistics.norm(this, axes, options);
  }
  /** log(sum(e^x)) without overflow; -Infinity, with zero gradient, where there is nothing above it. */
  logSumExp(axes?: number | readonly number[], options?: ReduceOptions): Tensor {
    return softmax.logSumExp(this, axes, options);
  }
  /** Running sums along an axis. exclusive: they start at 0; reverse: from the end. */
  cumsum(axis: number, { exclusive = false, reverse = false } = {}): Tensor {
    return this.#unary(reductions.cumsum(axisOf("cumsum", axis, this), exclusive, reverse));
  }
  /** Rows of -Infinity give zeros with zero gradient. */
  softmax(axis = -1): Tensor {
    return softmax.softmax(this, axis);
  }
  /** Rows of -Infinity stay so, with zero gradient. */
  logSoftmax(axis = -1): Tensor {
    return softmax.logSoftmax(this, axis);
  }

  // Products

  /** Matrix product over the last two axes; leading axes broadcast; vectors as PyTorch has them. */
  matmul(y: Tensor): Tensor {
    return matmul(this, y);
  }

  // Movement: views wherever possible

  /** One size may be -1: what is left. */
  reshape(shape: readonly number[]): Tensor {
    return apply(movement.reshape(shaping.inferSize(this, shape)), this);
  }
  /** axes[i] is the axis that becomes axis i. */
  permute(axes: readonly number[]): Tensor {
    requireList("permute", axes);
    const list = axes.map((axis) => axisOf("permute", axis, this));
    if (list.length !== this.shape.length || new Set(list).size !== list.length)
      throw new RangeError(`permute: axes ${formatShape(axes)} do not name each axis of ${formatShape(this.shape)} once`);
    return apply(movement.permute(list), this);
  }
  /** Swaps two axes, the last two unless said otherwise. */
  transpose(a = -2, b = -1): Tensor {
    const [i, j] = [axisOf("transpose", a, this), axisOf("transpose", b, this)];
    return apply(movement.permute(this.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis))), this);
  }
  /** Stretches axes of size 1 (and adds leading ones) without copying. */
  broadcastTo(shape: readonly number[]): Tensor {
    checkShape("broadcastTo", shape);
    return sameShape(shape, this.shape) ? this : apply(movement.broadcastTo(shape), this);
  }
  /** One [start, stop] per axis, or null for all of it; negative numbers count from the end. Axes not given are whole. */
  slice(...ranges: readonly (readonly [number, number?] | null)[]): Tensor {
    const [start, stop] = shaping.ranges(this, ranges);
    return apply(movement.slice(start, stop), this);
  }
  /** start <= index < stop along one axis. */
  narrow(axis: number, start: number, stop: number): Tensor {
    const at = axisOf("narrow", axis, this);
    return this.slice(...this.shape.map((n, i): [number, number] => (i === at ? [start, stop] : [0, n])));
  }
  /** Equal parts, or parts of the given sizes, along an axis. */
  split(parts: number | readonly number[], axis = 0): Tensor[] {
    return shaping.split(this, parts, axis);
  }
  /** widths[i] = [before, after] of axis i; missing ones are [0, 0]. */
  pad(widths: readonly (readonly [number, number])[], value = 0): Tensor {
    return apply(movement.pad(shaping.padWidths(this, widths), value), this);
  }
  /** Reads axes backwards: all of them unless named. */
  flip(axes?: number | readonly number[]): Tensor {
    return apply(movement.flip(axesOf("flip", axes, this)), this);
  }
  /** repeats[i] copies along axis i; a longer list adds leading axes. */
  tile(repeats: readonly number[]): Tensor {
    return shaping.tile(this, repeats);
  }
  /** A new axis of size 1, which will be axis `axis`. */
  unsqueeze(axis: number): Tensor {
    const at = axisOf("unsqueeze", axis, { shape: [1, ...this.shape] });
    return this.reshape([...this.shape.slice(0, at), 1, ...this.shape.slice(at)]);
  }
  /** Without that axis, whose size must be 1. */
  squeeze(axis: number): Tensor {
    const at = axisOf("squeeze", axis, this);
    if (this.shape[at] !== 1) throw new RangeError(`squeeze: axis ${axis} of ${formatShape(this.shape)} has size ${this.shape[at]}, not 1`);
    return this.reshape(this.shape.filter((_, i) => i !== at));
  }
  /** The lower triangle of the last two axes: column - row <= diagonal. */
  tril(diagonal = 0): Tensor {
    return shaping.triangle(this, diagonal, "lower");
  }
  /** The upper triangle: column - row >= diagonal. */
  triu(diagonal = 0): Tensor {
    return shaping.triangle(this, diagonal, "upper");
  }
  /** Elements one after the other in memory; itself where they are. */
  contiguous(): Tensor {
    return isContiguous(this.shape, this.strides) ? this : apply(movement.contiguous, this);
  }
  /** In another dtype. To int32: towards zero. Gradients are cast back; through int32 none flows. */
  cast(dtype: DType): Tensor {
    return dtype === this.dtype ? this : shaping.cast(this, dtype);
  }
  /** Widened to `dtype` if it is narrower: bfloat16 becomes float32, float64 stays. */
  atLeast(dtype: "float32" | "float64"): Tensor {
    return shaping.atLeast(this, dtype);
  }
  /** A copy on another device, as a constant. */
  to(backend: Backend): Tensor {
    return read.moveTo(this, backend);
  }

  // Rows by index (int32, no gradient)

  /** [N, ...D] -> [...index.shape, ...D]; rows may repeat. */
  takeRows(index: Tensor): Tensor {
    checkHostIndex("takeRows", index, 0, this.shape[0] ?? 0);
    return widened("takeRows", [this, index], (x, i) => apply(rows.takeRows, x, i));
  }
  /** Adjoint of takeRows: rows of the same index are added up into `count` rows. */
  addRows(index: Tensor, count: number): Tensor {
    checkShape("addRows", [count]);
    checkHostIndex("addRows", index, 0, count);
    return widened("addRows", [this, index], (g, i) => apply(rows.addRows(count), g, i));
  }
  /** out[..., i, ...] = x[..., index[..., i, ...], ...] along an axis. */
  takeAlong(index: Tensor, axis = -1): Tensor {
    const at = axisOf("takeAlong", axis, this);
    checkHostIndex("takeAlong", index, 0, this.shape[at]);
    return widened("takeAlong", [this, index], (x, i) => apply(rows.takeAlong(at), x, i));
  }
  /** Adjoint of takeAlong: adds these elements at `index` into `count` zeros along an axis. */
  addAlong(index: Tensor, axis: number, count: number): Tensor {
    const at = axisOf("addAlong", axis, this);
    checkShape("addAlong", [count]);
    checkHostIndex("addAlong", index, 0, count);
    return widened("addAlong", [this, index], (g, i) => apply(rows.addAlong(at, count), g, i));
  }
  /** This tensor plus `source` added at `index` along an axis. */
  scatterAdd(index: Tensor, source: Tensor, axis = 0): Tensor {
    return indexing.scatterAdd(this, index, source, axis);
  }
  /** [...] int32 -> [..., classes] float32 (or another dtype): 1 at the index; an index outside gives a row of zeros. */
  oneHot(classes: number, dtype: DType = "float32"): Tensor {
    return indexing.oneHot(this, classes, dtype);
  }

  // Order. NaN ranks below every number; equals keep their order.

  /** int32 places in ascending order: x.takeAlong(x.argsort(axis), axis) is sorted. */
  argsort(axis = -1, { descending = false } = {}): Tensor {
    return indexing.alongLast(this, "argsort", axis, rows.argsort(descending));
  }
  /** The sorted values, through which gradient flows, and where they stood. */
  sort(axis = -1, { descending = false } = {}): { values: Tensor; indices: Tensor } {
    const indices = this.argsort(axis, { descending });
    return { values: this.takeAlong(indices, axis), indices };
  }
  /** The place of each element in the sorted order. */
  rank(axis = -1, { descending = false } = {}): Tensor {
    return indexing.alongLast(this, "rank", axis, rows.rank(descending));
  }
  /** The k largest, largest first; gradient flows to the values. */
  topK(k: number, axis = -1): { values: Tensor; indices: Tensor } {
    const indices = indexing.alongLast(this, "topK", axis, rows.topK(k));
    return { values: this.takeAlong(indices, axis), indices };
  }
  /** Inverse of a partial injection along the last axis: where each of 0..count-1 stands, or -1. */
  invert(count: number): Tensor {
    checkShape("invert", [count]);
    checkHostIndex("invert", this, -1, count);
    return apply(rows.invert(count), this);
  }
  /** How many earlier elements along the last axis are equal; -1 for negative ones. */
  countEarlier(): Tensor {
    return apply(rows.countEarlier, this);
  }
  /** How often each of 0..count-1 occurs along the last axis. */
  bincount(count: number): Tensor {
    checkShape("bincount", [count]);
    return apply(rows.bincount(count), this);
  }
}
