/** A buffer exists at once; its memory arrives when the queue has come round to the kernel that fills it. */
import { BackendError } from "../backend.ts";
import type { Buffer } from "../backend.ts";
import type { Handle } from "./device.ts";

/** What one launch filled, or will fill. */
export class Memory {
  /** Elements: at least 1, for no device has empty arrays. */
  readonly length: number;
  handle: Handle | undefined;
  /** Why there is no handle: the first error on the way to it. */
  failure: BackendError | undefined;
  /** Buffers that lie in it. */
  owners = 1;

  constructor(elements: number) {
    this.length = Math.max(1, elements);
  }

  /** The handle; throws what went wrong on the way to it. */
  get filled(): Handle {
    if (this.failure) throw this.failure;
    if (!this.handle) throw new BackendError("the memory was freed or never filled");
    return this.handle;
  }
}

export class GpuBuffer implements Buffer {
  readonly bytes: number;
  memory: Memory;
  /** Where in its memory the buffer begins, in elements: what one launch made may be several buffers. */
  start = 0;
  freed = false;
  /** Indices that the host uploaded: their order can be worked out without the device. */
  readonly host: Int32Array | undefined;
  /** What was worked out from this buffer's contents, and dies with it. */
  readonly derived = new Map<string, readonly GpuBuffer[]>();

  constructor(elements: number, host?: Int32Array) {
    this.memory = new Memory(elements);
    this.bytes = 4 * this.memory.length;
    this.host = host;
  }
}
