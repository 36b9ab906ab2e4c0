/** The launcher on a device of our own: order, errors, limits, the cache and the memory account, without gpu.js. */
import { expect } from "chai";
import type { ArrayType, NDArray } from "../../src/backend/backend.ts";
import type { CompiledKernel, Device, Handle, Program } from "../../src/backend/gpu/device.ts";
import { Launcher } from "../../src/backend/gpu/launcher.ts";
import { Queue } from "../../src/backend/gpu/queue.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Kernels add the sum of the first elements of their inputs; "fail" fails. Every result takes a turn of the event loop to arrive. */
class SlowDevice implements Device {
  readonly mode = "webgpu";
  readonly description = "slow";
  readonly synchronous: boolean = false;
  readonly hostMath = true;
  readonly lanes = "rows";
  readonly limits = { arrays: 2, elements: 2 ** 22, side: 64, kernels: 3, together: 1 };
  readonly log: string[] = [];

  compile({ source }: Program): CompiledKernel {
    this.log.push(`compile ${source}`);
    return {
      run: (inputs, scalars) => {
        this.log.push(`run ${source}`);
        if (source === "fail") throw new Error("out of luck");
        const sum = inputs.map((x) => (x as Float32Array)[0]).reduce((a, b) => a + b, scalars[0] ?? 0);
        return this.later(Float32Array.of(sum));
      },
      shader: () => undefined,
      destroy: () => void this.log.push(`destroy ${source}`),
    };
  }
  protected later(handle: Handle): Handle | Promise<Handle> {
    return turn().then(() => handle);
  }
  upload(data: Float32Array): Handle {
    return data;
  }
  read(handle: Handle, n: number): Promise<Float32Array> {
    return turn().then(() => (handle as Float32Array).slice(0, n));
  }
  free(): void {
    this.log.push("free");
  }
  settle(): void {
    this.log.push("settle");
  }
  async destroy(): Promise<void> {}
}

class PromptDevice extends SlowDevice {
  override readonly synchronous = true;
  protected override later(handle: Handle): Handle {
    return handle;
  }
}

const scalar: ArrayType = { shape: [1], dtype: "float32" };

function bench(device = new SlowDevice()) {
  const launcher = new Launcher(device);
  const view = (buffer: NDArray["buffer"], { shape, dtype } = scalar): NDArray => ({ shape, dtype, buffer, strides: [1], offset: 0 });
  const one = (value: number): NDArray => view(launcher.upload(scalar, Float32Array.of(value)));
  const run = (source: string, ...inputs: NDArray[]): NDArray =>
    view(launcher.launch({ name: source, out: scalar, inputs, program: () => ({ source, threads: [1] }) }));
  return { device, launcher, one, run };
}

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => expect.fail("it succeeded"),
    (error: Error) => error.message,
  );
}

