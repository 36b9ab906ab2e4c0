/**
 * From the naive loop to the final matrix product, one idea at a time: the table of docs/wasm.md. Each step is timed in turn, and again,
 * so that a machine whose speed drifts treats all alike; medians count. Steps of one thread are timed by the processor time they take,
 * which other programs disturb least; threads by the clock. Also: what a vector function costs per number.
 *
 * Usage: node --import=tsx bench/kernels.ts [SIZE] [ROUNDS]
 */
import { cpu } from "../src/backend/index.ts";
import type { Backend, NDArray } from "../src/backend/index.ts";
import { Module } from "../src/backend/wasm/assembler.ts";
import { wasm } from "../src/backend/wasm/index.ts";
import type { WasmBackend } from "../src/backend/wasm/index.ts";
import { f32, f32x4, i32, v128 } from "../src/backend/wasm/instructions.ts";
import { arithmeticOf } from "../src/backend/wasm/kernels/arithmetic.ts";
import { GEMM_SCRATCH, NR, matmulKernels } from "../src/backend/wasm/kernels/matmul.ts";
import { hasRelaxedSimd } from "../src/backend/wasm/module.ts";
import { engine } from "../src/backend/wasm/platform.ts";
import type { Exported } from "../src/backend/wasm/platform.ts";

interface Step {
  readonly name: string;
  /** Measured by the clock, because it runs on several threads. */
  readonly threads?: boolean;
  readonly run: () => void;
}

const SIZE = Number(process.argv[2] ?? 512);
const ROUNDS = Number(process.argv[3] ?? 7);
const MATRIX = { c: "i32", a: "i32", b: "i32", n: "i32" } as const;

/** One number at a time: the three loops of a textbook. */
function naive(m: Module): void {
  m.export("naive", MATRIX, (f, { c, a, b, n }) => {
    const row = f.let(i32.shl(n, 2));
    f.for(0, n, 1, (i) => {
      f.for(0, n, 1, (j) => {
        const sum = f.local("f32");
        f.set(sum, 0);
        const x = f.let(i32.add(a, i32.mul(i, row)));
        const y = f.let(i32.add(b, i32.shl(j, 2)));
        f.for(0, n, 1, () => {
          f.set(sum, f32.add(sum, f32.mul(f32.load(x), f32.load(y))));
          f.set(x, i32.add(x, 4));
          f.set(y, i32.add(y, row));
        });
        f.do(f32.store(i32.add(c, i32.add(i32.mul(i, row), i32.shl(j, 2))), sum));
      });
    });
  });
}

/** Four columns at a time: a row of C takes in one row of B after the other. C is loaded and stored for every product. */
function vectors(m: Module): void {
  m.export("vectors", MATRIX, (f, { c, a, b, n }) => {
    const row = f.let(i32.shl(n, 2));
    f.for(0, n, 1, (i) => {
      const to = f.let(i32.add(c, i32.mul(i, row)));
      f.for(0, row, 16, (j) => f.do(v128.store(i32.add(to, j), 0)));
      f.for(0, n, 1, (k) => {
        const x = f.let(v128.load32Splat(i32.add(a, i32.add(i32.mul(i, row), i32.shl(k, 2)))));
        const y = f.let(i32.add(b, i32.mul(k, row)));
        f.for(0, row, 16, (j) => {
          f.do(v128.store(i32.add(to, j), f32x4.add(v128.load(i32.add(to, j)), f32x4.mul(x, v128.load(i32.add(y, j))))));
        });
      });
    });
  });
}

/** The kernels above, and ours, over one memory with two matrices in it. */
function assembled(): Step[] {
  if (!engine) throw new Error("no WebAssembly");
  const [at, bytes] = [4096, 4 * SIZE * SIZE];
  const limits = { initial: Math.ceil((4 * bytes + GEMM_SCRATCH) / 65536) + 2, maximum: 65536, shared: false };
  const module = new Module(limits);
  const modern = hasRelaxedSimd();
  naive(module);
  vectors(module);
  matmulKernels(module, arithmeticOf({ modern, relaxed: false }, module.global("thread")));
  const memory = new engine.Memory(limits); // before any array of it: it does not grow
  new Float32Array(memory.buffer, at, 2 * SIZE * SIZE).forEach((_, i, all) => (all[i] = Math.sin(i)));
  const kernels = new engine.Instance(new engine.Module(module.bytes()), { env: { memory } }).exports as Exported;
  const [a, b, c, panels, scratch] = [0, 1, 2, 3, 4].map((k) => at + k * bytes);
  const row = 4 * SIZE;
  const tiles = (bAt: number, bRow: number, bPanel: number): void =>
    void kernels.matmul(c, 0, row, a, 0, row, 4, bAt, 0, bRow, bPanel, SIZE, SIZE, SIZE, SIZE, SIZE, NO_BIAS, scratch, 0, 1);
  const [x, y, z] = [a, b, c].map((place) => new Float32Array(memory.buffer, place, SIZE * SIZE));
  const steps: Step[] = [
    { name: "three loops, one number at a time", run: () => kernels.naive(c, a, b, SIZE) },
    { name: "rows of B, four columns at a time", run: () => kernels.vectors(c, a, b, SIZE) },
    { name: "a 4x8 tile in registers, K in blocks, A packed, B where it lies", run: () => tiles(b, row, 4 * NR) },
    {
      name: "the same, B packed into panels",
      run: () => {
        kernels.packB(panels, b, 0, row, 4, SIZE, SIZE, 0, Math.ceil(SIZE / NR));
        tiles(panels, 4 * NR, 4 * NR * SIZE);
      },
    },
  ];
  for (const { name, run } of steps) {
    z.fill(NaN);
    run();
    requireProduct(name, x, y, z);
  }
  return steps;
}

