/** Compiles each kernel once, launches in order, counts memory and launches, and keeps an error with the results that it concerns until one is read. */
import { BackendError } from "../backend.ts";
import { MemoryAccount } from "../memoryAccount.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { GpuBuffer } from "./gpuBuffer.ts";
import { Queue } from "./queue.ts";
import { readingAt } from "./source/grid.ts";
import type { ArrayType, BackendStats, Buffer, NDArray } from "../backend.ts";
import type { CompiledKernel, Device, Handle, Program } from "./device.ts";
import type { Memory } from "./gpuBuffer.ts";
import type { Place } from "./source/grid.ts";

/** Bytes of new memory after which the launcher waits until freed memory was given back. */
const throttleBytes = 64 * 2 ** 20;

export interface Launch {
  /** Kernels are kept by it, with the variant, shapes and strides: two sources for one array must have two names. */
  readonly name: string;
  readonly out: ArrayType;
  readonly inputs: readonly NDArray[];
  /** What else the source depends on, beside names, shapes and strides. */
  readonly variant?: string;
  readonly scalars?: readonly number[];
  readonly program: () => Program;
}

/** Runs kernels on a device of gpu.js. */
export class Launcher {
  readonly device: Device;
  readonly #kernels = new Map<string, CompiledKernel>();
  readonly #queue = new Queue();
  readonly #account = new MemoryAccount();
  #bytesSinceSettled = 0;

  constructor(device: Device) {
    this.device = device;
  }

  stats(): BackendStats {
    return this.#account.stats();
  }

