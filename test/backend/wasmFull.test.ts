/** A call that runs out of memory, wherever it does: what it had made is freed, and the backend goes on. */
import { expect } from "chai";
import { activate, key, random, scope, tensor, withBackend } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { attention, crossEntropy, layerNorm, rmsNorm } from "../../src/nn/index.ts";
import { linear } from "../../src/nn/linear.ts";
import { slotActivation } from "../../src/autograd/slots.ts";
import { BackendError } from "../../src/backend/backend.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import { Heap } from "../../src/backend/wasm/memory.ts";

/** Runs `fn` while the heap refuses the request number `last`, counted from 0; says whether that was reached. */
function refusing(last: number, fn: () => void): boolean {
  const allocate = Object.getOwnPropertyDescriptor(Heap.prototype, "allocate");
  if (!allocate) throw new Error("the heap allocates nothing");
  let requests = 0;
  Heap.prototype.allocate = function (this: Heap, bytes: number): number {
    if (requests++ === last) throw new BackendError("wasm: no room");
    return allocate.value.call(this, bytes);
  };
  try {
    fn();
    return false;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return true;
  } finally {
    Object.defineProperty(Heap.prototype, "allocate", allocate);
  }
}

/** Inputs are read across, so that kernels of plain layouts copy them first. */
const cases: Record<string, readonly [number[][], (x: Tensor, y: Tensor, z: Tensor) => Tensor]> = {
  softmax: [[[4, 5]], (x) => x.softmax()],
  logSoftmax: [[[4, 5]], (x) => x.logSoftmax()],
  logSumExp: [[[4, 5]], (x) => x.logSumExp(-1)],
  layerNorm: [[[4, 5], [5], [5]], layerNorm],
  rmsNorm: [[[4, 5], [5]], (x, weight) => rmsNorm(x, weight)],
  linear: [[[4, 5], [5, 6], [6]], linear],
  gelu: [[[4, 5], [5]], (x, bias) => activate(x, "gelu", bias)],
  crossEntropy: [[[4, 5]], (x) => crossEntropy(x, tensor([0, 4, 1, 2], { dtype: "int32" }))],
  attention: [
    [
      [2, 2, 3, 4],
      [2, 2, 3, 4],
      [3, 3],
    ],
    (q, k, bias) => attention(q, k, k, { bias, causal: true }),
  ],
  slots: [
    [
      [2, 4, 3],
      [2, 3, 5],
      [2, 1, 5],
    ],
    (x, w, b) => slotActivation(x, w, tensor([[2, 1], [0, 2]], { dtype: "int32" }), "silu", b), // prettier-ignore
  ],
  "rank and order": [[[4, 50]], (x) => x.takeAlong(x.rank(), 1).add(x.takeAlong(x.argsort(), 1)).add(x.topK(40).values.sum())],
  rows: [[[4, 5]], (x) => x.takeRows(tensor([0, 3, 3], { dtype: "int32" }))],
  product: [
    [
      [3, 4, 5],
      [5, 6],
    ],
    (x, y) => x.matmul(y),
  ],
};

describe("wasm without room", () => {
  for (const [name, [shapes, run]] of Object.entries(cases))
    it(`frees what a call had made: ${name}`, async () => {
      const backend = await wasm({ threads: 1 });
      withBackend(backend, () => {
        const leaves = shapes.map((shape, i) => random.normal(shape.toReversed(), key(i), { requiresGrad: true }));
        const call = (): void => {
          const [x, y, z] = leaves.map((leaf) => leaf.permute(leaf.shape.map((_, axis) => leaf.shape.length - 1 - axis)));
          run(x, y, z).square().sum().gradients(leaves);
        };
        scope(call); // numbers that are kept as constants are made here
        const before = backend.stats().liveBuffers;
        let refused = 0;
        while (refusing(refused, () => scope(call))) {
          expect(backend.stats().liveBuffers, `request ${refused}`).to.equal(before);
          refused++;
        }
        expect(refused).to.be.at.least(6);
        expect(backend.stats().liveBuffers).to.equal(before);
      });
    });
});