const NO_BIAS = 0;

/** Throws where z is not x y: a kernel that is called wrongly may be fast. Looks at one number of each row. */
function requireProduct(name: string, x: Float32Array, y: Float32Array, z: Float32Array): void {
  for (let i = 0; i < SIZE; i++) {
    const j = (7 * i) % SIZE;
    let sum = 0;
    for (let k = 0; k < SIZE; k++) sum += x[SIZE * i + k] * y[SIZE * k + j];
    const got = z[SIZE * i + j];
    if (!(Math.abs(got - sum) <= 1e-5 * SIZE)) throw new Error(`${name}: element [${i}, ${j}] is ${got}, the product has ${sum}`);
  }
}

function product(name: string, backend: Backend): Step {
  const type = { shape: [SIZE, SIZE], dtype: "float32" } as const;
  const make = (): NDArray => {
    const data = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i));
    return { ...type, buffer: backend.upload(type, data), strides: [SIZE, 1], offset: 0 };
  };
  const [x, y] = [make(), make()];
  return { name, run: () => backend.free(backend.matmul(type, x, y)) };
}

const median = (values: readonly number[]): number => values.toSorted((x, y) => x - y)[values.length >> 1];

/** Seconds of one run of each step: medians over rounds in which each has its turn. */
function interleaved(steps: readonly Step[], rounds: number): number[] {
  const times = steps.map(() => [] as number[]);
  for (const { run } of steps) for (let i = 0; i < 3; i++) run();
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run, threads }] of steps.entries()) {
      const now = threads ? () => performance.now() * 1000 : () => process.cpuUsage().user;
      const start = now();
      let runs = 0;
      for (; now() - start < 50_000; runs++) run();
      times[i].push((now() - start) / runs / 1e6);
    }
  }
  return times.map(median);
}

function vectorFunctions(backend: WasmBackend, reference: Backend): void {
  const type = { shape: [65536], dtype: "float32" } as const;
  const data = Float32Array.from({ length: 65536 }, (_, i) => (i - 32768) / 8192);
  console.log("\n| ns per number | assembled | TypeScript |\n|---|---|---|");
  for (const op of ["exp", "log", "tanh", "sigmoid", "erf", "normalCdf", "sqrt"] as const) {
    const steps = [backend, reference].map((device): Step => {
      const x = { ...type, buffer: device.upload(type, data), strides: [1], offset: 0 };
      return { name: op, run: () => device.free(device.unary(op, type, x)) };
    });
    const [ours, theirs] = interleaved(steps, 3).map((seconds) => ((seconds * 1e9) / 65536).toFixed(2));
    console.log(`| ${op} | ${ours} | ${theirs} |`);
  }
}

async function main(): Promise<void> {
  const one = await wasm({ threads: 1, deterministic: true });
  const all = await wasm();
  const steps = [
    product("plain TypeScript, blocked", cpu()),
    ...assembled(),
    product("the same from the backend, its memory and checks included", one),
  ];
  if (hasRelaxedSimd()) steps.push(product("the same with a 6x8 tile and fused multiply-add", await wasm({ threads: 1 })));
  if (all.threads > 1) steps.push({ ...product(`${all.threads} threads`, all), threads: true });
  console.log(
    `matmul ${SIZE}^3, float32, Node ${process.version}, median of ${ROUNDS} interleaved rounds\n\n| step | GFLOP/s |\n|---|---|`,
  );
  for (const [i, seconds] of interleaved(steps, ROUNDS).entries()) {
    console.log(`| ${steps[i].name} | ${((2 * SIZE ** 3) / seconds / 1e9).toFixed(1)} |`);
  }
  vectorFunctions(one, cpu());
  all.close();
}

await main();
