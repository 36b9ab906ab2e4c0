/**
 * A device that takes its time: the reference backend behind a queue. Results exist at once and hold garbage until the queue has
 * come round to them, a few kernels at each turn of the event loop. What reads too early, frees too early or reads without
 * waiting fails on it, without a GPU.
 */
import { BackendError, CpuBackend } from "../../src/backend/index.ts";
import type { ArrayType, Buffer, NDArray, TypedArray } from "../../src/backend/index.ts";
import type { ListKernel } from "../../src/backend/cpu/cpuBackend.ts";
import type { Strided } from "../../src/backend/cpu/strided.ts";

const kernelsPerTurn = 61;

export class AsyncBackend extends CpuBackend {
  override readonly name = "async";
  override readonly description = "the reference backend behind a queue";
  private readonly queue: (() => void)[] = [];
  private turn: ReturnType<typeof setImmediate> | undefined;
  private failure: BackendError | undefined;

  constructor() {
    super();
    Object.defineProperty(this, "downloadSync", { value: undefined });
    Object.defineProperty(this, "onHost", { value: undefined });
  }

  protected override allocate(type: ArrayType): Buffer {
    const buffer = super.allocate(type);
    this.open(buffer, type.dtype).fill(NaN);
    return buffer;
  }

  protected override launchList(name: string, out: ArrayType, inputs: readonly NDArray[], kernel: ListKernel): Buffer {
    return super.launchList(name, out, inputs.map(asItStands), kernel);
  }

  protected override update(name: string, inputs: readonly NDArray[], kernel: (...inputs: Strided[]) => void): void {
    super.update(name, inputs.map(asItStands), kernel);
  }

  protected override run(name: string, kernel: () => void): void {
    super.run(name, () => this.later(() => this.attempt(name, kernel)));
  }

  override free(buffer: Buffer): void {
    this.later(() => this.attempt("free", () => super.free(buffer)));
  }

  /** Raises the first error of the kernels launched before, once. */
  override download(buffer: Buffer, type: ArrayType): Promise<TypedArray> {
    return new Promise((resolve, reject) => {
      this.later(() => {
        const { failure } = this;
        this.failure = undefined;
        if (failure) reject(failure);
        else resolve(super.downloadSync(buffer, type));
      });
    });
  }

  private attempt(name: string, kernel: () => void): void {
    try {
      kernel();
    } catch (error) {
      this.failure ??= new BackendError(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  private later(job: () => void): void {
    this.queue.push(job);
    this.turn ??= setImmediate(() => this.work());
  }

  private work(): void {
    for (const job of this.queue.splice(0, kernelsPerTurn)) job();
    this.turn = this.queue.length > 0 ? setImmediate(() => this.work()) : undefined;
  }
}

/** The reading of a buffer at the time of the call: the tensor itself may be freed or assigned before its kernel's turn comes. */
function asItStands({ shape, dtype, buffer, strides, offset }: NDArray): NDArray {
  return { shape, dtype, buffer, strides, offset };
}
