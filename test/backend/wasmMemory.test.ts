import { expect } from "chai";
import fc from "fast-check";
import { BackendError } from "../../src/backend/backend.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import { Heap, MAXIMUM_PAGES, PAGE, classOf } from "../../src/backend/wasm/memory.ts";
import type { LinearMemory } from "../../src/backend/wasm/platform.ts";

/** A memory of numbers only: nothing is stored, so 4 GiB cost nothing. */
function imaginary(pages: number, limit = MAXIMUM_PAGES): LinearMemory & { pages: number } {
  return {
    pages,
    get buffer() {
      return { byteLength: this.pages * PAGE } as ArrayBuffer;
    },
    grow(more: number) {
      if (this.pages + more > limit) throw new RangeError("memory.grow");
      return (this.pages += more) - more;
    },
  };
}

describe("wasm heap", () => {
  it("classes hold what is asked for, waste at most a quarter beyond a cache line, and keep lines whole", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (bytes) => {
        const size = classOf(bytes);
        expect(size).to.be.at.least(Math.max(bytes, 64));
        expect(size).to.be.at.most(Math.max(64, bytes * 1.25 + 64));
        expect(size % 64).to.equal(0);
        expect(classOf(size)).to.equal(size);
      }),
    );
  });

  it("live blocks never overlap, and stay inside the memory", () => {
    const step = fc.record({ bytes: fc.integer({ min: 0, max: 200_000 }), free: fc.nat(), frees: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const memory = imaginary(1);
        const heap = new Heap(memory, 2048);
        const live: { address: number; bytes: number }[] = [];
        for (const { bytes, free, frees } of steps) {
          if (frees && live.length > 0) {
            const [block] = live.splice(free % live.length, 1);
            heap.release(block.address, block.bytes);
            continue;
          }
          const address = heap.allocate(bytes);
          expect(address).to.be.at.least(2048);
          expect(address + bytes).to.be.at.most(memory.pages * PAGE);
          for (const other of live) {
            const apart = address + Math.max(bytes, 1) <= other.address || other.address + Math.max(other.bytes, 1) <= address;
            expect(apart, `${address}+${bytes} and ${other.address}+${other.bytes}`).to.equal(true);
          }
          live.push({ address, bytes });
        }
      }),
    );
  });

  it("what one phase freed in small pieces serves another's large ones", () => {
    const memory = imaginary(1);
    const heap = new Heap(memory, 2048);
    const small = Array.from({ length: 1000 }, () => heap.allocate(10_000));
    for (const address of small) heap.release(address, 10_000);
    const { pages } = memory;
    const large = heap.allocate(5_000_000);
    expect(memory.pages).to.equal(pages);
    heap.release(large, 5_000_000);
    for (let i = 0; i < 900; i++) heap.allocate(10_000);
    expect(memory.pages).to.equal(pages);
  });

  it("at the limit, an error says how much there was and names scope()", () => {
    const heap = new Heap(imaginary(1), 2048);
    expect(() => {
      for (;;) heap.allocate(2 ** 28);
    }).to.throw(BackendError, /268435456 bytes.*4294967296.*scope\(\)/);
    // Smaller things still fit.
    expect(heap.allocate(1000)).to.be.above(0);
  });

  it("takes the least where the engine refuses the comfortable growth", () => {
    const memory = imaginary(92, 97);
    const heap = new Heap(memory, 2048);
    heap.allocate(96 * PAGE);
    expect(memory.pages).to.equal(97);
  });
});

describe("wasm memory", () => {
  it("2,000 steps of the same shapes reuse the memory of the first", async () => {
    const backend = await wasm({ threads: 1 });
    const type = { shape: [50, 40], dtype: "float32" } as const;
    const step = (): void => {
      const buffers = [backend.full(type, 1)];
      const x = { ...type, buffer: buffers[0], strides: [1, 50], offset: 0 };
      buffers.push(
        backend.copy(type, x),
        backend.unary("exp", type, x),
        backend.matmul({ shape: [50, 50], dtype: "float32" }, x, { ...x, shape: [40, 50], strides: [50, 1] }),
      );
      for (const buffer of buffers) backend.free(buffer);
    };
    step();
    const { peakBytes } = backend.stats();
    const { memoryBytes } = backend;
    for (let i = 0; i < 2000; i++) step();
    expect(backend.stats()).to.include({ liveBuffers: 0, liveBytes: 0, peakBytes });
    expect(backend.memoryBytes).to.equal(memoryBytes);
  });

  it("grows with what lives, and keeps what it held", async () => {
    const backend = await wasm({ threads: 2 });
    const type = { shape: [1_000_000], dtype: "float32" } as const;
    const buffers = Array.from({ length: 8 }, (_, i) => backend.full(type, i));
    expect(backend.memoryBytes).to.be.at.least(32_000_000);
    const sum = buffers.slice(1).reduce((total, buffer) => {
      const [x, y] = [total, buffer].map((b) => ({ ...type, buffer: b, strides: [1], offset: 0 }));
      return backend.binary("add", type, x, y);
    }, buffers[0]);
    const data = backend.downloadSync(sum, type);
    expect([data[0], data[999_999]]).to.deep.equal([28, 28]);
    backend.close();
  });

  it("a buffer that was freed, or is another backend's, is an error", async () => {
    const [one, two] = [await wasm({ threads: 1 }), await wasm({ threads: 1 })];
    const type = { shape: [3], dtype: "float32" } as const;
    const buffer = one.full(type, 1);
    const x = { ...type, buffer, strides: [1], offset: 0 };
    expect(() => two.unary("exp", type, { ...x, buffer: { bytes: 12 } })).to.throw(BackendError, "another backend");
    one.free(buffer);
    expect(() => one.unary("exp", type, x)).to.throw(BackendError, "was freed");
  });
});
