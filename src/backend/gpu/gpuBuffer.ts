/** A buffer exists at once; its memory arrives when the queue has come round to the kernel that fills it. */
import { BackendError } from "../backend.ts";
import type { Buffer } from "../backend.ts";
import type { Handle } from "./device.ts";

export class GpuBuffer implements Buffer {
  readonly bytes: number;
  /** Elements in memory: at least 1, for no device has empty arrays. */
  readonly length: number;
  handle: Handle | undefined;
  /** Why there is no memory: the first error on the way to this buffer. */
  failure: BackendError | undefined;
  freed = false;
  /** Indices that the host uploaded: their order can be worked out without the device. */
  readonly host: Int32Array | undefined;
  /** What was worked out from this buffer's contents, and dies with it. */
  readonly derived = new Map<string, readonly GpuBuffer[]>();

  constructor(elements: number, host?: Int32Array) {
    this.length = Math.max(1, elements);
    this.bytes = 4 * this.length;
    this.host = host;
  }

  /** The memory; throws what went wrong on the way to it. */
  get memory(): Handle {
    if (this.failure) throw this.failure;
    if (!this.handle) throw new BackendError("the memory was freed or never filled");
    return this.handle;
  }
}
