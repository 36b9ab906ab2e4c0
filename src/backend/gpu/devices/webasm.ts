/** gpu.js's WebAssembly mode: synchronous, in Node and in browsers. Memory is the host's: handles are Float32Arrays. */
import { assertMode, createKernel, maxElements } from "../device.ts";
import type { CompiledKernel, Device, Handle, Limits, Program } from "../device.ts";
import type { GpuInstance, GpuLibrary } from "../library.ts";

export class WebasmMode implements Device {
  readonly mode = "webasm";
  readonly description = "WebAssembly SIMD of gpu.js, one thread";
  readonly synchronous = true;
  readonly hostMath = true;
  readonly lanes = "rows";
  readonly limits: Limits = { arrays: 7, elements: maxElements, side: Infinity, kernels: 4000, together: 2 ** 13 };
  readonly #memories = new SharedMemories();
  readonly #library: GpuLibrary;
  readonly #gpu: GpuInstance;

  constructor(library: GpuLibrary) {
    this.#library = library;
    this.#gpu = new library.GPU({ mode: "webasm" });
  }

  compile(program: Program): CompiledKernel {
    const kernel = createKernel(this.#gpu, program);
    kernel.kernel._shapeOutput = (data) => data;
    let checked = false;
    return {
      run: (inputs, scalars) => {
        const call = () => kernel(...inputs.map((x) => this.#input(x)), ...scalars);
        const result = checked ? call() : this.#memories.during(call);
        if (!checked) assertMode(kernel, this.mode);
        checked = true;
        return program.rows === undefined ? result : rowMajor(result as Float32Array, program.threads, program.rows);
      },
      shader: () => undefined,
      destroy: () => kernel.destroy(),
    };
  }

  #input(handle: Handle): object {
    const data = handle as Float32Array;
    return new this.#library.Input(data, [data.length]);
  }

  upload(data: Float32Array): Handle {
    return data;
  }

  read(handle: Handle, n: number): Float32Array {
    return (handle as Float32Array).slice(0, n);
  }

  free(): void {}

  settle(): void {}

  async destroy(): Promise<void> {
    await this.#gpu.destroy();
  }
}

/** Results of four rows a thread, [batch, ceil(M / 4), N, 4], as [batch, M, N]. */
function rowMajor(lanes: Float32Array, [columns, fours = 1, batch = 1]: readonly number[], rows: number): Float32Array {
  const out = new Float32Array(batch * rows * columns);
  for (let b = 0; b < batch; b++) {
    for (let m = 0; m < rows; m++) {
      const from = (b * fours + (m >> 2)) * columns * 4 + (m & 3);
      const to = (b * rows + m) * columns;
      for (let n = 0; n < columns; n++) out[to + n] = lanes[from + 4 * n];
    }
  }
  return out;
}

interface MemoryClass {
  new (descriptor: { initial: number; maximum: number }): object;
}

/**
 * Few memories for all kernels. Why: gpu.js gives each kernel a WebAssembly memory of its own, and a memory reserves so much address
 * space that Chromium refuses the 125th. A run copies its arguments in and its result out and is over when it returns, so
 * kernels may take turns in one memory. A memory is asked for on a kernel's first run, which is when this class answers.
 */
class SharedMemories {
  readonly #byPages = new Map<number, object>();

  during<T>(firstRun: () => T): T {
    const { WebAssembly: scope } = globalThis as unknown as { WebAssembly: { Memory: MemoryClass } };
    const Memory = scope.Memory;
    const shared = (descriptor: { initial: number; maximum: number }): object => this.#withRoom(Memory, descriptor);
    scope.Memory = function (this: unknown, descriptor: { initial: number; maximum: number }) {
      return shared(descriptor);
    } as unknown as MemoryClass;
    try {
      return firstRun();
    } finally {
      scope.Memory = Memory;
    }
  }

  // A memory never grows, because growing takes it from the views that kernels hold: there is one for each power of four.
  #withRoom(Memory: MemoryClass, { initial, maximum }: { initial: number; maximum: number }): object {
    let pages = 64;
    while (pages < initial) pages *= 4;
    if (pages > maximum) return new Memory({ initial, maximum });
    const memory = this.#byPages.get(pages) ?? new Memory({ initial: pages, maximum: pages });
    this.#byPages.set(pages, memory);
    return memory;
  }
}
