import { expect } from "chai";
import * as fc from "fast-check";
import { key, noGrad, random, recompute, scope, tensor, useBackend, where, withBackend } from "../../src/index.ts";
import type { Backend, Tensor } from "../../src/index.ts";
import { cpuBackend } from "../../src/index.ts";
import { CpuBackend } from "../../src/backend/index.ts";
import { FeedForwardExperts, MoE, SwitchRouter } from "../../src/moe/index.ts";

const list = (x: Tensor | null): number[] => Array.from(x?.dataSync() ?? []);

/** A small function with a nonlinearity, a dropout mask and a decision; its parameters and input. */
function subject(backend: Backend, dtype: "float32" | "float64", seed: number) {
  const leaf = (shape: number[], at: string): Tensor => random.normal(shape, key(seed).at(at), { dtype, backend, requiresGrad: true });
  const [x, w, v] = [leaf([5, 4], "x"), leaf([4, 6], "w"), leaf([6, 3], "v")];
  const run = (): { y: Tensor; extra: Tensor } => {
    const hidden = x.matmul(w).tanh().dropout(0.3, key(seed).at("drop"));
    const best = hidden.argmax(-1).unsqueeze(1); // [5, 1]
    return { y: hidden.mul(hidden.takeAlong(best, 1)).matmul(v), extra: hidden.square().mean() };
  };
  return { leaves: [x, w, v], run };
}

