/**
 * gpu.js in Node: matrix products beside the kernel of gpu.js's own README, and training steps fused, unfused and on the reference. Rounds
 * are interleaved and the best of each counts; only ratios within one mode mean anything.
 *
 * Usage: node --import=tsx --conditions=source bench/gpu.ts [webasm] [webgpu]
 */
import { loadLibrary } from "../src/backend/gpu/library.ts";
import { gpu } from "../src/backend/gpu/index.ts";
import type { GpuBackend, GpuMode } from "../src/backend/gpu/index.ts";
import { cpuBackend, useBackend } from "../src/index.ts";
import type { Backend } from "../src/index.ts";
import { AdamW } from "../src/nn/index.ts";
import { useSwiftShader } from "../test/backend/adapter.ts";
import { parityModel, trainStep } from "../test/parity/training.ts";

const rounds = 7;
const n = 512;

/** Best milliseconds of each contender, after a first round that compiles. */
async function race(contenders: Readonly<Record<string, () => Promise<unknown>>>): Promise<Record<string, number>> {
  const best: Record<string, number> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      const start = performance.now();
      await run();
      if (round > 0) best[name] = Math.min(best[name] ?? Infinity, performance.now() - start);
    }
  }
  return best;
}

/** The product of two n x n matrices by the README's kernel, from the same flat data. */
async function readmeKernel(mode: GpuMode, data: Float32Array): Promise<() => Promise<unknown>> {
  const { GPU, Input } = await loadLibrary();
  const source = `function(a, b) {
    let sum = 0;
    for (let i = 0; i < ${n}; i++) { sum += a[this.thread.y][i] * b[i][this.thread.x]; }
    return sum;
  }`;
  const kernel = new GPU({ mode }).createKernel(source, { output: [n, n] } as never);
  return async () => kernel(new Input(data, [n, n]), new Input(data, [n, n]));
}

async function products(mode: GpuMode, backend: GpuBackend): Promise<Record<string, number>> {
  const type = { shape: [n, n], dtype: "float32" } as const;
  const data = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
  const x = { ...type, buffer: backend.upload(type, data), strides: [n, 1], offset: 0 };
  const ours = async (): Promise<void> => {
    const product = backend.matmul(type, x, x);
    await backend.download(product, type);
    backend.free(product);
  };
  return race({ ours, readme: await readmeKernel(mode, data) });
}

/** A run of training steps on one backend; each call takes one step and reads its loss. */
async function training(backend: Backend): Promise<() => Promise<unknown>> {
  await useBackend(backend);
  const model = parityModel();
  const optimizer = new AdamW(model, { lr: 1e-3 });
  let step = 0;
  return async () => {
    await useBackend(backend);
    await trainStep(model, optimizer, step++).item();
  };
}

async function launchesOf(backend: Backend, step: () => Promise<unknown>): Promise<number> {
  const before = backend.stats().launches;
  await step();
  return backend.stats().launches - before;
}

useSwiftShader();
for (const mode of (process.argv.length > 2 ? process.argv.slice(2) : ["webasm", "webgpu"]) as GpuMode[]) {
  const [fused, unfused] = [await gpu({ mode }), await gpu({ mode })];
  Object.defineProperty(unfused, "fused", { value: {} });
  const steps = { fused: await training(fused), unfused: await training(unfused), cpu: await training(cpuBackend()) };
  console.log(fused.description);
  const { ours, readme } = await products(mode, fused);
  console.log(
    `  matmul ${n}: ${ours.toFixed(1)} ms, the README's kernel ${readme.toFixed(1)} ms: ${(readme / ours).toFixed(2)} times as fast`,
  );
  const times = await race(steps);
  const counts = [await launchesOf(fused, steps.fused), await launchesOf(unfused, steps.unfused)];
  console.log(
    `  step: ${times.fused.toFixed(1)} ms in ${counts[0]} launches; unfused ${times.unfused.toFixed(1)} ms in ${counts[1]} launches`,
  );
  console.log(
    `  step on the reference: ${times.cpu.toFixed(1)} ms; microseconds per launch: ${((1000 * times.fused) / counts[0]).toFixed(0)}`,
  );
}
process.exit(0);
