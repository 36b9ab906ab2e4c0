/** What is particular to gpu.js: modes, memories, what float32 memory can hold, and the sources of kernels. */
import { expect } from "chai";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuBackend } from "../../src/backend/gpu/index.ts";
import { assertMode } from "../../src/backend/gpu/device.ts";
import type { GpuKernel } from "../../src/backend/gpu/library.ts";
import { gridOf, indexOf, merge, readingAt } from "../../src/backend/gpu/source/grid.ts";

const vector = (n: number) => ({ shape: [n], dtype: "float32" }) as const;

describe("gpu.js modes", () => {
  let backend: GpuBackend;
  before(async () => void (backend = await gpu({ mode: "webasm" })));
  after(() => backend.destroy());

  it("says what really runs", () => {
    expect(backend.mode).to.equal("webasm");
    expect(backend.description).to.include("WebAssembly");
  });

  it("refuses a mode that is not available, instead of taking another", async () => {
    const refused = await gpu({ mode: "webgl2" }).catch((error: Error) => error);
    expect(refused).to.be.an("error");
    expect(String(refused)).to.include('mode "webgl2" is not available here');
  });

  it("calls a kernel that fell back an error", () => {
    const kernel = { kernel: { constructor: { mode: "cpu", name: "CPUKernel" }, fallbackReason: "no memory" } } as unknown as GpuKernel;
    expect(() => assertMode(kernel, "webasm")).to.throw('ran in mode "cpu" instead of "webasm": no memory');
  });

  it("shares memories between the kernels of the WebAssembly mode", () => {
    const scope = globalThis as unknown as { WebAssembly: { Memory: new (descriptor: object) => object } };
    const { Memory } = scope.WebAssembly;
    let made = 0;
    scope.WebAssembly.Memory = class extends Memory {
      constructor(descriptor: object) {
        super(descriptor);
        made++;
      }
    };
    try {
      for (let n = 1; n <= 150; n++) {
        const x = backend.upload(vector(n), new Float32Array(n).fill(n));
        const view = { ...vector(n), buffer: x, strides: [1], offset: 0 };
        expect(backend.downloadSync?.(backend.binary("add", vector(n), view, view), vector(n))).to.deep.equal(
          new Float32Array(n).fill(2 * n),
        );
      }
    } finally {
      scope.WebAssembly.Memory = Memory;
    }
    expect(made).to.be.at.most(2);
  });

  it("keeps whole numbers exact up to 2^24 and refuses larger ones", () => {
    const upload = (value: number) => backend.upload({ shape: [2], dtype: "int32" }, Int32Array.of(3, value));
    expect(backend.downloadSync?.(upload(2 ** 24), { shape: [2], dtype: "int32" })).to.deep.equal(Int32Array.of(3, 2 ** 24));
    expect(() => backend.full({ shape: [2], dtype: "int32" }, 2 ** 24 + 1)).to.throw(
      "full: element 0 is 16777217, the gpu backend keeps int32 exact",
    );
    expect(() => upload(2 ** 24 + 1)).to.throw("upload: element 1 is 16777217, the gpu backend keeps int32 exact up to 16777216");
  });

  it("refuses data that does not fit its shape", () => {
    expect(() => backend.upload(vector(3), new Float32Array(2))).to.throw("upload: 2 elements for shape [3], which has 3");
  });
});

describe("kernel sources", () => {
  it("write an index from strides and an offset", () => {
    expect(indexOf(["y", "x"], { strides: [12, 1], offset: 3 })).to.equal("y * 12 + x + 3");
    expect(indexOf(["y", "x"], { strides: [-4, 0], offset: 8 })).to.equal("8 - y * 4");
    expect(indexOf([], { strides: [], offset: 0 })).to.equal("0");
  });

  it("find arrays in fewer arguments, and further in", () => {
    const program = { source: "function(a, b, c, lr) {\n  return a[this.thread.x] + b[c[this.thread.x] * 2] * lr;\n}", threads: [3] };
    const places = [
      { argument: 0, start: 5 },
      { argument: 1, start: 0 },
      { argument: 0, start: 0 },
    ];
    expect(readingAt(program, places)).to.deep.equal({
      source: "function(a, b, lr) {\n  return a[5 + this.thread.x] + b[a[this.thread.x] * 2] * lr;\n}",
      threads: [3],
    });
    expect(
      readingAt(
        program,
        [0, 1, 2].map((argument) => ({ argument, start: 0 })),
      ),
    ).to.deep.equal(program);
  });

  it("merge axes that lie one behind the other in every operand", () => {
    const contiguous = { strides: [12, 4, 1], offset: 0 };
    expect(merge([2, 3, 4], [contiguous]).shape).to.deep.equal([24]);
    expect(merge([2, 3, 4], [contiguous, { strides: [1, 0, 0], offset: 5 }])).to.deep.equal({
      shape: [2, 12],
      layouts: [
        { strides: [12, 1], offset: 0 },
        { strides: [1, 0], offset: 5 },
      ],
    });
  });

  it("use the device's axes where they fit, and number elements where they do not", () => {
    const limits = { side: 100 };
    expect(gridOf([3, 20], limits)).to.deep.equal({ threads: [20, 3], coordinates: ["this.thread.y", "this.thread.x"], prelude: "" });
    expect(gridOf([3, 200], limits).threads).to.deep.equal([600]);
    expect(gridOf([70_000, 2, 30], limits).threads).to.deep.equal([4_200_000]);
    expect(gridOf([5, 6, 7, 8], limits).threads).to.deep.equal([8, 7, 30]);
  });
});
