import { expect } from "chai";
import { BackendError } from "../../src/backend/backend.ts";
import type { ArrayType, Buffer, NDArray } from "../../src/backend/backend.ts";
import { sizeOf, stridesOf } from "../../src/backend/shape.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { Module } from "../../src/backend/wasm/assembler.ts";
import { f32, i32, unreachable } from "../../src/backend/wasm/instructions.ts";
import { engine, startThread } from "../../src/backend/wasm/platform.ts";
import type { Exported } from "../../src/backend/wasm/platform.ts";
import { Threads } from "../../src/backend/wasm/threads.ts";

const float = (...shape: number[]): ArrayType => ({ shape, dtype: "float32" });

function whole(type: ArrayType, buffer: Buffer): NDArray {
  return { ...type, buffer, strides: stridesOf(type.shape), offset: 0 };
}

/** Numbers that look random and are the same each time. */
function put(backend: WasmBackend, type: ArrayType, seed: number): NDArray {
  return whole(
    type,
    backend.upload(
      type,
      Float32Array.from({ length: sizeOf(type.shape) }, (_, i) => Math.sin(seed + i * 1.7) * 2),
    ),
  );
}

const bytesOf = (backend: WasmBackend, type: ArrayType, buffer: Buffer): Buffer & { data: number[] } => ({
  bytes: buffer.bytes,
  data: [...new Uint32Array(backend.downloadSync(buffer, type).buffer)],
});

/** One of each kind of kernel that threads share, large enough that they do. */
function results(backend: WasmBackend): Record<string, number[]> {
  const [x, y] = [put(backend, float(200, 300), 1), put(backend, float(300, 200), 2)];
  const tall = put(backend, float(4000, 100), 3);
  const [q, k, v] = [4, 5, 6].map((seed) => put(backend, float(3, 4, 50, 20), seed));
  const bias = put(backend, float(4, 50, 50), 7);
  const row = put(backend, float(100), 8);
  const index = whole(
    { shape: [6000, 2], dtype: "int32" },
    backend.upload(
      { shape: [6000, 2], dtype: "int32" },
      Int32Array.from({ length: 12000 }, (_, i) => ((i * 37) % 4001) - 1),
    ),
  );
  const offsets = whole({ shape: [4], dtype: "int32" }, backend.upload({ shape: [4], dtype: "int32" }, Int32Array.of(0, 70, 71, 190)));
  const { attention, layerNorm, softmax } = backend.fused;
  const attended = attention?.forward(q, [q, k, v, bias], { scale: 0.2, causal: true });
  const normed = layerNorm?.forward(tall, [tall, row, row], { eps: 1e-5 });
  if (!attention || !attended || !layerNorm || !normed || !softmax) throw new Error("not served");
  const back = attention.backward(q, whole(q, attended.out), attended.saved, [q, k, v, bias], [true, true, true, true], {
    scale: 0.2,
    causal: true,
  });
  const normBack = layerNorm.backward(tall, whole(tall, normed.out), normed.saved, [tall, row, row], [true, true, true], { eps: 1e-5 });
  const weight = put(backend, float(3, 300, 64), 9);
  const int = (...shape: number[]): ArrayType => ({ shape, dtype: "int32" });
  const chosen = { ...index, shape: [10, 1200], strides: [1200, 1] };
  const made: [string, ArrayType, Buffer | null][] = [
    ["argsort", int(200, 300), backend.argsort(int(200, 300), x, true)],
    ["rank", int(200, 300), backend.rank(int(200, 300), x, false)],
    ["top 3", int(4000, 3), backend.topK(int(4000, 3), tall)],
    ["top 40", int(200, 40), backend.topK(int(200, 40), x)],
    ["argmin", int(4000), backend.argReduce("argmin", int(4000), tall, 1)],
    ["count earlier", chosen, backend.countEarlier(chosen, chosen)],
    ["invert", int(10, 4001), backend.invert(int(10, 4001), chosen)],
    ["bincount", int(10, 4001), backend.bincount(int(10, 4001), chosen)],
    ["matmul", float(200, 200), backend.matmul(float(200, 200), x, y)],
    ["matmul of a transpose", float(300, 300), backend.matmul(float(300, 300), { ...x, shape: [300, 200], strides: [1, 300] }, { ...y, shape: [200, 300], strides: [1, 200] })],
    ["wide matmul", float(8, 200), backend.matmul(float(8, 200), { ...x, shape: [8, 300] }, y)],
    ["grouped matmul", float(200, 64), backend.groupedMatmul(float(200, 64), x, weight, offsets)],
    ["grouped outer", float(3, 300, 300), backend.groupedOuter(float(3, 300, 300), x, x, offsets)],
    ["gelu", tall, backend.fused.biasActivation?.forward(tall, [tall, row], { activation: "gelu" })?.out ?? null],
    ["uniform", tall, backend.uniform(tall, [2049, 1, 4095, 4095, 3001, 0, 2777, 77])],
    ["exp", tall, backend.unary("exp", tall, tall)],
    ["add a row", tall, backend.binary("add", tall, tall, row)],
    ["sum of columns", row, backend.reduce("sum", row, tall, [0])],
    ["sum of rows", float(4000), backend.reduce("sum", float(4000), tall, [1])],
    ["softmax", tall, softmax.forward(tall, [tall], null)?.out ?? null],
    ["transpose", float(100, 4000), backend.copy(float(100, 4000), { ...tall, shape: [100, 4000], strides: [1, 100] })],
    ["gather rows", float(6000, 100), backend.gatherRows(float(6000, 100), tall, index)],
    ["add rows", tall, backend.addRows(tall, whole(float(12000, 100), backend.gatherRows(float(12000, 100), tall, { ...index, shape: [12000, 1], strides: [1, 1] })), { ...index, shape: [12000], strides: [1] })],
    ["attention", q, attended.out],
    ...["dq", "dk", "dv"].map((name, i): [string, ArrayType, Buffer | null] => [`attention ${name}`, q, back[i]]),
    ["attention dBias", bias, back[3]],
    ["layer norm", tall, normed.out],
    ["layer norm dx", tall, normBack[0]],
    ["layer norm dw", row, normBack[1]],
    ["layer norm db", row, normBack[2]],
  ]; // prettier-ignore
  return Object.fromEntries(made.map(([name, type, buffer]) => [name, buffer ? bytesOf(backend, type, buffer).data : []]));
}