  /** The shader of every compiled kernel, by the key it is kept under. For readers of the documentation. */
  shaders(): ReadonlyMap<string, string> {
    return new Map([...this.#kernels].map(([key, kernel]) => [key, kernel.shader() ?? ""]));
  }

  launch({ name, out, inputs, variant = "", scalars = [], program }: Launch): Buffer {
    const what = `${name}: ${inputs.map((x) => formatShape(x.shape)).join(" x ")} -> ${formatShape(out.shape)}`;
    const buffers = inputs.map((x) => open(x.buffer, what));
    const memories = [...new Set(buffers.map(({ memory }) => memory))];
    const places = buffers.map(({ memory, start }) => ({ argument: memories.indexOf(memory), start }));
    if (memories.length > this.device.limits.arrays) {
      throw new BackendError(`${what}: ${memories.length} arrays, a ${this.device.mode} kernel takes at most ${this.device.limits.arrays}`);
    }
    const result = this.#newBuffer(out, what);
    this.#account.launched();
    // Made here, not in the queue: the inputs may be freed or moved when the kernel runs.
    const key = `${name} ${variant} [${out.shape}] ${inputs.map((x, k) => keyOf(x, buffers[k], places[k])).join(" ")}`;
    return this.#orFree(result, () => {
      const kernel = sizeOf(out.shape) === 0 ? undefined : this.#kernel(key, () => readingAt(program(), places));
      this.#run(what, result.memory, () => {
        const handles = memories.map(({ filled }) => filled);
        return kernel ? kernel.run(handles, scalars) : this.device.upload(new Float32Array(1));
      });
    });
  }

  /** `result`, which `fill` fills; where that throws, it is freed. */
  #orFree(result: GpuBuffer, fill: () => void): GpuBuffer {
    try {
      fill();
    } catch (error) {
      this.free(result);
      throw error;
    }
    return result;
  }

  /**
   * Moves `targets` into the memory of `source`, one behind the other, and frees `source`. Kernels can only write their result, so this is how
   * arrays are updated in place.
   */
  replace(targets: readonly Buffer[], source: Buffer): void {
    const made = open(source, "replace");
    let start = made.start;
    for (const target of targets.map((buffer) => open(buffer, "replace"))) {
      this.#leave(target.memory);
      target.memory = made.memory;
      target.start = start;
      made.memory.owners++;
      start += target.bytes / 4;
    }
    this.free(source);
  }

  upload(type: ArrayType, data: Float32Array, host?: Int32Array): Buffer {
    const what = `upload: ${formatShape(type.shape)}`;
    const result = this.#newBuffer(type, what, host);
    const whole = data.length > 0 ? data : new Float32Array(1);
    return this.#orFree(result, () => this.#run(what, result.memory, () => this.device.upload(whole)));
  }

  /** Reads once everything launched before has run. */
  read(buffer: Buffer, n: number): Promise<Float32Array> {
    const { memory, start } = open(buffer, "download");
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(describe("download", error));
      this.#queue.push(() => {
        try {
          void Promise.resolve(this.device.read(memory.filled, start + n)).then((data) => resolve(from(data, start)), fail);
        } catch (error) {
          fail(error);
        }
      });
    });
  }

  readSync(buffer: Buffer, n: number): Float32Array {
    const { memory, start } = open(buffer, "download");
    return from(this.device.read(memory.filled, start + n) as Float32Array, start);
  }

  free(buffer: Buffer): void {
    const own = open(buffer, "free");
    own.freed = true;
    this.#account.freed(own.bytes);
    for (const derived of own.derived.values()) derived.forEach((b) => this.free(b));
    this.#leave(own.memory);
  }

  async destroy(): Promise<void> {
    for (const kernel of this.#kernels.values()) kernel.destroy();
    this.#kernels.clear();
    await this.device.destroy();
  }

  /** One buffer fewer lies in `memory`; the last gives it back. */
  #leave(memory: Memory): void {
    if (--memory.owners > 0) return;
    this.#queue.push(() => {
      if (memory.handle) this.device.free(memory.handle);
      memory.handle = undefined;
    });
  }

  #newBuffer(type: ArrayType, what: string, host?: Int32Array): GpuBuffer {
    const n = sizeOf(type.shape);
    const { elements } = this.device.limits;
    if (n > elements) throw new BackendError(`${what}: ${n} elements, an array in mode ${this.device.mode} holds at most ${elements}`);
    const buffer = new GpuBuffer(n, host);
    this.#account.allocated(buffer.bytes);
    return buffer;
  }

  /** Fills memory now or in its turn. A synchronous device throws at once; the others throw the error at the next read. */
  #run(what: string, result: Memory, work: () => Handle | Promise<Handle>): void {
    if (this.device.synchronous) {
      try {
        result.handle = work() as Handle;
      } catch (error) {
        throw describe(what, error);
      }
      this.#throttle(result);
      return;
    }
    this.#queue.push(() => this.#fill(what, result, work));
  }

  async #fill(what: string, result: Memory, work: () => Handle | Promise<Handle>): Promise<void> {
    try {
      result.handle = await work();
      await this.#throttle(result);
    } catch (error) {
      result.failure = describe(what, error);
    }
  }

  #throttle({ length }: Memory): void | Promise<void> {
    this.#bytesSinceSettled += 4 * length;
    if (this.#bytesSinceSettled < throttleBytes) return;
    this.#bytesSinceSettled = 0;
    return this.device.settle();
  }

  /** The compiled kernel; the map is in order of last use, and the one unused for longest makes room. */
  #kernel(key: string, program: () => Program): CompiledKernel {
    const kernel = this.#kernels.get(key) ?? this.device.compile(program());
    this.#kernels.delete(key);
    this.#kernels.set(key, kernel);
    if (this.#kernels.size > this.device.limits.kernels) this.#forgetOldest();
    return kernel;
  }

  #forgetOldest(): void {
    for (const [key, kernel] of this.#kernels) {
      this.#kernels.delete(key);
      return this.#queue.push(() => kernel.destroy());
    }
  }
}

function keyOf({ shape, strides, offset, dtype }: NDArray, { memory }: GpuBuffer, { argument, start }: Place): string {
  return `[${shape}/${strides}+${offset}]${dtype === "int32" ? "i" : "f"}${argument}+${start}/${memory.length}`;
}

function from(data: Float32Array, start: number): Float32Array {
  return start > 0 ? data.slice(start) : data;
}

function open(buffer: Buffer, what: string): GpuBuffer {
  if (!(buffer instanceof GpuBuffer)) throw new BackendError(`${what}: the buffer (${buffer.bytes} bytes) belongs to another backend`);
  if (buffer.freed) throw new BackendError(`${what}: the buffer (${buffer.bytes} bytes) was freed`);
  return buffer;
}

/** The error with the name of the first operation that it concerned. */
function describe(what: string, error: unknown): BackendError {
  if (error instanceof BackendError && error.cause !== undefined) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BackendError(`${what}: ${message}`, { cause: error });
}
