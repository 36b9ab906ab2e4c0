/**
 * A heap for tests: it finds the kernel that writes outside its arrays, and makes reads outside them visible in the results.
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

/** A heap that checks its blocks after each launch, and throws a BackendError that names the kernel where one was damaged. */
export class GuardedHeap extends Heap {
  /** Bytes of the live blocks, and of those that were freed and not handed out again. */
  readonly #live = new Map<number, number>();
  readonly #freed = new Map<number, number>();

  override allocate(bytes: number): number {
    const outer = super.allocate(bytes + 2 * ZONE);
    const block = outer + ZONE;
    const before = this.#freed.get(block);
    if (before !== undefined) this.#expectPoison(this.#all(), block, before, () => "a block was written after it was freed, before");
    for (const [address, size] of this.#freed) if (address < block + bytes + ZONE && address + size > outer) this.#freed.delete(address);
    this.#words(outer, bytes + 2 * ZONE).fill(POISON);
    this.#live.set(block, bytes);
    return block;
  }

  override release(block: number, bytes: number): void {
    this.#expectWhole(this.#all(), block, bytes, "a free");
    this.#live.delete(block);
    this.#words(block, bytes).fill(POISON);
    this.#freed.set(block, bytes);
    super.release(block - ZONE, bytes + 2 * ZONE);
  }

  override check(kernel: string): void {
    const memory = this.#all();
    for (const [block, bytes] of this.#live) this.#expectWhole(memory, block, bytes, `kernel ${kernel}`);
  }

  #expectWhole(memory: Int32Array, block: number, bytes: number, who: string): void {
    const end = block + Math.ceil(bytes / VECTOR) * VECTOR;
    const damage = (side: string) => (): string => `${who} found or left damage ${side} a block of ${bytes} bytes:`;
    this.#expectPoison(memory, block - ZONE, ZONE, damage("before"));
    this.#expectPoison(memory, end, block + bytes + ZONE - end, damage("behind"));
  }

  /** `what` is asked for only where there is damage: this looks at every live block after every launch. */
  #expectPoison(memory: Int32Array, address: number, bytes: number, what: () => string): void {
    const [from, words] = [address / 4, Math.floor(bytes / 4)];
    for (let at = 0; at < words; at++)
      if (memory[from + at] !== POISON) throw new BackendError(`wasm: ${what()} byte ${4 * at} of ${bytes} from address ${address}`);
  }

  /** Anew each time: memory that has grown has another buffer. */
  #all(): Int32Array {
    return new Int32Array(this.memory.buffer);
  }

  #words(address: number, bytes: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, Math.floor(bytes / 4));
  }
}