describe("wasm threads", () => {
  it("the number of threads does not show in a single bit", async () => {
    const all = [];
    for (const threads of [1, 2, 3]) {
      const backend = await wasm({ threads });
      expect(backend.threads).to.equal(threads);
      all.push(results(backend));
      backend.close();
    }
    const [one, ...others] = all;
    for (const other of others) {
      for (const [name, bits] of Object.entries(one)) {
        expect(bits, name).to.have.length.above(0);
        const first = bits.findIndex((word, i) => word !== other[name][i]);
        expect(first, `${name}: the first element that differs`).to.equal(-1);
      }
    }
  });

  it("what cannot be had is an error with the number", async () => {
    for (const threads of [0, 1.5, 65, NaN]) {
      const error = await wasm({ threads }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(BackendError);
      expect(String(error)).to.include(`threads: ${threads}`);
    }
  });

  it("after close, a kernel is an error", async () => {
    const backend = await wasm({ threads: 2 });
    const x = put(backend, float(8), 1);
    backend.close();
    expect(() => backend.unary("exp", x, x)).to.throw(BackendError, "closed");
  });
});

/** A pool of two threads with kernels of the test's own. `slow` keeps the caller's thread busy, so that the worker gets its share. */
async function pool(): Promise<Threads> {
  if (!engine) throw new Error("no WebAssembly");
  const limits = { initial: 1, maximum: 1, shared: true };
  const module = new Module(limits);
  const thread = module.global("thread");
  module.export("trap", { begin: "i32", end: "i32" }, (f) => {
    f.if(
      thread,
      () => f.do(unreachable),
      () => f.for(0, 20_000_000, 1, () => {}),
    );
  });
  module.export("who", { at: "i32", begin: "i32", end: "i32" }, (f, { at, begin, end }) => {
    f.for(begin, end, 1, (item) => {
      f.for(0, 3_000_000, 1, () => {});
      f.do(i32.store(i32.add(at, i32.shl(item, 2)), i32.add(thread, 1)));
    });
  });
  module.export("fraction", { at: "i32", x: "f32", begin: "i32", end: "i32" }, (f, { at, x, begin }) =>
    f.do(f32.store(i32.add(at, i32.shl(begin, 2)), x)),
  );
  const memory = new engine.Memory(limits);
  const compiled = new engine.Module(module.bytes());
  const threads = await Threads.start(compiled, new engine.Instance(compiled, { env: { memory } }).exports as Exported, memory, 2);
  words.set(threads, new Int32Array(memory.buffer));
  return threads;
}

const words = new WeakMap<Threads, Int32Array>();

describe("wasm thread pool", () => {
  it("does every item once, on both threads", async () => {
    const threads = await pool();
    for (const items of [1, 2, 5, 6, 7, 40]) {
      words.get(threads)?.fill(0, 1024, 1100);
      threads.run("who", items, [4096], true);
      const by = [...(words.get(threads)?.subarray(1024, 1024 + items + 1) ?? [])];
      expect(by.pop(), "one item behind the last").to.equal(0);
      expect(
        by.every((who) => who === 1 || who === 2),
        String(by),
      ).to.equal(true);
      if (items === 40) expect(new Set(by).size).to.equal(2);
    }
    threads.stop();
  });

  it("hands floats over whole", async () => {
    const threads = await pool();
    threads.run("fraction", 2, [4096, 0.1], true);
    const memory = words.get(threads);
    expect(memory && new Float32Array(memory.buffer)[1024]).to.equal(Math.fround(0.1));
    threads.stop();
  });

  it("a worker that fails is named with its kernel", async () => {
    const threads = await pool();
    expect(() => threads.run("trap", 6, [], true)).to.throw(BackendError, "worker 1 failed in kernel trap");
    threads.stop();
  });

  it("a worker that dies is reported", async () => {
    const source = `const { parentPort } = require("node:worker_threads"); parentPort.postMessage(0); setTimeout(() => process.exit(3), 5);`;
    const reason = await new Promise<string>((resolve) => void startThread(source, {}, resolve));
    expect(reason).to.include("exit code 3");
  });
});
