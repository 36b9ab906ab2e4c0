/**
 * The WebAssembly backend. It keeps its arrays in one linear memory, where the reference loops can open them too: so every kernel of
 * the contract works from the start, in every dtype, and the ones that cost time are replaced, one by one, by assembled kernels.
 *
 * What stands here is the way from strided views to the plain layouts that kernels know: axes that lie one behind the other are
 * merged, and what then still has no pattern is copied first.
 */
import { BackendError } from "../backend.ts";
import type { ArrayType, BinaryOp, Buffer, DType, FusedKernels, NDArray, ReduceOp, TypedArray, UnaryOp } from "../backend.ts";
import { CpuBackend } from "../cpu/cpuBackend.ts";
import { fusedKernels as referenceFused } from "../cpu/fused.ts";
import { maxUniform } from "../cpu/random.ts";
import { mergeAxes } from "../cpu/strided.ts";
import { broadcastStrides, isContiguous, sameShape, sizeOf, stridesOf } from "../shape.ts";
import type { Shape } from "../shape.ts";
import { fusedKernels } from "./fused.ts";
import { binaryFunctions, unaryFunctions } from "./kernels/elementwise.ts";
import type { Heap } from "./memory.ts";
import { matmulPlan, multiply, packed } from "./products.ts";
import type { Matrix } from "./products.ts";
import type { Threads } from "./threads.ts";

const bytesPerElement: Record<DType, number> = { float32: 4, float64: 8, int32: 4, bfloat16: 2 };

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

