/** A buffer exists at once; its memory is there when the queue has run the kernel that fills it. */
import { BackendError } from "../backend.ts";
import type { Buffer } from "../backend.ts";
import type { Handle } from "./device.ts";

/** The memory that one launch fills. */
export class Memory {
  /** Elements: at least 1, for no device has empty arrays. */
  readonly length: number;
  handle: Handle | undefined;
  /** The error that kept the memory from being filled. */
  failure: BackendError | undefined;
  /** Buffers that lie in it. */
  owners = 1;

  constructor(elements: number) {
    this.length = Math.max(1, elements);
  }

  /** The handle. Throws the error that kept the memory from being filled. */
  get filled(): Handle {
    if (this.failure) throw this.failure;
    if (!this.handle) throw new BackendError("the memory was freed or never filled");
    return this.handle;
  }
}

/** A buffer of the gpu backend: a part of some memory. */
export class GpuBuffer implements Buffer {
  readonly bytes: number;
  memory: Memory;
  /** Where in its memory the buffer begins, in elements: the result of one launch may be several buffers. */
  start = 0;
  freed = false;
  /** Int32 numbers that the host uploaded: the host can sort them without reading the device. */
  readonly host: Int32Array | undefined;
  /** Buffers that were computed from this one's contents, and are freed with it. */
  readonly derived = new Map<string, readonly GpuBuffer[]>();

  constructor(elements: number, host?: Int32Array) {
    this.memory = new Memory(elements);
    this.bytes = 4 * this.memory.length;
    this.host = host;
  }
}
