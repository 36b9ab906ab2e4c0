/**
 * The reference backend: plain loops over typed arrays, on one thread, in float32 and float64.
 *
 * The class allocates, opens and launches; the kernels are in the files beside it and know typed arrays and strides alone. A backend
 * whose memory the host can open too, such as a WebAssembly memory, extends this class: it overrides `newBuffer`, `open` and `free`, and
 * those kernels for which it has faster ones.
 */
import { BackendError } from "../backend.ts";
import { toBfloat16Bits } from "../bfloat16.ts";
import { placesOf, withRow } from "../indices.ts";
import { MemoryAccount } from "../memoryAccount.ts";
import { formatShape, isContiguous, sizeOf } from "../shape.ts";
import * as elementwise from "./elementwise.ts";
import { fusedKernels } from "./fused.ts";
import * as grouped from "./grouped.ts";
import { matmul } from "./matmul.ts";
import * as movement from "./movement.ts";
import { newArray, Pool } from "./pool.ts";
import * as order from "./order.ts";
import * as random from "./random.ts";
import * as reductions from "./reduce.ts";
import * as rows from "./rows.ts";
import type {
  ArgReduceOp,
  ArrayType,
  Backend,
  BackendStats,
  BinaryOp,
  Buffer,
  DType,
  FusedKernels,
  NDArray,
  ReduceOp,
  TypedArray,
  UnaryOp,
} from "../backend.ts";
import type { Strided } from "./strided.ts";

export const bytesPerElement: Record<DType, number> = { float32: 4, float64: 8, int32: 4, bfloat16: 2 };

/** Computes one result from opened inputs; `ListKernel` takes them as a list. */
export type Kernel = (out: TypedArray, ...inputs: Strided[]) => void;
export type ListKernel = (out: TypedArray, inputs: readonly Strided[]) => void;

class CpuBuffer implements Buffer {
  readonly bytes: number;
  readonly dtype: DType;
  #data: TypedArray | undefined;

  constructor(dtype: DType, data: TypedArray) {
    this.dtype = dtype;
    this.#data = data;
    this.bytes = data.byteLength;
  }

  open(): TypedArray {
    if (this.#data === undefined) throw new BackendError(`cpu: a buffer of ${this.bytes} bytes was freed before`);
    return this.#data;
  }

  /** Takes the memory out of the buffer, which is then freed. */
  close(): TypedArray {
    const data = this.open();
    this.#data = undefined;
    return data;
  }
}

/** The buffer as one of this backend. Throws for a buffer of another. */
function own(buffer: Buffer): CpuBuffer {
  if (buffer instanceof CpuBuffer) return buffer;
  throw new BackendError(`cpu: a buffer of ${buffer.bytes} bytes belongs to another backend`);
}

/** float32, float64, int32 and bfloat16; every kernel of the contract. A buffer of another backend, or a freed one, is a BackendError. */
export class CpuBackend implements Backend {
  readonly name: string = "cpu";
  readonly description: string = "plain TypeScript, one thread";
  readonly dtypes: ReadonlySet<DType> = new Set<DType>(["float32", "float64", "int32", "bfloat16"]);
  readonly fused: FusedKernels = fusedKernels({
    launch: (name, out, inputs, kernel) => this.launch(name, out, inputs, kernel),
    update: (name, inputs, kernel) => this.update(name, inputs, kernel),
    free: (buffer) => this.free(buffer),
  });

  protected readonly account = new MemoryAccount();
  readonly #pool = new Pool();

  // Memory: what a subclass replaces.

