/** The conformance suite on a heap that finds whoever writes outside of his arrays, and the heap itself. */
import { expect } from "chai";
import { BackendError } from "../../src/backend/backend.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { GuardedHeap } from "../../src/backend/wasm/guardedHeap.ts";
import { engine } from "../../src/backend/wasm/platform.ts";
import { conformance } from "./conformance.ts";

conformance("wasm on a guarded heap", () => wasm({ threads: 2, guarded: true }), {
  close: (backend) => (backend as WasmBackend).close(),
});

describe("guarded heap", () => {
  const made = (): { heap: GuardedHeap; bytes: Uint8Array } => {
    if (!engine) throw new Error("no WebAssembly here");
    const memory = new engine.Memory({ initial: 4, maximum: 4, shared: false });
    return { heap: new GuardedHeap(memory, 2048), bytes: new Uint8Array(memory.buffer) };
  };

  for (const bytes of [0, 4, 6, 16, 20, 64, 100, 512, 5000]) {
    it(`a block of ${bytes} bytes is whole until a byte beside it changes, however near or far`, () => {
      const { heap, bytes: memory } = made();
      const block = heap.allocate(bytes);
      const other = heap.allocate(bytes);
      memory.fill(1, block, block + Math.ceil(bytes / 16) * 16);
      memory.fill(2, other, other + bytes);
      heap.check("copy");
      for (const [at, side] of [
        [block - 1, "before"],
        [block - 64, "before"],
        [block + Math.ceil(bytes / 16) * 16, "behind"],
        [block + (bytes & -4) + 60, "behind"],
      ] as const) {
        const was = memory[at];
        memory[at] = was ^ 1;
        expect(() => heap.check("copy")).to.throw(BackendError, `kernel copy found or left damage ${side} a block of ${bytes} bytes`);
        memory[at] = was;
        heap.check("copy");
      }
    });
  }

  it("what is new or freed is NaN, and no index", () => {
    const { heap, bytes } = made();
    const block = heap.allocate(40);
    const poisoned = (): void => {
      expect(new Float32Array(bytes.buffer, block, 10).every((x) => Number.isNaN(x))).to.equal(true);
      expect(new Int32Array(bytes.buffer, block, 10).every((x) => x > 2 ** 30)).to.equal(true);
    };
    poisoned();
    bytes.fill(0, block, block + 40);
    heap.release(block, 40);
    poisoned();
  });

  it("a block that was written after it was freed is found when it is handed out again", () => {
    const { heap, bytes } = made();
    const block = heap.allocate(40);
    heap.release(block, 40);
    expect(heap.allocate(40)).to.equal(block);
    heap.release(block, 40);
    bytes[block + 8] = 0;
    expect(() => heap.allocate(40)).to.throw(BackendError, "a block was written after it was freed, before byte 8 of 40");
  });

  it("damage is found at the latest when the block is freed", () => {
    const { heap, bytes } = made();
    const block = heap.allocate(40);
    bytes[block + 48] = 0;
    expect(() => heap.release(block, 40)).to.throw(BackendError, "damage behind a block of 40 bytes");
  });
});
