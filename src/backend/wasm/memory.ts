/**
 * The heap: one linear memory that grows, handed out in blocks.
 *
 * A training step asks for the same sizes again and again, so a freed block goes on the list of its size class and the next request
 * of that class takes it: constant time, and no growth from step to step. There are four classes between a power of two and the next, so at
 * most a fifth of a block is unused. Free neighbours are merged only when the memory would have to grow: then they can serve other sizes.
 */
import { BackendError } from "../backend.ts";
import type { LinearMemory } from "./platform.ts";

export const PAGE = 65536;
/** All that 32-bit addresses reach. */
export const MAXIMUM_PAGES = 65536;
/** Vector loads may read past an array's end; this much behind the last block is always there. */
const SLACK = 1024;
const ALIGNMENT = 64;

interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** The size class of `bytes`, the least that holds them. Classes are the multiples of 64 up to 512, then four between powers of two: 640, 768, 896, 1024, 1280 … */
export function classOf(bytes: number): number {
  const whole = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
  if (whole <= 512) return whole;
  const step = 2 ** (Math.floor(Math.log2(whole - 1)) - 2);
  return Math.ceil(whole / step) * step;
}

/** Hands out blocks of a linear memory, and takes them back for reuse. */
export class Heap {
  readonly memory: LinearMemory;
  /** Pages that the memory may grow to. */
  readonly #maximum: number;
  readonly #free = new Map<number, number[]>();
  #regions: Block[] = [];
  #end: number;
  #freeBytes = 0;

  constructor(memory: LinearMemory, start: number, maximum = MAXIMUM_PAGES) {
    this.memory = memory;
    this.#maximum = maximum;
    this.#end = start;
  }

  /** Address of at least `bytes` bytes, aligned to a cache line. Their contents are undefined. */
  allocate(bytes: number): number {
    const size = classOf(bytes);
    const reused = this.#free.get(size)?.pop();
    if (reused !== undefined) {
      this.#freeBytes -= size;
      return reused;
    }
    return this.#carve(size) ?? this.#extend(size);
  }

  /** Takes a block back. `bytes` is what was asked for. */
  release(address: number, bytes: number): void {
    const size = classOf(bytes);
    const list = this.#free.get(size);
    if (list) list.push(address);
    else this.#free.set(size, [address]);
    this.#freeBytes += size;
  }

  /** Called after each kernel; a heap for tests looks for damage here (guardedHeap.ts). */
  check(_kernel: string): void {}

  /** A block of a merged region, if there is one that is large enough. */
  #carve(size: number): number | undefined {
    const index = this.#regions.findIndex((region) => region.bytes >= size);
    if (index < 0) return undefined;
    const { address, bytes } = this.#regions[index];
    if (bytes === size) this.#regions.splice(index, 1);
    else this.#regions[index] = { address: address + size, bytes: bytes - size };
    this.#freeBytes -= size;
    return address;
  }

  /** A block from the end of the memory, which may have to grow. */
  #extend(size: number): number {
    const needed = this.#end + size + SLACK;
    const available = this.memory.buffer.byteLength;
    if (needed > available) {
      if (this.#freeBytes >= size && this.#freeBytes > this.#end / 4) {
        this.#merge();
        const merged = this.#carve(size);
        if (merged !== undefined) return merged;
      }
      if (this.#end + size + SLACK > available) this.#grow(needed, size);
    }
    const address = this.#end;
    this.#end += size;
    return address;
  }

  /** By an eighth at least, so that growing stays rare. */
  #grow(needed: number, size: number): void {
    const pages = this.memory.buffer.byteLength / PAGE;
    const least = Math.ceil(needed / PAGE);
    const wanted = Math.min(this.#maximum, Math.max(least, Math.ceil(pages * 1.125)));
    for (const target of least <= this.#maximum ? [wanted, least] : []) {
      try {
        this.memory.grow(target - pages);
        return;
      } catch {
        // The engine may refuse the larger size and grant the least one.
      }
    }
    throw new BackendError(
      `wasm: no room for ${size} bytes: ${this.#end - this.#freeBytes} bytes are in use and this memory holds at most ${this.#maximum * PAGE}. ` +
        "Wrap each step of a loop in scope(), which frees what the step made.",
    );
  }

  /** Makes one region of free neighbours; a region at the very end goes back to the unused part. */
  #merge(): void {
    const blocks = [...this.#regions];
    for (const [bytes, addresses] of this.#free) for (const address of addresses) blocks.push({ address, bytes });
    blocks.sort((a, b) => a.address - b.address);
    this.#free.clear();
    const merged: Block[] = [];
    for (const block of blocks) {
      const last = merged.at(-1);
      if (last && last.address + last.bytes === block.address)
        merged[merged.length - 1] = { address: last.address, bytes: last.bytes + block.bytes };
      else merged.push(block);
    }
    const last = merged.at(-1);
    if (last && last.address + last.bytes === this.#end) {
      this.#end = last.address;
      this.#freeBytes -= last.bytes;
      merged.pop();
    }
    this.#regions = merged;
  }
}
