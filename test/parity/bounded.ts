import { expect } from "chai";
import { tensor, useBackend } from "../../src/index.ts";
import type { Backend } from "../../src/index.ts";

const [reads, allowed, side] = [900, 600, 256];

/** Results of 256 KB outside of scopes, each read: the collector must feel them, and free most while they are still being made. */
export async function expectBoundedReads(backend: Backend): Promise<void> {
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