/** Vectors of four in `n` elements. */
const vectors = (n: number): number => Math.ceil(n / 4);

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
    if (x.dtype !== "float32" || !(op in unaryFunctions)) return super.unary(op, out, x);
    const n = vectors(sizeOf(x.shape));
    return this.contiguous([x], (from) => this.make(out, (to) => this.start(op, n, 4 * n, to, from)));
  }

  override binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer {
    if (x.dtype !== "float32" || !(op in binaryFunctions) || sizeOf(out.shape) === 0) return super.binary(op, out, x, y);
    const left = stretched(x, out.shape);
    const right = stretched(y, out.shape);
    const { sizes, steps } = mergeAxes(out.shape, [{ strides: stridesOf(out.shape), offset: 0 }, left, right]);
    const inner = alongOf(steps[steps.length - 1]);
    if (inner && sizes.length <= 3)
      return this.make(out, (to) => this.#binaryPattern(`${op}_${inner}`, sizes, steps, to, this.address(x), this.address(y)));
    if (!inner && sizes.length === 1) return super.binary(op, out, x, y);
    const whole = sizeOf(out.shape);
    return this.contiguous([left, right], (a, b) => this.make(out, (to) => this.start(`${op}_vv`, vectors(whole), whole, to, a, b)));
  }

  /** Merged axes [n], [rows, n] or [planes, rows, n]. */
  #binaryPattern(kernel: string, sizes: readonly number[], steps: readonly (readonly number[])[], to: number, x: number, y: number): void {
    const n = sizes[sizes.length - 1];
    if (sizes.length === 1) return this.start(kernel, vectors(n), n, to, x, y);
    const [rows] = sizes.slice(-2);
    const [, dx, dy] = steps[steps.length - 2];
    const planes = sizes.length === 3 ? sizes[0] : 1;
    const [, planeX, planeY] = steps[0];
    for (let p = 0; p < planes; p++) {
      this.start(`${kernel}_rows`, rows, rows * n, to + 4 * p * rows * n, x + 4 * p * planeX, y + 4 * p * planeY, n, 4 * dx, 4 * dy);
    }
  }

  override select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer {
    const n = sizeOf(out.shape);
    if (out.dtype !== "float32" || condition.dtype !== "float32" || n === 0) return super.select(out, condition, x, y);
    const operands = [condition, x, y].map((operand) => stretched(operand, out.shape));
    const single = operands.map(({ strides }) => n > 1 && strides.every((step, axis) => step === 0 || out.shape[axis] === 1));
    const listed = operands.map((operand, k) => (k > 0 && single[k] ? read(operand, [], []) : operand));
    const kernel = `select_${single[1] ? "s" : "v"}${single[2] ? "s" : "v"}`;
    return this.contiguous(listed, (...from) => this.make(out, (to) => this.start(kernel, vectors(n), n, to, ...from)));
  }

  override cast(out: ArrayType, x: NDArray): Buffer {
    const kernel = castKernels[`${x.dtype} ${out.dtype}`];
    if (!kernel || !isContiguous(x.shape, x.strides)) return super.cast(out, x);
    const n = sizeOf(x.shape);
    return this.make(out, (to) => this.start(kernel, vectors(n), n, to, this.address(x)));
  }

  // Reductions

  override reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
    if (x.dtype !== "float32" || sizeOf(x.shape) === 0) return super.reduce(op, out, x, axes);
    const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const rowsLast = permuted(x, [...kept, ...axes]);
    const rowsFirst = permuted(x, [...axes, ...kept]);
    const length = sizeOf(axes.map((axis) => x.shape[axis]));
    const count = sizeOf(out.shape);
    if (!isContiguous(rowsLast.shape, rowsLast.strides) && isContiguous(rowsFirst.shape, rowsFirst.strides)) {
      return this.make(out, (to) =>
        this.start(`${op}Columns`, Math.ceil(count / 16), (count * length) / 2, to, this.address(x), length, count),
      );
    }
    return this.contiguous([rowsLast], (from) =>
      this.make(out, (to) => this.start(`${op}Rows`, count, (count * length) / 2, to, from, length)),
    );
  }

  // Products

  override matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer {
    if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return super.matmul(out, x, y);
    return this.make(out, (to) => {
      for (const product of matmulPlan(this, to, out, x, y)) multiply(this, product);
    });
  }

  override groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer {
    if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return super.groupedMatmul(out, x, weight, offsets);
    const [rows, columns] = out.shape;
    const inner = x.shape[1];
    const bounds = this.#bounds(offsets);
    const weights: Matrix = {
      at: this.address(weight),
      batch: 4 * weight.strides[0],
      row: 4 * weight.strides[1],
      column: 4 * weight.strides[2],
    };
    return this.make(out, (to) => {
      this.#zeros(to, 0, bounds[0] * columns);
      this.#zeros(to, bounds[bounds.length - 1] * columns, rows * columns);
      packed(this, weights, bounds.length - 1, inner, columns, Math.ceil(rows / (bounds.length - 1)), (b, bBatch) => {
        for (let e = 0; e + 1 < bounds.length; e++) {
          const a: Matrix = {
            at: this.address(x) + 4 * bounds[e] * x.strides[0],
            batch: 0,
            row: 4 * x.strides[0],
            column: 4 * x.strides[1],
          };
          const c = { at: to + 4 * bounds[e] * columns, batch: 0, row: 4 * columns };
          multiply(this, { batch: 1, m: bounds[e + 1] - bounds[e], n: columns, k: inner, a, c, b: { ...b, at: b.at + e * bBatch } });
        }
      });
    });
  }

  override groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer {
    if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return super.groupedOuter(out, x, y, offsets);
    const [, m, n] = out.shape;
    const bounds = this.#bounds(offsets);
    return this.make(out, (to) => {
      for (let e = 0; e + 1 < bounds.length; e++) {
        const k = bounds[e + 1] - bounds[e];
        const a: Matrix = { at: this.address(x) + 4 * bounds[e] * x.strides[0], batch: 0, row: 4 * x.strides[1], column: 4 * x.strides[0] };
        const b: Matrix = { at: this.address(y) + 4 * bounds[e] * y.strides[0], batch: 0, row: 4 * y.strides[0], column: 4 * y.strides[1] };
        multiply(this, { batch: 1, m, n, k, a, b, c: { at: to + 4 * e * m * n, batch: 0, row: 4 * n } });
      }
    });
  }

  #bounds(offsets: NDArray): number[] {
    const words = this.read(offsets);
    return Array.from({ length: offsets.shape[0] }, (_, e) => words[offsets.offset + e * offsets.strides[0]]);
  }

  #zeros(address: number, from: number, to: number): void {
    this.zero(address + 4 * from, to - from);
  }

  /** Sets `n` float32 at `address` to 0. */
  zero(address: number, n: number): void {
    new Float32Array(this.#heap.memory.buffer, address, n).fill(0);
  }

  override uniform(out: ArrayType, rounds: readonly number[]): Buffer {
    const n = sizeOf(out.shape);
    if (out.dtype !== "float32" || n > maxUniform) return super.uniform(out, rounds);
    return this.make(out, (to) => this.start("uniform", vectors(n), 3 * n, to, ...rounds));
  }

  // Movement

  override copy(out: ArrayType, x: NDArray): Buffer {
    const plan = copyPlan(x, stridesOf(x.shape));
    return plan ? this.make(out, (to) => this.#copyTo(to, plan, x)) : super.copy(out, x);
  }

  override pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer {
    const strides = stridesOf(out.shape);
    const plan = out.dtype === "float32" ? copyPlan(x, strides) : undefined;
    if (!plan) return super.pad(out, x, before, value);
    const n = vectors(sizeOf(out.shape));
    return this.make(out, (to) => {
      this.start("fill", n, n, to, value);
      this.#copyTo(to + 4 * before.reduce((sum, skip, axis) => sum + skip * strides[axis], 0), plan, x);
    });
  }

  override concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer {
    const strides = stridesOf(out.shape);
    const present = xs.filter((x) => sizeOf(x.shape) > 0);
    const plans = present.map((x) => copyPlan(x, strides));
    if (plans.includes(undefined)) return super.concat(out, xs, axis);
    return this.make(out, (to) => {
      let at = to;
      for (const [i, x] of present.entries()) {
        const plan = plans[i];
        if (plan) this.#copyTo(at, plan, x);
        at += 4 * x.shape[axis] * strides[axis];
      }
    });
  }

  #copyTo(to: number, { sizes: [n0, n1, rows, columns], out, x: from }: CopyPlan, x: NDArray): void {
    this.start(
      "copy",
      n0 * n1,
      n0 * n1 * rows * columns,
      to,
      out[2],
      this.address(x),
      rows,
      columns,
      from[2],
      from[3],
      n1,
      out[0],
      out[1],
      from[0],
      from[1],
    );
  }

  // Rows by index

  override gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return super.gatherRows(out, x, index);
    return this.#gather(out, x, index, index.shape[1]);
  }

  override takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    if (x.dtype !== "float32" || sizeOf(out.shape) === 0) return super.takeRows(out, x, index);
    return this.#gather(out, x, index, 1);
  }

  #gather(out: ArrayType, x: NDArray, index: NDArray, sources: number): Buffer {
    const columns = sizeOf(x.shape.slice(1));
    const rows = sizeOf(out.shape) / columns;
    return this.contiguous([x, index], (from, places) =>
      this.make(out, (to) => {
        this.start("gatherRows", rows, rows * sources * (columns / 2 + 5), to, from, places, x.shape[0], sources, columns);
      }),
    );
  }

  override addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer {
    if (g.dtype !== "float32" || sizeOf(out.shape) === 0) return super.addRows(out, g, index);
    const columns = sizeOf(out.shape.slice(1));
    const count = sizeOf(index.shape);
    return this.contiguous([g, index], (from, places) =>
      this.make(out, (to) => {
        this.start("addRows", out.shape[0], count * columns, to, from, places, count, columns);
      }),
    );
  }
}