describe("gpu launcher", () => {
  it("answers at once and fills results in order", async () => {
    const { launcher, one, run } = bench();
    const [x, y] = [one(1), one(2)];
    let sum = run("add", x, y);
    for (let i = 0; i < 5; i++) sum = run("add", sum, y);
    expect(await launcher.read(sum.buffer, 1)).to.deep.equal(Float32Array.of(13));
  });

  it("lets a kernel that waits read a buffer that was freed after its launch", async () => {
    const { device, launcher, one, run } = bench();
    const [x, y] = [one(1), one(2)];
    const sum = run("add", run("slow", x), y);
    launcher.free(x.buffer);
    launcher.free(y.buffer);
    expect(await launcher.read(sum.buffer, 1)).to.deep.equal(Float32Array.of(3));
    expect(device.log.indexOf("free")).to.be.greaterThan(device.log.indexOf("run add"));
  });

  it("carries the first error to whoever reads, with the operation's name and shapes", async () => {
    const { launcher, one, run } = bench();
    const bad = run("fail", one(1), one(2));
    const after = run("add", bad, one(3));
    expect(await failure(launcher.read(after.buffer, 1))).to.equal("fail: [1] x [1] -> [1]: out of luck");
    const fine = run("add", one(4));
    expect(await launcher.read(fine.buffer, 1)).to.deep.equal(Float32Array.of(4));
  });

  it("throws at once where the device computes at once", () => {
    const { launcher, one, run } = bench(new PromptDevice());
    const x = one(1);
    const { liveBuffers } = launcher.stats();
    expect(() => run("fail", x)).to.throw("fail: [1] -> [1]: out of luck");
    expect(launcher.stats().liveBuffers).to.equal(liveBuffers);
  });

  it("compiles a kernel once for the same name, shapes and strides, and forgets the one unused for longest", async () => {
    const { device, launcher, one, run } = bench();
    const x = one(1);
    for (const source of ["a", "b", "a", "c", "d", "a", "b"]) run(source, x);
    await launcher.read(run("a", x).buffer, 1);
    const compiled = device.log.filter((line) => line.startsWith("compile"));
    expect(compiled).to.deep.equal(["compile a", "compile b", "compile c", "compile d", "compile b"]);
    expect(device.log.filter((line) => line.startsWith("destroy"))).to.deep.equal(["destroy b", "destroy c"]);
  });

  it("names the limits: arrays of a kernel, elements of an array", () => {
    const { launcher, one, run } = bench();
    expect(() => run("add", one(1), one(2), one(3))).to.throw("3 arrays, a webgpu kernel takes at most 2");
    const out: ArrayType = { shape: [2 ** 22 + 1], dtype: "float32" };
    const launch = () => launcher.launch({ name: "huge", out, inputs: [], program: () => ({ source: "huge", threads: [1] }) });
    expect(launch).to.throw("huge:  -> [4194305]: 4194305 elements, an array in mode webgpu holds at most 4194304");
  });

  it("refuses buffers of others and buffers that were freed", () => {
    const { launcher, one, run } = bench();
    const x = one(1);
    launcher.free(x.buffer);
    expect(() => run("add", x)).to.throw("add: [1] -> [1]: the buffer (4 bytes) was freed");
    expect(() => run("add", { ...x, buffer: { bytes: 8 } })).to.throw("the buffer (8 bytes) belongs to another backend");
  });

  it("replaces the memory of a buffer, in its turn", async () => {
    const { launcher, one, run } = bench();
    const [x, y, z] = [one(1), one(2), one(2)];
    const before = run("add", x, y);
    const { liveBuffers } = launcher.stats();
    launcher.replace([x.buffer], run("add", y, z).buffer);
    const after = run("add", x, y);
    expect(await launcher.read(before.buffer, 1)).to.deep.equal(Float32Array.of(3));
    expect(await launcher.read(after.buffer, 1)).to.deep.equal(Float32Array.of(6));
    expect(launcher.stats().liveBuffers).to.equal(liveBuffers + 1);
  });

  it("lets several buffers share what one launch made, each from its own place, until the last is freed", async () => {
    const { device, launcher, one, run } = bench();
    const [x, y] = [one(1), one(2)];
    const both = launcher.upload({ shape: [2], dtype: "float32" }, Float32Array.of(7, 8));
    launcher.replace([x.buffer, y.buffer], both);
    expect(await launcher.read(x.buffer, 1)).to.deep.equal(Float32Array.of(7));
    expect(await launcher.read(y.buffer, 1)).to.deep.equal(Float32Array.of(8));
    run("function(a, b) { return a[0] + b[0]; }", x, y);
    await launcher.read(x.buffer, 1);
    expect(device.log).to.include("run function(a) { return a[0] + a[1 + 0]; }");
    const frees = (): number => device.log.filter((line) => line === "free").length;
    const before = frees();
    launcher.free(x.buffer);
    expect(frees()).to.equal(before);
    launcher.free(y.buffer);
    expect(frees()).to.equal(before + 1);
    expect(() => launcher.replace([x.buffer], one(1).buffer)).to.throw("replace: the buffer (4 bytes) was freed");
  });

  it("waits for freed memory after every 64 MB of new results", async () => {
    const { device, launcher } = bench();
    const type: ArrayType = { shape: [2 ** 22], dtype: "float32" };
    for (let i = 0; i < 9; i++) launcher.launch({ name: "big", out: type, inputs: [], program: () => ({ source: "big", threads: [1] }) });
    await launcher.read(launcher.upload(scalar, Float32Array.of(1)), 1);
    expect(device.log.filter((line) => line === "settle")).to.have.length(2);
  });
});

describe("gpu queue", () => {
  it("runs jobs that finish at once without a turn of the event loop, and holds back those behind one that waits", async () => {
    const queue = new Queue();
    const log: number[] = [];
    queue.push(() => void log.push(0));
    expect(log).to.deep.equal([0]);
    queue.push(() => turn().then(() => void log.push(1)));
    for (let i = 2; i < 3000; i++) queue.push(i % 2 ? () => void log.push(i) : () => Promise.resolve().then(() => void log.push(i)));
    expect(log).to.deep.equal([0]);
    await new Promise<void>((resolve) => queue.push(resolve));
    expect(log).to.deep.equal(Array.from({ length: 3000 }, (_, i) => i));
  });
});
