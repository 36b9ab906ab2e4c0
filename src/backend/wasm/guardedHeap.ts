/**
 * A heap for tests: it finds the kernel that writes outside its arrays, and makes visible what is read there.
 *
 * Each block lies between two red zones of one pattern, which must be whole after each launch. A new block holds the same pattern, so that a
 * number that no kernel wrote shows: as a float it is NaN, as an int32 far outside every array. So does a block that was freed, and one that is
 * not whole when it is handed out again was written through an address that had outlived it. A kernel may write whole vectors: up to the next
 * 16 bytes behind an array's end belong to it.
 */
import { BackendError } from "../backend.ts";
import { Heap } from "./memory.ts";

/** NaN as a float32; as an int32 2,145,775,629; as bfloat16 NaN and -1.7e29. */
const POISON = 0x7fe5f00d;
/** Bytes on each side of a block, of which the last ones behind it may be more. */
const ZONE = 64;
const VECTOR = 16;

export class GuardedHeap extends Heap {
  /** Bytes of the live blocks, and of those that were freed and not handed out again. */
  readonly #live = new Map<number, number>();
  readonly #freed = new Map<number, number>();

  override allocate(bytes: number): number {
    const outer = super.allocate(bytes + 2 * ZONE);
    const block = outer + ZONE;
    const before = this.#freed.get(block);
    if (before !== undefined) this.#expectPoison(block, before, "a block was written after it was freed, before");
    for (const [address, size] of this.#freed) if (address < block + bytes + ZONE && address + size > outer) this.#freed.delete(address);
    this.#words(outer, bytes + 2 * ZONE).fill(POISON);
    this.#live.set(block, bytes);
    return block;
  }

  override release(block: number, bytes: number): void {
    this.#expectWhole(block, bytes, "a free");
    this.#live.delete(block);
    this.#words(block, bytes).fill(POISON);
    this.#freed.set(block, bytes);
    super.release(block - ZONE, bytes + 2 * ZONE);
  }

  override check(kernel: string): void {
    for (const [block, bytes] of this.#live) this.#expectWhole(block, bytes, `kernel ${kernel}`);
  }

  #expectWhole(block: number, bytes: number, who: string): void {
    const end = block + Math.ceil(bytes / VECTOR) * VECTOR;
    this.#expectPoison(block - ZONE, ZONE, `${who} found or left damage before a block of ${bytes} bytes:`);
    this.#expectPoison(end, block + bytes + ZONE - end, `${who} found or left damage behind a block of ${bytes} bytes:`);
  }

  #expectPoison(address: number, bytes: number, what: string): void {
    const at = this.#words(address, bytes).findIndex((word) => word !== POISON);
    if (at >= 0) throw new BackendError(`wasm: ${what} byte ${4 * at} of ${bytes} from address ${address}`);
  }

  #words(address: number, bytes: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, Math.floor(bytes / 4));
  }
}
