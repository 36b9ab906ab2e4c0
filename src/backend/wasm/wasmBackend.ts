/**
 * The WebAssembly backend. It keeps its arrays in one linear memory, where the reference loops can open them too. So every kernel of the
 * contract works in every dtype, and those that take most time have assembled kernels in float32 and int32.
 *
 * How a call of the contract becomes launches stands in the files beside this one, in functions that take the launcher; where one answers
 * `undefined`, the reference loop runs.
 */
import type { ArgReduceOp, ArrayType, BinaryOp, Buffer, DType, FusedKernels, NDArray, ReduceOp, TypedArray, UnaryOp } from "../backend.ts";
import { CpuBackend } from "../cpu/cpuBackend.ts";
import { fusedKernels as referenceFused } from "../cpu/fused.ts";
import * as elementwise from "./elementwise.ts";
import { fusedKernels } from "./fused.ts";
import * as grouped from "./grouped.ts";
import { Launcher } from "./launcher.ts";
import type { Heap } from "./memory.ts";
import * as movement from "./movement.ts";
import * as order from "./order.ts";
import { matmul } from "./products.ts";
import { uniform } from "./random.ts";
import * as reductions from "./reductions.ts";
import * as rows from "./rows.ts";
import type { Threads } from "./threads.ts";

/** float32 and int32 on assembled kernels, the other dtypes on the reference loops. `close()` ends its threads. */
export class WasmBackend extends CpuBackend {
  override readonly name: string = "wasm";
  /** The garbage collector does not count the linear memory: an eighth of each tensor is made visible to it. */
  readonly ballast = 1 / 8;
  override readonly description: string;
  override readonly fused: FusedKernels;
  readonly #heap: Heap;
  readonly #threads: Threads;
  readonly #launcher: Launcher;

  /** Use `wasm()`, which compiles the kernels and starts the threads. */
  constructor(heap: Heap, threads: Threads, description: string) {
    super();
    this.#heap = heap;
    this.#threads = threads;
    this.#launcher = new Launcher(heap, threads, this.account, (x) => this.copy(x, x));
    this.description = description;
    this.fused = fusedKernels(
      this.#launcher,
      referenceFused({
        launch: (name, out, inputs, kernel) => this.launch(name, out, inputs, kernel),
        update: (name, inputs, kernel) => this.update(name, inputs, kernel),
        free: (buffer) => this.free(buffer),
      }),
    );
  }

  /** How many threads compute, the calling one included. */
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

  protected override newBuffer(type: ArrayType): Buffer {
    return this.#launcher.newBuffer(type);
  }

  protected override open(buffer: Buffer, dtype: DType): TypedArray {
    return this.#launcher.open(buffer, dtype);
  }

  override free(buffer: Buffer): void {
    this.#launcher.free(buffer);
  }

  /** A reference loop. */
  protected override run(name: string, kernel: () => void): void {
    super.run(name, kernel);
    this.#heap.check(name);
  }

  // Elementwise

  override unary(op: UnaryOp, out: ArrayType, x: NDArray): Buffer {
    return elementwise.unary(this.#launcher, op, out, x) ?? super.unary(op, out, x);
  }

  override binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return elementwise.binary(this.#launcher, op, out, x, y) ?? super.binary(op, out, x, y);
  }

  override select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer {
    return elementwise.select(this.#launcher, out, condition, x, y) ?? super.select(out, condition, x, y);
  }

  override cast(out: ArrayType, x: NDArray): Buffer {
    return elementwise.cast(this.#launcher, out, x) ?? super.cast(out, x);
  }

  // Reductions

  override reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
    return reductions.reduce(this.#launcher, op, out, x, axes) ?? super.reduce(op, out, x, axes);
  }

  override argReduce(op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer {
    return reductions.argReduce(this.#launcher, op, out, x, axis) ?? super.argReduce(op, out, x, axis);
  }

  override cumsum(out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer {
    return reductions.cumsum(this.#launcher, out, x, axis, exclusive, reverse) ?? super.cumsum(out, x, axis, exclusive, reverse);
  }

  // Products

  override matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return matmul(this.#launcher, out, x, y) ?? super.matmul(out, x, y);
  }

  override groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer {
    return grouped.groupedMatmul(this.#launcher, out, x, weight, offsets) ?? super.groupedMatmul(out, x, weight, offsets);
  }

  override groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer {
    return grouped.groupedOuter(this.#launcher, out, x, y, offsets) ?? super.groupedOuter(out, x, y, offsets);
  }

  // Movement

  override copy(out: ArrayType, x: NDArray): Buffer {
    return movement.copy(this.#launcher, out, x) ?? super.copy(out, x);
  }

  override pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer {
    return movement.pad(this.#launcher, out, x, before, value) ?? super.pad(out, x, before, value);
  }

  override place(into: NDArray, x: NDArray): void {
    if (!movement.place(this.#launcher, into, x)) super.place(into, x);
  }

  override concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer {
    return movement.concat(this.#launcher, out, xs, axis) ?? super.concat(out, xs, axis);
  }

  // Order, and counting

  override argsort(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.first(this.#launcher, out, x, descending) ?? super.argsort(out, x, descending);
  }

  override rank(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.rank(this.#launcher, out, x, descending) ?? super.rank(out, x, descending);
  }

  override topK(out: ArrayType, x: NDArray): Buffer {
    return order.first(this.#launcher, out, x, true) ?? super.topK(out, x);
  }

  override invert(out: ArrayType, index: NDArray): Buffer {
    return order.invert(this.#launcher, out, index) ?? super.invert(out, index);
  }

  override countEarlier(out: ArrayType, key: NDArray): Buffer {
    return order.countEarlier(this.#launcher, out, key) ?? super.countEarlier(out, key);
  }

  override bincount(out: ArrayType, key: NDArray): Buffer {
    return order.bincount(this.#launcher, out, key) ?? super.bincount(out, key);
  }

  // Rows by index

  override gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return rows.gatherRows(this.#launcher, out, x, index) ?? super.gatherRows(out, x, index);
  }

  override takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    return rows.takeRows(this.#launcher, out, x, index) ?? super.takeRows(out, x, index);
  }

  override addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer {
    return rows.addRows(this.#launcher, out, g, index) ?? super.addRows(out, g, index);
  }

  override takeAlong(out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer {
    return rows.takeAlong(this.#launcher, out, x, index, axis) ?? super.takeAlong(out, x, index, axis);
  }

  override addAlong(out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer {
    return rows.addAlong(this.#launcher, out, g, index, axis) ?? super.addAlong(out, g, index, axis);
  }

  // Random numbers

  override uniform(out: ArrayType, rounds: readonly number[]): Buffer {
    return uniform(this.#launcher, out, rounds) ?? super.uniform(out, rounds);
  }
}
