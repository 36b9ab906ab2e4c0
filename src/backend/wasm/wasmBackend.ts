/**
 * The WebAssembly backend. It keeps its arrays in one linear memory, where the reference loops can open them too: so every kernel of
 * the contract works from the start, in every dtype, and the ones that cost time are replaced, one by one, by assembled kernels.
 *
 * What stands here is memory and launching. How a kernel of the contract becomes launches, stands in the files beside this one, in functions
 * that take the backend; where one answers `undefined`, the reference loop runs.
 */
import { BackendError } from "../backend.ts";
import type { ArgReduceOp, ArrayType, BinaryOp, Buffer, DType, FusedKernels, NDArray, ReduceOp, TypedArray, UnaryOp } from "../backend.ts";
import { bytesPerElement, CpuBackend } from "../cpu/cpuBackend.ts";
import { fusedKernels as referenceFused } from "../cpu/fused.ts";
import { isContiguous, sizeOf } from "../shape.ts";
import * as elementwise from "./elementwise.ts";
import { fusedKernels } from "./fused.ts";
import * as grouped from "./grouped.ts";
import type { Heap } from "./memory.ts";
import * as movement from "./movement.ts";
import * as order from "./order.ts";
import { matmul } from "./products.ts";
import { uniform } from "./random.ts";
import * as reductions from "./reductions.ts";
import * as rows from "./rows.ts";
import type { Threads } from "./threads.ts";

class WasmBuffer implements Buffer {
  readonly bytes: number;
  readonly address: number;
  freed = false;

  constructor(bytes: number, address: number) {
    this.bytes = bytes;
    this.address = address;
  }
}

/** Below this much work, in units of about a nanosecond, waking other threads costs more than they save. */
const PARALLEL_FROM = 20_000;

/** float32 and int32 on assembled kernels, the other dtypes on the reference loops. `close()` ends its threads. */
export class WasmBackend extends CpuBackend {
  override readonly name: string = "wasm";
  /** The collector does not see the linear memory; so much of it, it shall feel. */
  readonly ballast = 1 / 8;
  override readonly description: string;
  override readonly fused: FusedKernels = fusedKernels(
    this,
    referenceFused({
      launch: (name, out, inputs, kernel) => this.launch(name, out, inputs, kernel),
      update: (name, inputs, kernel) => this.update(name, inputs, kernel),
      free: (buffer) => this.free(buffer),
    }),
  );
  readonly #heap: Heap;
  readonly #threads: Threads;

  /** Use `wasm()`, which compiles the kernels and starts the threads. */
  constructor(heap: Heap, threads: Threads, description: string) {
    super();
    this.#heap = heap;
    this.#threads = threads;
    this.description = description;
  }

  get threads(): number {
    return this.#threads.count;
  }

  /** Bytes of the linear memory, which never shrinks. */
  get memoryBytes(): number {
    return this.#heap.memory.buffer.byteLength;
  }

  /** Ends the worker threads; the backend cannot be used any more. */
  close(): void {
    this.#threads.stop();
  }

  // Memory

  protected override allocate({ shape, dtype }: ArrayType): Buffer {
    const bytes = sizeOf(shape) * bytesPerElement[dtype];
    return new WasmBuffer(bytes, this.#heap.allocate(bytes));
  }

  protected override open(buffer: Buffer, dtype: DType): TypedArray {
    const { address, bytes } = this.#own(buffer);
    const n = bytes / bytesPerElement[dtype];
    const memory = this.#heap.memory.buffer;
    if (dtype === "float32") return new Float32Array(memory, address, n);
    if (dtype === "float64") return new Float64Array(memory, address, n);
    return dtype === "int32" ? new Int32Array(memory, address, n) : new Uint16Array(memory, address, n);
  }

  protected override release(buffer: Buffer): void {
    const own = this.#own(buffer);
    own.freed = true;
    this.#heap.release(own.address, own.bytes);
  }

  #own(buffer: Buffer): WasmBuffer {
    if (!(buffer instanceof WasmBuffer)) throw new BackendError(`wasm: the buffer (${buffer.bytes} bytes) belongs to another backend`);
    if (buffer.freed) throw new BackendError(`wasm: the buffer (${buffer.bytes} bytes) was freed`);
    return buffer;
  }

  // For kernels and the functions that launch them

  /** Where the first element of `x` lies. */
  address(x: NDArray): number {
    return this.#own(x.buffer).address + x.offset * bytesPerElement[x.dtype];
  }

  addressOf(buffer: Buffer): number {
    return this.#own(buffer).address;
  }

  /** The elements of a buffer, for the host. */
  read(x: NDArray): TypedArray {
    return this.open(x.buffer, x.dtype);
  }

  /** Runs a kernel over `items` items, on all threads if the work (about nanoseconds) is worth it. */
  start(kernel: string, items: number, work: number, ...given: number[]): void {
    this.run(kernel, () => {
      if (items > 0) this.#threads.run(kernel, items, given, work >= PARALLEL_FROM);
    });
  }