  /** Room for an array of `type`; its contents are undefined. */
  protected allocate({ shape, dtype }: ArrayType): Buffer {
    return new CpuBuffer(dtype, this.#pool.take(dtype, sizeOf(shape)));
  }

  /** The memory of `buffer`, from its first element on. Opened anew by each kernel, because memory may move when it grows. */
  protected open(buffer: Buffer, _dtype: DType): TypedArray {
    return own(buffer).open();
  }

  /** Takes the memory of `buffer` back, for reuse. */
  protected release(buffer: Buffer): void {
    const memory = own(buffer).close();
    this.#pool.give(own(buffer).dtype, memory, this.account.belowPeak + memory.byteLength);
  }

  // Launching

  /** A new buffer, counted. */
  protected newBuffer(type: ArrayType): Buffer {
    const buffer = this.allocate(type);
    this.account.allocated(buffer.bytes);
    return buffer;
  }

  /** Runs `kernel` into a new buffer. */
  protected launch(name: string, out: ArrayType, inputs: readonly NDArray[], kernel: Kernel): Buffer {
    return this.launchList(name, out, inputs, (o, views) => kernel(o, ...views));
  }

  /** The same for a list of any length. Everything is allocated before anything is opened; where the kernel throws, nothing stays. */
  protected launchList(name: string, out: ArrayType, inputs: readonly NDArray[], kernel: ListKernel): Buffer {
    const buffer = this.newBuffer(out);
    try {
      this.run(name, () =>
        kernel(
          this.open(buffer, out.dtype),
          inputs.map((x) => this.view(x)),
        ),
      );
    } catch (error) {
      this.free(buffer);
      throw error;
    }
    return buffer;
  }

  onHost(name: string, out: ArrayType, inputs: readonly NDArray[], fill: (out: TypedArray, ...inputs: TypedArray[]) => void): Buffer {
    const buffer = this.newBuffer(out); // memory may move when it grows: everything is allocated before anything is opened
    const copies = inputs.map((x) => (isContiguous(x.shape, x.strides) ? null : this.copy(x, x)));
    const opened = inputs.map((x, i) => {
      const copy = copies[i];
      return copy ? this.open(copy, x.dtype) : this.open(x.buffer, x.dtype).subarray(x.offset, x.offset + sizeOf(x.shape));
    });
    try {
      this.run(name, () => fill(this.open(buffer, out.dtype), ...opened));
    } catch (error) {
      this.free(buffer);
      throw error;
    } finally {
      for (const copy of copies) if (copy) this.free(copy);
    }
    return buffer;
  }

  /** Runs `kernel` on inputs that it changes in place. */
  protected update(name: string, inputs: readonly NDArray[], kernel: (...inputs: Strided[]) => void): void {
    this.run(name, () => kernel(...inputs.map((x) => this.view(x))));
  }

  /** Runs one launched kernel at once. A subclass that runs it later needs `_name` for its errors. */
  protected run(_name: string, kernel: () => void): void {
    this.account.launched();
    kernel();
  }

  protected view(x: NDArray): Strided {
    return { data: this.open(x.buffer, x.dtype), shape: x.shape, strides: x.strides, offset: x.offset };
  }

  // Data

  upload(type: ArrayType, data: TypedArray): Buffer {
    if (data.length !== sizeOf(type.shape)) {
      throw new BackendError(`upload: ${data.length} elements for shape ${formatShape(type.shape)}, which has ${sizeOf(type.shape)}`);
    }
    const buffer = this.newBuffer(type);
    this.open(buffer, type.dtype).set(data);
    return buffer;
  }

  full(out: ArrayType, value: number): Buffer {
    return this.launch("full", out, [], (o) => o.fill(stored(out.dtype, value)));
  }

  async download(buffer: Buffer, type: ArrayType): Promise<TypedArray> {
    return this.downloadSync(buffer, type);
  }

  downloadSync(buffer: Buffer, type: ArrayType): TypedArray {
    const n = sizeOf(type.shape);
    const copy = newArray(type.dtype, n);
    copy.set(this.open(buffer, type.dtype).subarray(0, n));
    return copy;
  }

  free(buffer: Buffer): void {
    this.release(buffer);
    this.account.freed(buffer.bytes);
  }

  stats(): BackendStats {
    return this.account.stats();
  }

  // Elementwise

  unary(op: UnaryOp, out: ArrayType, x: NDArray): Buffer {
    return this.launch(op, out, [x], (o, xv) => elementwise.unary(op, o, xv));
  }

  binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return this.launch(op, out, [x, y], (o, xv, yv) => elementwise.binary(op, o, out.shape, xv, yv));
  }

  select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer {
    return this.launch("select", out, [condition, x, y], (o, cv, xv, yv) => elementwise.select(o, out.shape, cv, xv, yv));
  }

