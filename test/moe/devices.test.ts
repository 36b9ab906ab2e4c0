/**
 * Every router on other devices: one that fills its buffers later, where whatever reads back fails, and WebAssembly in float32.
 * The reference device says what is right.
 */
import { expect } from "chai";
import { cpuBackend, gradients, tensor, withBackend } from "../../src/index.ts";
import type { Backend, Tensor } from "../../src/index.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import type { RouterCase } from "../../src/testing/cases.ts";
import { world } from "../../src/testing/cases.ts";
import { sortedLayout } from "../../src/moe/routing.ts";
import { routers } from "./routers.ts";
import type { RouterRow } from "./routers.ts";

const base: RouterCase = { seed: 3, batch: 2, length: 7, experts: 4, choices: 2, factor: 0.75, group: "batch", ids: [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3], repeats: false, twins: false, padding: [0, 2], training: true }; // prettier-ignore
const situations: readonly RouterCase[] = [
  base,
  { ...base, factor: "dropless", seed: 4, training: false },
  { ...base, group: "sequence", seed: 5, choices: 3 },
];

/** Tokens in, everything out: what a training step of one layer computes. */
function step(backend: Backend, row: RouterRow, c: RouterCase): Tensor[] {
  return withBackend(backend, () => {
    const w = world(row, c);
    const { output, losses, routing } = w.forward();
    const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), output.square().sum());
    const { expertOfChoice, slotOfChoice, gate, probs } = routing.books;
    return [expertOfChoice, slotOfChoice, gate, probs, output, total, ...gradients(total, [w.tokens, ...w.layer.parameters()])];
  });
}

async function agree(backend: Backend, row: RouterRow, c: RouterCase, tolerance: number): Promise<void> {
  const wanted = step(cpuBackend(), row, c);
  const actual = step(backend, row, c);
  for (const [i, tensor] of actual.entries()) {
    expect(tensor.backend === backend, "lives on the device").to.equal(true);
    const [x, y] = [await tensor.data(), wanted[i].dataSync()];
    const largest = Math.max(1, ...Array.from(y, Math.abs));
    x.forEach((value, at) => expect(value, `result ${i}, element ${at}`).to.be.closeTo(y[at], tolerance * largest));
  }
}

describe("layouts", () => {
  it("give each row the vector of its expert on the device of the vectors, whichever is in use", () => {
    const other = new AsyncBackend();
    const [vectors, offsets] = withBackend(other, () => [
      tensor(Float64Array.of(1, 2, 3, 4), { shape: [2, 2] }),
      tensor(Int32Array.of(0, 1, 3)),
    ]);
    const rows = withBackend(cpuBackend(), () => sortedLayout(2, 3, offsets).spread(vectors));
    expect(rows.backend === other).to.equal(true);
    expect([rows.shape, rows.dtype]).to.deep.equal([[3, 2], "float64"]);
  });
});

describe("routers on other devices", () => {
  describe("a device that fills its buffers later: nothing reads back", () => {
    for (const row of routers)
      it(row.name, async () => {
        for (const c of situations) await agree(new AsyncBackend(), row, c, 0);
      });
  });

  describe("WebAssembly, float32", () => {
    let backend: WasmBackend;
    before(async () => (backend = await wasm({ threads: 1 })));
    after(() => backend.close());
    for (const row of routers)
      it(row.name, async () => {
        for (const c of situations) await agree(backend, row, { ...c, dtype: "float32" }, 2e-5);
      });
  });
});
