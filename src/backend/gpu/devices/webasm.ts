/** gpu.js's WebAssembly mode: synchronous, in Node and in browsers. Memory is the host's: handles are Float32Arrays. */
import { assertMode, createKernel } from "../device.ts";
import type { CompiledKernel, Device, Handle, Limits, Program } from "../device.ts";
import type { GpuInstance, GpuLibrary } from "../library.ts";

export class WebasmMode implements Device {
  readonly mode = "webasm";
  readonly description = "WebAssembly SIMD of gpu.js, one thread";
  readonly synchronous = true;
  readonly hostMath = true;
  readonly fourLanes = false;
  readonly limits: Limits;
  private readonly library: GpuLibrary;
  private readonly gpu: GpuInstance;

  constructor(library: GpuLibrary) {
    this.library = library;
    this.gpu = new library.GPU({ mode: "webasm" });
    // Why: every kernel owns a WebAssembly memory. Chromium refuses the 125th, Node about the 9,400th.
    this.limits = { arrays: 7, side: Infinity, kernels: "window" in globalThis || "importScripts" in globalThis ? 96 : 2000 };
  }

  compile(program: Program): CompiledKernel {
    const kernel = createKernel(this.gpu, program);
    kernel.kernel._shapeOutput = (data) => data;
    let checked = false;
    return {
      run: (inputs, scalars) => {
        const result = kernel(...inputs.map((x) => this.input(x)), ...scalars);
        if (!checked) assertMode(kernel, this.mode);
        checked = true;
        return result;
      },
      shader: () => undefined,
      destroy: () => kernel.destroy(),
    };
  }

  private input(handle: Handle): object {
    const data = handle as Float32Array;
    return new this.library.Input(data, [data.length]);
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
    await this.gpu.destroy();
  }
}
