/**
 * What gpu.js costs in one of its modes, wherever that mode is: launches and milliseconds of training steps, the price of a launch, and
 * a matrix product beside the kernel of gpu.js's own README. Needs nothing of Node. Contenders take turns, and the best round of each
 * counts: only ratios within one mode mean anything.
 */
import { loadLibrary } from "../src/backend/gpu/library.ts";
import { gpu } from "../src/backend/gpu/index.ts";
import type { GpuBackend, GpuMode } from "../src/backend/gpu/index.ts";
import { cpuBackend, useBackend } from "../src/index.ts";
import type { Backend } from "../src/index.ts";
import { AdamW } from "../src/nn/index.ts";
import { parityModel, trainStep } from "../test/parity/training.ts";
import type { Sizes } from "../test/parity/training.ts";

/** Milliseconds, and launches. */
export interface StepFigures {
  readonly launches: number;
  readonly unfusedLaunches: number;
  readonly fused: number;
  readonly unfused: number;
  readonly cpu: number;
}

export interface Figures {
  readonly description: string;
  /** Microseconds of a launch over 64 elements, in a chain of them. */
  readonly launch: number;
  readonly parity: StepFigures;
  readonly tiny: StepFigures;
  /** Milliseconds of two 512 x 512 matrices' product, with the read. */
  readonly matmul: { readonly ours: number; readonly readme: number };
}

/** As large as the tiny model of peers/models.json. */
const tiny: Sizes = { batch: 16, length: 64, width: 64, layers: 2, heads: 4, hidden: 256, experts: 4, vocabulary: 96 };
const n = 512;

type Run = () => Promise<unknown>;

/** Best milliseconds of each contender, after a first round that compiles. */
async function race<N extends string>(contenders: Readonly<Record<N, Run>>, rounds: number): Promise<Record<N, number>> {
  const best = {} as Record<N, number>;
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(contenders) as [N, Run][]) {
      const start = performance.now();
      await run();
      if (round > 0) best[name] = Math.min(best[name] ?? Infinity, performance.now() - start);
    }
  }
  return best;
}

/** The product by the README's kernel, from the same flat data. */
async function readmeKernel(mode: GpuMode, data: Float32Array): Promise<Run> {
  const { GPU, Input } = await loadLibrary();
  const source = `function(a, b) {
    let sum = 0;
    for (let i = 0; i < ${n}; i++) { sum += a[this.thread.y][i] * b[i][this.thread.x]; }
    return sum;
  }`;
  const kernel = new GPU({ mode }).createKernel(source, { output: [n, n] } as never);
  return async () => kernel(new Input(data, [n, n]), new Input(data, [n, n]));
}

async function products(mode: GpuMode, backend: GpuBackend, rounds: number): Promise<Figures["matmul"]> {
  const type = { shape: [n, n], dtype: "float32" } as const;
  const data = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
  // Both take their factors from the host, and give their product back to it.
  const ours = async (): Promise<void> => {
    const [x, y] = [0, 1].map(() => ({ ...type, buffer: backend.upload(type, data), strides: [n, 1], offset: 0 }));
    const product = backend.matmul(type, x, y);
    await backend.download(product, type);
    for (const buffer of [x.buffer, y.buffer, product]) backend.free(buffer);
  };
  return race({ ours, readme: await readmeKernel(mode, data) }, rounds);
}

/** Each call takes one step and reads its loss. */
async function training(backend: Backend, sizes?: Sizes): Promise<Run> {
  await useBackend(backend);
  const model = parityModel(sizes);
  const optimizer = new AdamW(model, { lr: 1e-3 });
  let step = 0;
  return async () => {
    await useBackend(backend);
    await trainStep(model, optimizer, step++, sizes).item();
  };
}

async function launchesOf(backend: Backend, step: Run): Promise<number> {
  const before = backend.stats().launches;
  await step();
  return backend.stats().launches - before;
}

async function stepFigures(mode: GpuMode, rounds: number, sizes?: Sizes): Promise<StepFigures> {
  const [fused, unfused] = [await gpu({ mode }), await gpu({ mode })];
  Object.defineProperty(unfused, "fused", { value: {} });
  const steps = {
    fused: await training(fused, sizes),
    unfused: await training(unfused, sizes),
    cpu: await training(cpuBackend(), sizes),
  };
  // The second step compiles what reads the parameters where the first has put them.
  for (const step of Object.values(steps)) await step();
  const best = await race(steps, rounds);
  return { launches: await launchesOf(fused, steps.fused), unfusedLaunches: await launchesOf(unfused, steps.unfused), ...best };
}

async function microsecondsOfLaunch(backend: GpuBackend, rounds: number): Promise<number> {
  const type = { shape: [64], dtype: "float32" } as const;
  const view = (buffer: ReturnType<GpuBackend["upload"]>) => ({ ...type, buffer, strides: [1], offset: 0 });
  const count = 200;
  const chain = async (): Promise<void> => {
    let x = backend.upload(type, new Float32Array(64).fill(1));
    for (let i = 0; i < count; i++) {
      const next = backend.unary("neg", type, view(x));
      backend.free(x);
      x = next;
    }
    await backend.download(x, type);
    backend.free(x);
  };
  const { chain: best } = await race({ chain }, rounds);
  return (1000 * best) / count;
}

export async function figuresOf(mode: GpuMode, rounds = 5): Promise<Figures> {
  const backend = await gpu({ mode });
  const launch = await microsecondsOfLaunch(backend, rounds);
  const matmul = await products(mode, backend, rounds);
  return {
    description: backend.description,
    launch,
    matmul,
    parity: await stepFigures(mode, rounds),
    tiny: await stepFigures(mode, mode === "webasm" ? rounds : 1, tiny),
  };
}
