/**
 * Memory and launching of the WebAssembly backend: what the files beside this one need to turn a call of the contract into kernels.
 * A function there that answers `undefined` does not serve the case, and the reference loop runs on the same memory.
 */
import { BackendError } from "../backend.ts";
import type { ArrayType, Buffer, DType, NDArray, TypedArray } from "../backend.ts";
import { bytesPerElement } from "../cpu/cpuBackend.ts";
import { contiguous as contiguousOf } from "../cpu/movement.ts";
import { checkIndices } from "../indices.ts";
import type { MemoryAccount } from "../memoryAccount.ts";
import { isContiguous, sizeOf } from "../shape.ts";
import type { Heap } from "./memory.ts";
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

function own(buffer: Buffer): WasmBuffer {
  if (!(buffer instanceof WasmBuffer)) throw new BackendError(`wasm: the buffer (${buffer.bytes} bytes) belongs to another backend`);
  if (buffer.freed) throw new BackendError(`wasm: the buffer (${buffer.bytes} bytes) was freed`);
  return buffer;
}

/** Allocates, opens and frees buffers of the heap, and starts kernels on the threads. */
export class Launcher {
  readonly #heap: Heap;
  readonly #threads: Threads;
  readonly #account: MemoryAccount;
  readonly #copy: (x: NDArray) => Buffer;
  /** The buffers that the call under way has made; null: no call keeps a list. */
  #made: WasmBuffer[] | null = null;

  /** `copy` makes a contiguous copy of a strided array. */
  constructor(heap: Heap, threads: Threads, account: MemoryAccount, copy: (x: NDArray) => Buffer) {
    this.#heap = heap;
    this.#threads = threads;
    this.#account = account;
    this.#copy = copy;
  }

  get threads(): number {
    return this.#threads.count;
  }

  // Memory

  newBuffer({ shape, dtype }: ArrayType): Buffer {
    const bytes = sizeOf(shape) * bytesPerElement[dtype];
    const buffer = new WasmBuffer(bytes, this.#heap.allocate(bytes));
    this.#account.allocated(bytes);
    this.#made?.push(buffer);
    return buffer;
  }

  /** What `call` answers. Where it throws, every buffer that it made is freed: a call of several launches may fail at any of them. */
  undoing<T>(call: () => T): T {
    const before = this.#made;
    const made: WasmBuffer[] = [];
    this.#made = made;
    try {
      return call();
    } catch (error) {
      for (const buffer of made) if (!buffer.freed) this.free(buffer);
      throw error;
    } finally {
      this.#made = before;
    }
  }

  free(buffer: Buffer): void {
    const { address, bytes } = own(buffer);
    own(buffer).freed = true;
    this.#heap.release(address, bytes);
    this.#account.freed(bytes);
  }

  /** The memory of `buffer` as an array for the host. Opened anew by each kernel, because memory moves when it grows. */
  open(buffer: Buffer, dtype: DType): TypedArray {
    const { address, bytes } = own(buffer);
    const n = bytes / bytesPerElement[dtype];
    const memory = this.#heap.memory.buffer;
    if (dtype === "float32") return new Float32Array(memory, address, n);
    if (dtype === "float64") return new Float64Array(memory, address, n);
    return dtype === "int32" ? new Int32Array(memory, address, n) : new Uint16Array(memory, address, n);
  }

  /** The elements of a view in row-major order, for the host. */
  elements(x: NDArray): TypedArray {
    return contiguousOf({ data: this.open(x.buffer, x.dtype), shape: x.shape, strides: x.strides, offset: x.offset });
  }

  /** Where the first element of `x` lies. */
  address(x: NDArray): number {
    return own(x.buffer).address + x.offset * bytesPerElement[x.dtype];
  }

  addressOf(buffer: Buffer): number {
    return own(buffer).address;
  }

  /** Memory for the duration of `use`; not counted in the statistics. */
  scratch<T>(bytes: number, use: (address: number) => T): T {
    const address = this.#heap.allocate(bytes);
    try {
      return use(address);
    } finally {
      this.#heap.release(address, bytes);
    }
  }

  /** Puts whole numbers at `address`. */
  write(address: number, words: readonly number[]): void {
    new Int32Array(this.#heap.memory.buffer, address, words.length).set(words);
  }

  /** Sets `n` float32 at `address` to 0. */
  zero(address: number, n: number): void {
    new Float32Array(this.#heap.memory.buffer, address, n).fill(0);
  }

  /** Copies `bytes` bytes. */
  move(to: number, from: number, bytes: number): void {
    new Uint8Array(this.#heap.memory.buffer).copyWithin(to, from, from + bytes);
  }

  /** `use` with the address of each array's elements in row-major order; those that lie otherwise are copied for that long. */
  contiguous<T>(arrays: readonly NDArray[], use: (...addresses: number[]) => T): T {
    const copies: Buffer[] = [];
    const addressOf = (x: NDArray): number => {
      if (isContiguous(x.shape, x.strides)) return this.address(x);
      const copy = this.#copy(x);
      copies.push(copy);
      return this.addressOf(copy);
    };
    try {
      return use(...arrays.map(addressOf));
    } finally {
      for (const copy of copies) this.free(copy);
    }
  }

  /** A new buffer that `fill` fills. Where that fails, the buffer is freed. */
  make(out: ArrayType, fill: (address: number) => void): Buffer {
    const buffer = this.newBuffer(out);
    try {
      fill(this.addressOf(buffer));
    } catch (error) {
      this.free(buffer);
      throw error;
    }
    return buffer;
  }

  /** The cotangent, if it is needed; else frees it and returns null. */
  keep(buffer: Buffer, needed: boolean | undefined): Buffer | null {
    if (needed) return buffer;
    this.free(buffer);
    return null;
  }

  // Kernels

  /** Runs a kernel over `items` items: on all threads where its `work`, an estimate in nanoseconds, is more than waking them takes. */
  start(kernel: string, items: number, work: number, ...given: number[]): void {
    this.#account.launched();
    if (items > 0) this.#threads.run(kernel, items, given, work);
    this.#heap.check(kernel);
  }

  /** Throws if one of the n int32 at `address` is not in `low` to `high` - 1. */
  checkIndices(operation: string, address: number, n: number, low: number, high: number): void {
    if (this.#threads.ask("anyOutside", address, n, low, high) === 0) return;
    checkIndices(operation, new Int32Array(this.#heap.memory.buffer, address, n), low, high);
  }
}