/** Four axes for the copy kernel, and the steps in bytes along each, there and here. */
interface CopyPlan {
  readonly sizes: readonly number[];
  readonly out: readonly number[];
  readonly x: readonly number[];
}

/** Undefined where the kernel does not serve: other element sizes, nothing to copy, more than four axes, or results far apart. */
function copyPlan(x: NDArray, outStrides: readonly number[]): CopyPlan | undefined {
  if (bytesPerElement[x.dtype] !== 4 || sizeOf(x.shape) === 0) return undefined;
  const { sizes, steps } = mergeAxes(x.shape, [{ strides: outStrides, offset: 0 }, x]);
  const last = steps[steps.length - 1];
  if (sizes.length > 4 || (last[0] !== 1 && sizes[sizes.length - 1] > 1)) return undefined;
  const four = [[0, 0], [0, 0], [0, 0], ...steps].slice(-4);
  return { sizes: [1, 1, 1, ...sizes].slice(-4), out: four.map(([step]) => 4 * step), x: four.map(([, step]) => 4 * step) };
}

const castKernels: Readonly<Record<string, string>> = {
  "bfloat16 float32": "bfloat16ToFloat32",
  "float32 bfloat16": "float32ToBfloat16",
  "int32 float32": "int32ToFloat32",
};

/** "v" where an operand advances along the innermost merged axis, "s" where it stays; undefined where no kernel fits. */
function alongOf([, dx, dy]: readonly number[]): string | undefined {
  if (dx === 1 && dy === 1) return "vv";
  if (dx === 1 && dy === 0) return "vs";
  return dx === 0 && dy === 1 ? "sv" : undefined;
}

function stretched(x: NDArray, shape: Shape): NDArray {
  return sameShape(x.shape, shape) ? x : read(x, shape, broadcastStrides(x.shape, x.strides, shape));
}

/** `x` in another shape. Field by field, because x may be a class whose fields are getters. */
function read({ dtype, buffer, offset }: NDArray, shape: Shape, strides: readonly number[]): NDArray {
  return { shape, dtype, buffer, strides, offset };
}

function permuted(x: NDArray, axes: readonly number[]): NDArray {
  return read(
    x,
    axes.map((axis) => x.shape[axis]),
    axes.map((axis) => x.strides[axis]),
  );
}
