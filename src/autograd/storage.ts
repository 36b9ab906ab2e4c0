/** A device buffer and how many tensors read it. The last owner gives it back. */
import type { Backend, Buffer } from "../backend/backend.ts";

export class Storage {
  readonly backend: Backend;
  readonly buffer: Buffer;
  /** The integers of the buffer, where the host made them: every view of it can be checked as an index. */
  readonly host: Int32Array | null;
  owners = 0;
  #freed = false;
  /** Memory that makes the garbage collector run in time, because it does not count the device's. */
  ballast: ArrayBuffer | null = null;

  constructor(backend: Backend, buffer: Buffer, host: Int32Array | null = null) {
    this.backend = backend;
    this.buffer = buffer;
    this.host = host;
  }

  /** Counts one more owner. Throws where the last owner has released it. */
  retain(): this {
    if (this.#freed)
      throw new ReferenceError(
        "what the forward pass kept for the walk was freed with its result: the scope has closed, or dispose() was called before backward",
      );
    this.owners++;
    return this;
  }

  /** Allocates the ballast, for a tensor that the garbage collector will free. Tensors on one storage share it. */
  takeBallast(): void {
    const { ballast = 0 } = this.backend;
    if (ballast > 0) this.ballast ??= new ArrayBuffer(Math.ceil(ballast * this.buffer.bytes));
  }

  /** Counts one owner less; the last one frees the buffer. */
  release(): void {
    if (--this.owners > 0) return;
    this.#freed = true;
    this.ballast = null;
    this.backend.free(this.buffer);
  }
}

/** What a tensor gives back: its storage, and what a fused operation kept for the walk. */
type Holdings = readonly Storage[];

/** Releases each of the storages. */
export function releaseAll(holdings: Holdings): void {
  for (const storage of holdings) storage.release();
}

/** Releases the storages of tensors that the garbage collector has found unreachable. */
export const collector = new FinalizationRegistry<Holdings>(releaseAll);
