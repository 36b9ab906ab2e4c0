/** Device memory stays bounded: steps in scopes give it back at once, results outside of scopes through the collector. */
import { expect } from "chai";
import { scope, tensor, useBackend } from "../../src/index.ts";
import type { Backend } from "../../src/index.ts";
import type { GpuBackend } from "../../src/backend/gpu/index.ts";
import { AdamW } from "../../src/nn/index.ts";
import { parityModel, trainStep } from "./training.ts";
import type { Sizes } from "./training.ts";

/** Results of [side, side] outside of scopes, each read: the collector must feel them, and free most while they are still being made. */
export async function expectBoundedReads(backend: Backend, reads: number, side: number, allowed: number): Promise<void> {
  await useBackend(backend);
  const x = tensor(new Float32Array(side * side).fill(0.5), { shape: [side, side] });
  let most = 0;
  for (let i = 0; i < reads; i++) {
    const sum = await x.add(1).data();
    expect(sum[0]).to.equal(1.5);
    most = Math.max(most, backend.stats().liveBytes);
  }
  expect(most, "most bytes alive").to.be.lessThan(allowed * 4 * side * side);
  expect(x.size).to.equal(side * side);
}

/**
 * Buffers, bytes and compiled kernels alive at every twentieth of the steps: none is ever more than after the first. Fewer may be, as the
 * collector finds what earlier tests left. `count` tells of more that must not grow.
 */
export async function expectBoundedTraining(
  backend: GpuBackend,
  steps: number,
  sizes?: Sizes,
  count: () => number = () => 0,
): Promise<void> {
  await useBackend(backend);
  const model = parityModel(sizes);
  const optimizer = new AdamW(model, { lr: 1e-3 });
  const books: { buffers: number; bytes: number; kernels: number; others: number }[] = [];
  for (let step = 1; step <= steps; step++) {
    const due = step % (steps / 20) === 0;
    let loss: Promise<number> | undefined;
    scope(() => {
      const shown = trainStep(model, optimizer, step, sizes);
      if (due) loss = shown.item();
    });
    if (!due) continue;
    expect(await loss).to.be.finite;
    const { liveBuffers, liveBytes } = backend.stats();
    books.push({ buffers: liveBuffers, bytes: liveBytes, kernels: backend.shaders().size, others: count() });
  }
  const [first] = books;
  for (const what of ["buffers", "bytes", "kernels", "others"] as const)
    expect(Math.max(...books.map((book) => book[what])), `${what}: ${JSON.stringify(books)}`).to.equal(first[what]);
}