  cast(out: ArrayType, x: NDArray): Buffer {
    return this.launch("cast", out, [x], (o, xv) => elementwise.cast(o, xv));
  }

  // Reductions

  reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
    return this.launch(op, out, [x], (o, xv) => reductions.reduce(op, o, xv, axes));
  }

  argReduce(op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer {
    return this.launch(op, out, [x], (o, xv) => reductions.argReduce(op, o, xv, axis));
  }

  cumsum(out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer {
    return this.launch("cumsum", out, [x], (o, xv) => reductions.cumsum(o, xv, axis, exclusive, reverse));
  }

  matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return this.launch("matmul", out, [x, y], (o, xv, yv) => matmul(o, out.shape, xv, yv));
  }

  // Movement

  copy(out: ArrayType, x: NDArray): Buffer {
    return this.launch("copy", out, [x], (o, xv) => movement.copy(o, xv));
  }

  pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer {
    return this.launch("pad", out, [x], (o, xv) => movement.pad(o, out.shape, xv, before, stored(out.dtype, value)));
  }

  place(into: NDArray, x: NDArray): void {
    this.update("place", [into, x], (target, xv) => movement.place(target.data, target, xv));
  }

  concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer {
    return this.launchList("concat", out, xs, (o, views) => movement.concat(o, out.shape, views, axis));
  }

  // Order

  argsort(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return this.launch("argsort", out, [withRow(x)], (o, xv) => order.argsort(o, xv, descending));
  }

  rank(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return this.launch("rank", out, [withRow(x)], (o, xv) => order.rank(o, xv, descending));
  }

  topK(out: ArrayType, x: NDArray): Buffer {
    const k = placesOf("topK", out, x);
    return this.launch("topK", out, [withRow(x)], (o, xv) => order.topK(o, xv, k));
  }

  // Rows by index

  gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return this.launch("gatherRows", out, [x, index], (o, xv, iv) => rows.gatherRows(o, xv, iv));
  }

  takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return this.launch("takeRows", out, [x, index], (o, xv, iv) => rows.takeRows(o, xv, iv));
  }

  addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer {
    return this.launch("addRows", out, [g, index], (o, gv, iv) => rows.addRows(o, out.shape, gv, iv));
  }

  takeAlong(out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer {
    return this.launch("takeAlong", out, [x, index], (o, xv, iv) => rows.takeAlong(o, xv, iv, axis));
  }

  addAlong(out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer {
    return this.launch("addAlong", out, [g, index], (o, gv, iv) => rows.addAlong(o, out.shape, gv, iv, axis));
  }

  invert(out: ArrayType, index: NDArray): Buffer {
    return this.launch("invert", out, [withRow(index)], (o, iv) => rows.invert(o, out.shape[out.shape.length - 1], iv));
  }

  countEarlier(out: ArrayType, key: NDArray): Buffer {
    return this.launch("countEarlier", out, [withRow(key)], (o, kv) => rows.countEarlier(o, kv));
  }

  bincount(out: ArrayType, key: NDArray): Buffer {
    return this.launch("bincount", out, [withRow(key)], (o, kv) => rows.bincount(o, out.shape[out.shape.length - 1], kv));
  }

  // Rows sorted by expert

  groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer {
    return this.launch("groupedMatmul", out, [x, weight, offsets], (o, xv, wv, ov) => grouped.groupedMatmul(o, xv, wv, ov));
  }

  groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer {
    return this.launch("groupedOuter", out, [x, y, offsets], (o, xv, yv, ov) => grouped.groupedOuter(o, xv, yv, ov));
  }

  uniform(out: ArrayType, rounds: readonly number[]): Buffer {
    const n = sizeOf(out.shape);
    if (n > random.maxUniform)
      throw new BackendError(`uniform: ${formatShape(out.shape)} has ${n} elements, the generator has ${random.maxUniform}`);
    return this.launch("uniform", out, [], (o) => random.uniform(o, rounds));
  }
}

/** What stands in an array of `dtype` for the number `value`. */
function stored(dtype: DType, value: number): number {
  return dtype === "bfloat16" ? toBfloat16Bits(value) : value;
}