  /** A new buffer that `fill` fills. */
  make(out: ArrayType, fill: (address: number) => void): Buffer {
    const buffer = this.newBuffer(out);
    fill(this.addressOf(buffer));
    return buffer;
  }

  /** A cotangent, if it is needed; else null, and its memory is free. */
  keep(buffer: Buffer, needed: boolean | undefined): Buffer | null {
    if (needed) return buffer;
    this.free(buffer);
    return null;
  }

  /** Sets `n` float32 at `address` to 0. */
  zero(address: number, n: number): void {
    new Float32Array(this.#heap.memory.buffer, address, n).fill(0);
  }

  /** Memory for the duration of `use`, outside the books. */
  scratch<T>(bytes: number, use: (address: number) => T): T {
    const address = this.#heap.allocate(bytes);
    try {
      return use(address);
    } finally {
      this.#heap.release(address, bytes);
    }
  }

  /** `use` with the address of each array's elements in row-major order; those that lie otherwise are copied for that long. */
  contiguous<T>(arrays: readonly NDArray[], use: (...addresses: number[]) => T): T {
    const copies: Buffer[] = [];
    const addresses = arrays.map((x) => {
      if (isContiguous(x.shape, x.strides)) return this.address(x);
      const copy = this.copy(x, x);
      copies.push(copy);
      return this.addressOf(copy);
    });
    try {
      return use(...addresses);
    } finally {
      for (const copy of copies) this.free(copy);
    }
  }

  // Elementwise

  override unary(op: UnaryOp, out: ArrayType, x: NDArray): Buffer {
    return elementwise.unary(this, op, out, x) ?? super.unary(op, out, x);
  }

  override binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return elementwise.binary(this, op, out, x, y) ?? super.binary(op, out, x, y);
  }

  override select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer {
    return elementwise.select(this, out, condition, x, y) ?? super.select(out, condition, x, y);
  }

  override cast(out: ArrayType, x: NDArray): Buffer {
    return elementwise.cast(this, out, x) ?? super.cast(out, x);
  }

  // Reductions

  override reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
    return reductions.reduce(this, op, out, x, axes) ?? super.reduce(op, out, x, axes);
  }

  override argReduce(op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer {
    return reductions.argReduce(this, op, out, x, axis) ?? super.argReduce(op, out, x, axis);
  }

  override cumsum(out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer {
    return reductions.cumsum(this, out, x, axis, exclusive, reverse) ?? super.cumsum(out, x, axis, exclusive, reverse);
  }

  // Products

  override matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return matmul(this, out, x, y) ?? super.matmul(out, x, y);
  }

  override groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer {
    return grouped.groupedMatmul(this, out, x, weight, offsets) ?? super.groupedMatmul(out, x, weight, offsets);
  }

  override groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer {
    return grouped.groupedOuter(this, out, x, y, offsets) ?? super.groupedOuter(out, x, y, offsets);
  }

  // Movement

  override copy(out: ArrayType, x: NDArray): Buffer {
    return movement.copy(this, out, x) ?? super.copy(out, x);
  }

  override pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer {
    return movement.pad(this, out, x, before, value) ?? super.pad(out, x, before, value);
  }

  override concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer {
    return movement.concat(this, out, xs, axis) ?? super.concat(out, xs, axis);
  }

  // Order, and counting

  override argsort(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.first(this, out, x, descending) ?? super.argsort(out, x, descending);
  }

  override rank(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.rank(this, out, x, descending) ?? super.rank(out, x, descending);
  }

  override topK(out: ArrayType, x: NDArray): Buffer {
    return order.first(this, out, x, true) ?? super.topK(out, x);
  }

  override invert(out: ArrayType, index: NDArray): Buffer {
    return order.invert(this, out, index) ?? super.invert(out, index);
  }

  override countEarlier(out: ArrayType, key: NDArray): Buffer {
    return order.countEarlier(this, out, key) ?? super.countEarlier(out, key);
  }

  override bincount(out: ArrayType, key: NDArray): Buffer {
    return order.bincount(this, out, key) ?? super.bincount(out, key);
  }

  // Rows by index

  override gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return rows.gather(this, out, x, index, index.shape[1]) ?? super.gatherRows(out, x, index);
  }

  override takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return rows.gather(this, out, x, index, 1) ?? super.takeRows(out, x, index);
  }

  override addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer {
    return rows.addRows(this, out, g, index) ?? super.addRows(out, g, index);
  }

  override takeAlong(out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer {
    return rows.takeAlong(this, out, x, index, axis) ?? super.takeAlong(out, x, index, axis);
  }

  override addAlong(out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer {
    return rows.addAlong(this, out, g, index, axis) ?? super.addAlong(out, g, index, axis);
  }

  // Random numbers

  override uniform(out: ArrayType, rounds: readonly number[]): Buffer {
    return uniform(this, out, rounds) ?? super.uniform(out, rounds);
  }
}
