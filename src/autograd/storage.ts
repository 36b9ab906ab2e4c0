/** A device buffer and how many tensors read it. The last owner gives it back. */
import type { Backend, Buffer } from "../backend/backend.ts";

export class Storage {
  readonly backend: Backend;
  readonly buffer: Buffer;
  /** The integers of the buffer, where the host made them: every view of it can be checked as an index. */
  readonly host: Int32Array | null;
  owners = 0;

  constructor(backend: Backend, buffer: Buffer, host: Int32Array | null = null) {
    this.backend = backend;
    this.buffer = buffer;
    this.host = host;
  }

  retain(): this {
    this.owners++;
    return this;
  }

  release(): void {
    if (--this.owners === 0) this.backend.free(this.buffer);
  }
}

/** What a tensor gives back: its storage, and what a fused operation kept for the walk. */
type Holdings = readonly Storage[];

export function releaseAll(holdings: Holdings): void {
  for (const storage of holdings) storage.release();
}

/** Outside of scopes the garbage collector decides when a tensor is dead. */
export const collector = new FinalizationRegistry<Holdings>(releaseAll);
