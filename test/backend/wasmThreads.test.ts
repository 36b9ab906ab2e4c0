import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { buildSync } from "esbuild";
import { BackendError } from "../../src/backend/backend.ts";
import type { ArrayType, Buffer, NDArray } from "../../src/backend/backend.ts";
import { sizeOf, stridesOf } from "../../src/backend/shape.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { startThread } from "../../src/backend/wasm/platform.ts";
import { TICKET } from "../../src/backend/wasm/threads.ts";
import { pool } from "./threadPool.ts";

/** Nanoseconds of work that all threads share. */
const WORTH_IT = 1e5;

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
  const attended = attention?.forward(float(3, 50, 4, 20), [q, k, v, bias], { scale: 0.2, causal: true });
  const normed = layerNorm?.forward(tall, [tall, row, row], { eps: 1e-5 });
  if (!attention || !attended || !layerNorm || !normed || !softmax) throw new Error("not served");
  const back = attention.backward(
    whole(float(3, 50, 4, 20), q.buffer),
    whole(float(3, 50, 4, 20), attended.out),
    attended.saved,
    [q, k, v, bias],
    [true, true, true, true],
    {
      scale: 0.2,
      causal: true,
    },
  );
  const normBack = layerNorm.backward(tall, whole(tall, normed.out), normed.saved, [tall, row, row], [true, true, true], { eps: 1e-5 });
  const weight = put(backend, float(3, 300, 64), 9);
  const int = (...shape: number[]): ArrayType => ({ shape, dtype: "int32" });
  const chosen = { ...index, shape: [10, 1200], strides: [1200, 1] };
  const places = whole(chosen, backend.unary("relu", chosen, chosen));
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
    ["sin", tall, backend.unary("sin", tall, tall)],
    ["pow", tall, backend.binary("pow", tall, tall, row)],
    ["mod", tall, backend.binary("mod", tall, tall, row)],
    ["quotients", index, backend.binary("floorDiv", index, index, index)],
    ["running sums", tall, backend.cumsum(tall, tall, 0, true, false)],
    ["running sums of rows", tall, backend.cumsum(tall, tall, 1, false, true)],
    ["take along", float(10, 1200), backend.takeAlong(float(10, 1200), { ...tall, shape: [10, 40000], strides: [40000, 1] }, places, 1)],
    ["add along", float(10, 4001), backend.addAlong(float(10, 4001), { ...tall, shape: [10, 1200], strides: [1200, 1] }, places, 1)],
    ["add a row", tall, backend.binary("add", tall, tall, row)],
    ["sum of columns", row, backend.reduce("sum", row, tall, [0])],
    ["sum of rows", float(4000), backend.reduce("sum", float(4000), tall, [1])],
    ["softmax", tall, softmax.forward(tall, [tall], null)?.out ?? null],
    ["transpose", float(100, 4000), backend.copy(float(100, 4000), { ...tall, shape: [100, 4000], strides: [1, 100] })],
    ["gather rows", float(6000, 100), backend.gatherRows(float(6000, 100), tall, index)],
    ["add rows", tall, backend.addRows(tall, whole(float(12000, 100), backend.gatherRows(float(12000, 100), tall, { ...index, shape: [12000, 1], strides: [1, 1] })), { ...places, shape: [12000], strides: [1] })],
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
  it("the number of threads does not show in a single bit", async function () {
    this.timeout(120_000);
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
      expect(error).to.be.instanceOf(RangeError);
      expect(String(error)).to.include(`wasm: threads ${threads}: want a whole number from 1 to 64`);
    }
  });

  it("an option that is none is an error with the nearest", async () => {
    const error: unknown = await wasm({ thread: 2 } as object).catch((reason: unknown) => reason);
    expect(String(error)).to.include("wasm: there is no option thread; did you mean threads?");
  });

  it("where Node forbids worker threads there is one, and the description says why", function () {
    this.timeout(120_000);
    const folder = mkdtempSync(join(tmpdir(), "switchyard-"));
    try {
      const [entry, file] = [fileURLToPath(new URL("../../src/backend/wasm/index.ts", import.meta.url)), join(folder, "wasm.mjs")];
      const { outputFiles } = buildSync({ entryPoints: [entry], bundle: true, format: "esm", platform: "node", write: false });
      const told =
        "const backend = await wasm(); console.log(backend.threads, backend.description); await wasm({ threads: 2 }).catch((error) => console.log(error.message));";
      writeFileSync(file, `${outputFiles[0].text}\n${told}`);
      const permission = Number(process.versions.node.split(".")[0]) >= 24 ? "--permission" : "--experimental-permission";
      const { stdout } = spawnSync(process.execPath, [permission, "--allow-fs-read=*", file], { encoding: "utf8" });
      const why = "Node's permission model forbids worker threads (--allow-worker allows them)";
      expect(stdout).to.match(/^1 WebAssembly SIMD.*, 1 thread: Node's permission model/);
      expect(stdout).to.include(`1 thread: ${why}`).and.include(`wasm: threads: 2 were asked for, but ${why}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("where a worker does not start there is one thread, unless more were asked for", async function () {
    if (availableParallelism() < 2) this.skip();
    const module = process.getBuiltinModule("node:worker_threads");
    const { Worker } = module;
    const refuse = function (): never {
      throw new Error("no luck");
    };
    Object.assign(module, { Worker: refuse });
    try {
      const backend = await wasm();
      expect(backend.threads).to.equal(1);
      expect(backend.description).to.match(/1 thread: worker 1 of \d+ did not start: Error: no luck$/);
      const error: unknown = await wasm({ threads: 2 }).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(BackendError).with.property("message", "wasm: worker 1 of 1 did not start: Error: no luck");
    } finally {
      Object.assign(module, { Worker });
    }
  });

  it("leave processors to others where asked, and are one at least", async () => {
    for (const spare of [0, 1, 1000]) {
      const backend = await wasm({ spare });
      expect(backend.threads, `spare ${spare}`).to.equal(Math.max(1, availableParallelism() - spare));
      backend.close();
    }
    const error: unknown = await wasm({ threads: 2, spare: 1 }).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(BackendError).with.property("message", "wasm: threads: 2 and spare: 1: give one of them");
  });

  it("after close, a kernel is an error", async () => {
    const backend = await wasm({ threads: 2 });
    const x = put(backend, float(8), 1);
    backend.close();
    expect(() => backend.unary("exp", x, x)).to.throw(BackendError, "closed");
  });
});

describe("wasm thread pool", () => {
  it("does every item once, on both threads", async () => {
    const { threads, words } = await pool();
    for (const items of [1, 2, 5, 6, 7, 40]) {
      words.fill(0, 1024, 1100);
      threads.run("who", items, [4096], WORTH_IT);
      const by = [...words.subarray(1024, 1024 + items + 1)];
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
    const { threads, words } = await pool();
    threads.run("fraction", 2, [4096, 0.1], WORTH_IT);
    expect(new Float32Array(words.buffer)[1024]).to.equal(Math.fround(0.1));
    threads.stop();
  });

  it("a worker without work sleeps", async () => {
    const { threads, words } = await pool();
    threads.run("who", 6, [4096], WORTH_IT);
    // Whoever sleeps is counted by the call that wakes it. A worker that is busy elsewhere gets some seconds.
    let asleep = 0;
    for (let turn = 0; turn < 3000 && asleep === 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      asleep = Atomics.notify(words, TICKET);
    }
    expect(asleep).to.equal(1);
    threads.run("who", 6, [4096], WORTH_IT);
    threads.stop();
  });

  it("a worker that fails is named with its kernel, by every later call too", async () => {
    const { threads } = await pool();
    expect(() => threads.run("trap", 6, [1], WORTH_IT)).to.throw(BackendError, "wasm: worker 1 failed in kernel trap");
    expect(() => threads.run("who", 6, [4096], WORTH_IT)).to.throw(BackendError, "worker 1 failed in kernel trap; make a new backend");
  });

  it("so is a kernel that fails on the calling thread, while others are at work", async () => {
    const { threads } = await pool();
    expect(() => threads.run("trap", 6, [0], WORTH_IT)).to.throw(BackendError, "wasm: kernel trap failed (RuntimeError: unreachable)");
    expect(() => threads.run("who", 6, [4096], WORTH_IT)).to.throw(BackendError, "kernel trap failed");
  });

  it("a worker that never comes back is named with its kernel", async () => {
    const { threads } = await pool(100);
    expect(() => threads.run("hang", 6, [], WORTH_IT)).to.throw(BackendError, "worker 1 has not come back from kernel hang for 0.1 s");
    expect(() => threads.run("who", 6, [4096], WORTH_IT)).to.throw(BackendError, "kernel hang for 0.1 s; make a new backend");
  });

  it("a worker that dies is reported", async () => {
    const source = `const { parentPort } = require("node:worker_threads"); parentPort.postMessage(0); setTimeout(() => process.exit(3), 5);`;
    const reason = await new Promise<string>((resolve) => void startThread(source, Promise.resolve({}), resolve, 60_000));
    expect(reason).to.include("exit code 3");
  });

  it("a worker that does not start is an error that says why", async () => {
    const failures = {
      "for (;;);": "it did not answer for 0.1 s",
      "process.exit(4)": "it ended with exit code 4",
      'throw new Error("no luck")': "no luck",
    };
    for (const [source, why] of Object.entries(failures)) {
      const error: unknown = await startThread(source, Promise.resolve({}), () => {}, source.startsWith("for") ? 100 : 60_000).catch(
        (e: unknown) => e,
      );
      expect(error, source).to.be.instanceOf(Error).with.property("message").that.includes(why);
    }
    const none = Promise.reject(new Error("no module"));
    const error: unknown = await startThread("", none, () => {}, 60_000).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(Error).with.property("message", "no module");
  });

  // Given so long only so that a program that does not end is a failure.
  for (const [what, said] of [
    ["idle", "idle: 1"],
    ["hang", "wasm: worker 1 has not come back from kernel hang for 0.1 s"],
    ["trap", "wasm: worker 1 failed in kernel trap"],
  ])
    it(`lets the process end: ${what}`, () => {
      const program = fileURLToPath(new URL("threadPool.ts", import.meta.url));
      const { stdout, stderr, status } = spawnSync(process.execPath, ["--import=tsx", program, what], {
        encoding: "utf8",
        timeout: 20_000,
      });
      expect({ stdout: stdout.trim(), stderr, status }).to.deep.equal({ stdout: said, stderr: "", status: 0 });
    }).timeout(30_000);
});
