/** gpu.js's WebGPU mode: compute shaders over storage buffers, in browsers and in Node (Dawn, through the package `webgpu`). */
import { BackendError } from "../../backend.ts";
import { assertMode, createKernel, lanesOf, maxElements } from "../device.ts";
import type { CompiledKernel, Device, Handle, Limits, Program } from "../device.ts";
import type { GpuInstance, GpuKernel, GpuLibrary } from "../library.ts";

/** What we use of the WebGPU API; its types are not part of TypeScript's library. */
interface WebgpuBuffer {
  destroy(): void;
}
interface WebgpuDevice {
  readonly queue: { writeBuffer(buffer: WebgpuBuffer, offset: number, data: Float32Array): void; onSubmittedWorkDone(): Promise<void> };
  createBuffer(descriptor: { size: number; usage: number }): WebgpuBuffer;
}
interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}
interface Context {
  readonly adapter: { readonly info?: AdapterInfo };
  readonly device: WebgpuDevice;
  readonly isLost: boolean;
}

/** gpu.js's handle to a storage buffer. `output` and `componentCount` only say how it would be read back. */
interface Stored {
  output: readonly number[];
  componentCount: number;
  readonly context: Context;
  readonly kernel: object;
  toArray(): Promise<Float32Array>;
  delete(): void;
}

const usage = { copySource: 0x4, copyTarget: 0x8, storage: 0x80 };
const advice = "the WebGPU device was lost (a crash of the driver, too long a kernel, or too little memory); make a new backend, smaller";

export class WebgpuMode implements Device {
  readonly mode = "webgpu";
  readonly description: string;
  readonly synchronous = false;
  readonly hostMath = false;
  readonly lanes = "columns";
  // WebGPU guarantees 8 storage buffers for one kernel; gpu.js asks for no more, and one holds the result.
  readonly limits: Limits = { arrays: 7, elements: maxElements, side: 65535, kernels: 4000, together: maxElements };
  readonly #library: GpuLibrary;
  readonly #gpu: GpuInstance;
  readonly #probe: Stored;

  private constructor(library: GpuLibrary, gpu: GpuInstance, probe: Stored) {
    this.#library = library;
    this.#gpu = gpu;
    this.#probe = probe;
    this.description = `WebGPU of gpu.js on ${adapterName(probe.context.adapter.info)}`;
  }

  /** Finds the adapter and runs a first kernel, which brings the device and a context for uploads. */
  static async open(library: GpuLibrary): Promise<WebgpuMode> {
    if (!(await library.GPU.isWebGPUAvailable())) {
      throw new BackendError('gpu: no WebGPU adapter; in Node install the package "webgpu" and a Vulkan, Metal or Direct3D driver');
    }
    const gpu = new library.GPU({ mode: "webgpu" });
    const kernel = createKernel(gpu, { source: "function() { return 1.0; }", threads: [1] });
    const probe = (await kernel()) as Stored;
    assertMode(kernel, "webgpu");
    return new WebgpuMode(library, gpu, probe);
  }

  compile(program: Program): CompiledKernel {
    const kernel = createKernel(this.#gpu, program);
    const n = program.threads.reduce((a, b) => a * b, lanesOf(program));
    let checked = false;
    return {
      run: async (inputs, scalars) => {
        const result = (await kernel(...inputs, ...scalars)) as Stored;
        if (!checked) assertMode(kernel, this.mode);
        checked = true;
        // The memory is packed tightly whatever the kernel's threads: every result is a flat array to its readers.
        result.output = [n];
        result.componentCount = 1;
        return result;
      },
      shader: () => shaderOf(kernel),
      destroy: () => kernel.destroy(),
    };
  }

  upload(data: Float32Array): Handle {
    const { context, kernel } = this.#probe;
    this.#assertAlive();
    const buffer = context.device.createBuffer({ size: data.byteLength, usage: usage.copySource | usage.copyTarget | usage.storage });
    context.device.queue.writeBuffer(buffer, 0, data);
    return new this.#library.WebGPUBufferResult({ buffer, output: [data.length], context, kernel });
  }

  async read(handle: Handle, n: number): Promise<Float32Array> {
    this.#assertAlive();
    const data = await (handle as Stored).toArray();
    return data.length === n ? data : data.slice(0, n);
  }

  free(handle: Handle): void {
    (handle as Stored).delete();
  }

  // Why: freed buffers keep their memory until the device has been waited for.
  settle(): Promise<void> {
    this.#assertAlive();
    return this.#probe.context.device.queue.onSubmittedWorkDone();
  }

  async destroy(): Promise<void> {
    this.#probe.delete();
    await this.#gpu.destroy();
  }

  #assertAlive(): void {
    if (this.#probe.context.isLost) throw new BackendError(advice);
  }
}

function shaderOf(kernel: GpuKernel): string | undefined {
  return kernel.kernel.compiledSource;
}

function adapterName(info: AdapterInfo | undefined): string {
  const known = info && [info.description, info.device, info.architecture, info.vendor].find((name) => name);
  return known || "an adapter without a name";
}