describe("recompute", () => {
  let wasm: Backend;
  before(async () => {
    wasm = await useBackend("wasm");
    await useBackend("cpu");
  });

  const devices = [
    ["cpu float64", () => cpuBackend(), "float64"],
    ["cpu float32", () => cpuBackend(), "float32"],
    ["wasm", () => wasm, "float32"],
  ] as const;

  for (const [name, backend, dtype] of devices) {
    it(`gives the same bits, values and gradients, as the function itself (${name})`, () => {
      fc.assert(
        fc.property(fc.nat(1000), (seed) => {
          const passes = [false, true].map((again) =>
            withBackend(backend(), () => {
              const { leaves, run } = subject(backend(), dtype, seed);
              const { y, extra } = again ? recompute(run) : run();
              const values = [list(y), list(extra)];
              y.square().sum().add(extra).backward({ release: true });
              return [...leaves.map(({ grad }) => list(grad)), ...values];
            }),
          );
          expect(passes[1]).to.deep.equal(passes[0]);
          expect(passes[0]?.[0]).to.have.length(20);
        }),
        { numRuns: 20 },
      );
    });
  }

  it("can be differentiated twice, and nested", () => {
    const x = tensor([0.3, -0.7], { dtype: "float64", requiresGrad: true });
    const curvature = (f: (x: Tensor) => Tensor): number[] => {
      const [slope] = f(x).gradients([x], { createGraph: true });
      return list(slope.sum().gradients([x])[0]);
    };
    const plain = curvature((v) => v.exp().mul(v.sin()).sum());
    expect(curvature((v) => recompute(() => v.exp().mul(v.sin()).sum()))).to.deep.equal(plain);
    expect(
      curvature((v) =>
        recompute(() =>
          recompute(() => v.exp())
            .mul(recompute(() => v.sin()))
            .sum(),
        ),
      ),
    ).to.deep.equal(plain);
  });

  it("keeps decisions: a near-tie that falls otherwise in the second run changes nothing", () => {
    const x = tensor([[1, 1]], { dtype: "float64", requiresGrad: true });
    let runs = 0;
    const y = recompute(() => {
      const tilted = x.add(tensor([[0, runs++ === 0 ? 0 : 1e-9]], { dtype: "float64" }));
      return x.takeAlong(tilted.argmax(-1).unsqueeze(1), 1).sum();
    });
    y.backward();
    expect(runs).to.equal(2);
    expect(list(x.grad)).to.deep.equal([1, 0]); // the first of equals, as in the forward pass
  });

  it("replays a sparse layer: the same gradients, and none for experts that were not used", () => {
    const gradients = [false, true].map((again) => {
      const layer = new MoE({
        router: new SwitchRouter({ width: 4, experts: 3, random: key(1) }),
        experts: new FeedForwardExperts({ experts: 3, width: 4, hidden: 5, random: key(2) }),
      });
      const x = random.normal([2, 6, 4], key(3), { requiresGrad: true });
      const run = (): Tensor => layer.forward(x, {}, { training: true, random: key(4) }).output;
      (again ? recompute(run) : run()).square().sum().backward();
      return [list(x.grad), ...layer.parameters().map(({ grad }) => list(grad))];
    });
    expect(gradients[1]).to.deep.equal(gradients[0]);
  });

  it("holds the results alone until the walk, and no more after it", () => {
    withBackend(wasm, () => {
      const held = (again: boolean): number =>
        scope(() => {
          const x = random.normal([64, 64], key(1), { requiresGrad: true });
          const before = wasm.stats().liveBytes;
          const deep = (): Tensor => Array.from({ length: 8 }).reduce((y: Tensor) => y.tanh().exp(), x);
          const y = again ? recompute(deep) : deep();
          const after = wasm.stats().liveBytes;
          y.sum().backward({ release: true });
          return after - before;
        });
      expect(held(false)).to.be.at.least(16 * 64 * 64 * 4);
      expect(held(true)).to.be.at.most(2 * 64 * 64 * 4);
    });
  });

  it("leaves constants and functions without parameters alone", () => {
    expect(list(recompute(() => tensor([1, 2]).mul(2)))).to.deep.equal([2, 4]);
    expect(noGrad(() => recompute(() => tensor([1], { requiresGrad: true }).mul(2))).requiresGrad).to.equal(false);
  });

  it("holds its result alone where nothing is tracked, of one result and of several", () => {
    const backend = new CpuBackend();
    withBackend(backend, () => {
      const x = tensor([1, 2, 3]);
      const results = [
        recompute(() => x.mul(x)),
        ...recompute(() => [x.add(x), x.sub(x)]),
        recompute(() => x.mul(x.argsort().cast("float32"))), // a decision
      ];
      expect(backend.stats().liveBuffers).to.equal(5);
      for (const result of [x, ...results]) result.dispose();
      expect(backend.stats().liveBuffers).to.equal(0);
    });
  });

  it("answers with what else there is in its structure as it is", () => {
    class Other {
      readonly inside = 1;
    }
    const x = tensor([1, 2], { requiresGrad: true });
    const other = new Other();
    const rest = { n: 3, none: null, nothing: undefined, text: "a", list: [null, 1], other };
    const { y, ...found } = recompute(() => ({ y: x.mul(2), ...rest }));
    expect(found).to.deep.equal(rest);
    expect(found.other).to.equal(other);
    y.sum().backward();
    expect(list(x.grad ?? x)).to.deep.equal([2, 2]);
    expect(recompute<unknown>(() => null)).to.equal(null);
    expect(recompute<unknown>(() => 5)).to.equal(5);
  });

  it("passes tensors from outside through: they stay alive, and gradients reach them", () => {
    const leaf = (): Tensor => tensor([1, 2], { requiresGrad: true });
    const [x, w, constant] = [leaf(), leaf(), tensor([5, 6])];
    const [same, product, kept] = recompute(() => [x, x.mul(w), constant]);
    same.mul(10).add(product).sum().backward();
    expect([x, w, x.grad, w.grad, constant, kept].map(list)).to.deep.equal([[1, 2], [1, 2], [11, 12], [1, 2], [5, 6], [5, 6]]); // prettier-ignore
    const [y, beside] = [leaf(), leaf()];
    recompute(() => {
      beside.mul(2);
      return y;
    })
      .sum()
      .backward();
    expect([y, y.grad, beside.grad].map(list)).to.deep.equal([[1, 2], [1, 1], []]); // prettier-ignore
  });

  it("keeps nothing of a function that throws", () => {
    const backend = new CpuBackend();
    withBackend(backend, () => {
      const x = tensor([1, 2, 3], { requiresGrad: true });
      const before = backend.stats().liveBuffers;
      const failing = (): Tensor => {
        x.argsort(); // a decision
        throw new Error("no");
      };
      expect(() => recompute(failing)).to.throw("no");
      expect(() => recompute(() => recompute(failing))).to.throw("no");
      expect(backend.stats().liveBuffers).to.equal(before);
    });
  });

  it("says so where its decisions were freed before the walk, and frees nothing twice", () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    const y = recompute(() => x.mul(x.cast("int32").cast("float32")));
    const z = y.sum();
    y.dispose();
    expect(() => z.backward()).to.throw(ReferenceError, "what the forward pass kept for the walk was freed with its result");
    expect(list(x)).to.deep.equal([1, 2, 3]);
  });

  it("refuses what is no function, a promise, an assignment in between, and a function that runs otherwise", () => {
    expect(() => recompute(3 as never)).to.throw("recompute: fn 3: want a function");
    expect(() => recompute(async () => tensor(1))).to.throw("returned a promise");
    const x = tensor([1, 2, 3], { requiresGrad: true, name: "x" });
    const y = recompute(() => x.square().sum());
    x.assign(tensor([3, 2, 1]));
    expect(() => y.backward()).to.throw("float32 [3] was assigned after recompute used it");
    let runs = 0;
    const z = recompute(() => {
      const n = runs++ === 0 ? 3 : 2;
      const order = x.narrow(0, 0, n).argsort();
      return where(order.cast("float32").sum().greater(0), x.sum(), 0);
    });
    expect(() => z.backward()).to.throw("ran otherwise the second time");
  });
});
