/**
 * gpu.js's WebGL modes: fragment shaders over float textures; WebGL2 in browsers, headless-gl in Node. Synchronous.
 *
 * A texture is flat memory folded into a rectangle, one element in a texel or four. gpu.js compiles one or the other, and the
 * rectangle's size, into the kernels that read it, and goes wrong silently when they change: so every kernel here is one gpu.js
 * kernel for each combination of textures that it meets.
 */
import { BackendError } from "../../backend.ts";
import { assertMode, createKernel, lanesOf, maxElements } from "../device.ts";
import type { CompiledKernel, Device, Handle, Limits, Program } from "../device.ts";
import type { GpuInstance, GpuKernel, GpuLibrary } from "../library.ts";

interface Gl {
  readonly MAX_TEXTURE_SIZE: number;
  readonly RENDERER: number;
  getParameter(name: number): unknown;
  getExtension(name: string): { readonly UNMASKED_RENDERER_WEBGL: number } | null;
  isContextLost(): boolean;
  finish(): void;
}

/** gpu.js's handle to a texture. */
interface Texture {
  readonly constructor: TextureClass;
  readonly texture: object;
  readonly size: Int32Array;
  readonly context: Gl;
  readonly kernel: object;
  readonly internalFormat: unknown;
  readonly textureFormat: unknown;
  toArray(): Float32Array;
  delete(): void;
}
type TextureClass = new (settings: object) => Texture;

const advice =
  "the WebGL context was lost (too many contexts on the page, or a crash of the driver); reload the page and make a new backend";

export class WebglMode implements Device {
  readonly mode: "webgl2" | "headlessgl";
  readonly description: string;
  readonly synchronous = true;
  readonly hostMath = false;
  readonly lanes = "columns";
  readonly limits: Limits;
  readonly #gpu: GpuInstance;
  readonly #gl: Gl;
  /** Classes of textures with one element in a texel, and with four. */
  readonly #flat: TextureClass;
  readonly #packed: TextureClass;
  readonly #library: GpuLibrary;
  readonly #uploads = new Map<number, GpuKernel>();

  private constructor(library: GpuLibrary, gpu: GpuInstance, mode: "webgl2" | "headlessgl", flat: Texture, packed: Texture) {
    this.#library = library;
    this.#gpu = gpu;
    this.mode = mode;
    this.#gl = flat.context;
    this.#flat = flat.constructor;
    this.#packed = packed.constructor;
    // Kernels are never removed (`kernels: Infinity`): their textures call back into them.
    const side = Number(this.#gl.getParameter(this.#gl.MAX_TEXTURE_SIZE));
    this.limits = { arrays: 7, elements: Math.min(side * side, maxElements), side, kernels: Infinity, together: maxElements };
    this.description = `${mode === "webgl2" ? "WebGL2" : "headless-gl"} of gpu.js on ${rendererOf(this.#gl)}`;
  }

  static open(library: GpuLibrary, mode: "webgl2" | "headlessgl"): WebglMode {
    const { GPU } = library;
    if (!(mode === "webgl2" ? GPU.isWebGL2Supported : GPU.isHeadlessGLSupported))
      throw new BackendError(`gpu: mode "${mode}" is not available here`);
    if (!GPU.isSinglePrecisionSupported) throw new BackendError(`gpu: mode "${mode}" without float textures here`);
    const gpu = new GPU({ mode });
    const program = { source: "function() { return 1.0; }", threads: [4] };
    const kernels = [createKernel(gpu, program), createKernel(gpu, program, { optimizeFloatMemory: true })];
    const [flat, packed] = kernels.map((kernel) => kernel() as Texture);
    kernels.forEach((kernel) => assertMode(kernel, "gpu"));
    return new WebglMode(library, gpu, mode, flat, packed);
  }

  compile(program: Program): CompiledKernel {
    const variants = new Map<string, GpuKernel>();
    const n = program.threads.reduce((a, b) => a * b, lanesOf(program));
    const variantFor = (inputs: readonly Handle[]): GpuKernel => {
      const key = inputs.map((x) => this.#kindOf(x as Texture)).join(" ");
      const kernel = variants.get(key) ?? createKernel(this.#gpu, program);
      variants.set(key, kernel);
      return kernel;
    };
    return {
      run: (inputs, scalars) => {
        this.#assertAlive();
        const kernel = variantFor(inputs);
        const result = kernel(...inputs, ...scalars) as Texture;
        assertMode(kernel, "gpu");
        return this.#relabelled(result, n, program.lanes ? this.#packed : this.#flat);
      },
      shader: () => [...variants.values()].at(-1)?.kernel.compiledFragmentShader,
      destroy: () => variants.forEach((kernel) => kernel.destroy()),
    };
  }

  #kindOf(x: Texture): string {
    return `${x.constructor === this.#packed ? "packed" : "flat"}${Array.from(x.size)}`;
  }

  /** The same texture, as the flat array it is, whatever the kernel's threads were. It holds a reference of its own. */
  #relabelled(result: Texture, n: number, Class: TextureClass): Texture {
    const { texture, size, context, kernel, internalFormat, textureFormat } = result;
    const flat = new Class({ texture, size, dimensions: [n, 1, 1], output: [n], context, kernel, internalFormat, textureFormat });
    result.delete();
    return flat;
  }

  upload(data: Float32Array): Handle {
    this.#assertAlive();
    const known = this.#uploads.get(data.length);
    const kernel = known ?? createKernel(this.#gpu, { source: "function(a) { return a[this.thread.x]; }", threads: [data.length] });
    this.#uploads.set(data.length, kernel);
    return kernel(new this.#library.Input(data, [data.length]));
  }

  read(handle: Handle, n: number): Float32Array {
    const data = (handle as Texture).toArray();
    // Why after: a lost context reads as zeros, without an error.
    this.#assertAlive();
    return data.slice(0, n);
  }

  free(handle: Handle): void {
    (handle as Texture).delete();
  }

  settle(): void {
    this.#gl.finish();
  }

  async destroy(): Promise<void> {
    await this.#gpu.destroy();
  }

  #assertAlive(): void {
    if (this.#gl.isContextLost()) throw new BackendError(advice);
  }
}

function rendererOf(gl: Gl): string {
  const extension = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(extension ? extension.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}
