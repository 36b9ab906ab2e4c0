/** Memory takes care of itself: scopes give back at once, the garbage collector gives back the rest. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect } from "chai";
import { key, ones, random, scope, tensor, withBackend } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { CpuBackend } from "switchyard-moe/backend";
import type { ArrayType, Buffer } from "switchyard-moe/backend";
import { AdamW, clipGradNorm, DenseFeedForward, LayerNorm, mseLoss } from "switchyard-moe/nn";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs the collector and its finalizers until nothing more comes back. */
async function settle(backend: Backend): Promise<number> {
  for (let last = Infinity, now = backend.stats().liveBuffers; now < last; now = backend.stats().liveBuffers) {
    last = now;
    for (let i = 0; i < 3; i++) {
      gc();
      await turn();
    }
  }
  return backend.stats().liveBuffers;
}

/** Live buffers after 100 rounds, and after all of them. */
function rounds(backend: Backend, total: number, round: (i: number) => void): [number, number] {
  let early = 0;
  for (let i = 0; i < total; i++) {
    if (i === 100) early = backend.stats().liveBuffers;
    round(i);
  }
  return [early, backend.stats().liveBuffers];
}

describe("scopes", () => {
  let backend: Backend;
  beforeEach(() => void (backend = new CpuBackend()));

  it("10,000 steps of gradient descent: the same buffers live at the end as after 100", () =>
    withBackend(backend, () => {
      const [w, x] = [tensor([1, 2, 3], { requiresGrad: true }), tensor([0.1, 0.2, 0.3])];
      const [early, late] = rounds(backend, 10_000, () =>
        scope(() => {
          w.zeroGrad();
          w.mul(x).sum().sub(1).square().backward();
          if (w.grad) w.assign(w.sub(w.grad.mul(0.1)));
        }),
      );
      expect(late).to.equal(early);
      expect(w.mul(x).sum().itemSync()).to.be.closeTo(1, 1e-5);
    }));

  it("500 steps of a trained layer, with moments, clipping and released activations", () =>
    withBackend(backend, () => {
      const pass = { training: true, random: key(0) };
      const layer = new DenseFeedForward(4, 8, { random: key(1), dropout: 0.1 });
      const norm = new LayerNorm(4);
      const optimizer = new AdamW(layer, { lr: 1e-2 });
      const x = random.normal([2, 3, 4], key(2));
      const [early, late] = rounds(backend, 500, (i) =>
        scope(() => {
          const { output } = layer.forward(norm.forward(x), {}, { ...pass, random: pass.random.at(i) });
          mseLoss(output, x).backward({ release: true });
          clipGradNorm(layer.parameters(), 1);
          optimizer.step();
          optimizer.zeroGrad();
        }),
      );
      expect(late).to.equal(early);
    }));

  it("second derivatives, results handed out, errors: nothing stays behind", () =>
    withBackend(backend, () => {
      const x = tensor([1, 2, 3], { dtype: "float64", requiresGrad: true });
      const [early, late] = rounds(backend, 1_000, () => {
        scope(() => {
          const kept = scope(() => x.exp().mul(x).sum().gradients([x], { createGraph: true })); // prettier-ignore
          kept[0].sum(); // prettier-ignore
          expect(() => scope(() => x.mul(ones([2], { dtype: "float64" })))).to.throw(RangeError);
          expect(() => scope(() => x.square().backward())).to.throw(RangeError);
        });
      });
      expect(late).to.equal(early);
    }));

  it("backward with release frees activations as it passes: its peak is lower", () => {
    const peak = (release: boolean): number => {
      const own = new CpuBackend();
      return withBackend(own, () =>
        scope(() => {
          const x = tensor(new Float32Array(1000), { requiresGrad: true });
          let y: Tensor = x;
          for (let i = 0; i < 50; i++) y = y.sin();
          const before = own.stats().liveBytes;
          y.sum().backward({ release });
          return own.stats().liveBytes - before;
        }),
      );
    };
    expect(peak(true)).to.be.below(-150_000);
    expect(peak(false)).to.be.above(0);
  });

  it("views take no memory", () =>
    withBackend(backend, () => {
      const x = ones([10, 10]);
      const before = backend.stats().liveBytes;
      const views = [x.transpose(), x.slice([2, 5]), x.broadcastTo([3, 10, 10]), x.flip(), x.reshape([100]), x.detach()];
      expect(backend.stats().liveBytes).to.equal(before);
      expect(views.length).to.equal(6);
    }));
});

/** Memory that the collector cannot see: every buffer stands for a megabyte of a device. */
class Device extends CpuBackend {
  readonly ballast = 1 / 8;
  protected override allocate(type: ArrayType): Buffer {
    return Object.defineProperty(super.allocate(type), "bytes", { value: 2 ** 20 });
  }
}

describe("outside of scopes", () => {
  it("reading, moving and assigning give back at once what they copied, and leave the results", async () => {
    const [backend, other] = [new CpuBackend(), new CpuBackend()];
    const [x, leaf] = withBackend(backend, () => [tensor([[1, 2, 3], [4, 5, 6]]).transpose(), ones([3, 2], { requiresGrad: true })]); // prettier-ignore
    const live = (): number[] => [backend, other].map((one) => one.stats().liveBuffers);
    const before = live();
    const uses: Record<string, () => unknown> = {
      dataSync: () => expect(Array.from(x.dataSync())).to.deep.equal([1, 4, 2, 5, 3, 6]),
      data: async () => expect(Array.from(await x.data())).to.deep.equal([1, 4, 2, 5, 3, 6]),
      itemSync: () => expect(x.slice([1, 2], [1, 2]).itemSync()).to.equal(5),
      to: () => x.to(other).dispose(),
      assign: () => leaf.assign(x),
      "two gradients, in scopes": () => {
        for (let i = 0; i < 2; i++) scope(() => leaf.accumulateGrad(x));
        leaf.zeroGrad();
      },
    };
    for (const [name, use] of Object.entries(uses)) {
      await use();
      expect(live(), name).to.deep.equal(before);
    }
  });

  it("the collector gives back what nobody holds, and only that", async () => {
    const backend = new CpuBackend();
    const kept = withBackend(backend, () => {
      const x = tensor([1, 2], { requiresGrad: true });
      for (let i = 0; i < 1000; i++) x.exp().mul(2).sum();
      return [x, x.exp()];
    });
    expect(backend.stats().liveBuffers).to.be.above(1000);
    expect(await settle(backend)).to.be.below(10);
    expect(Array.from(await kept[1].data())).to.deep.equal([Math.fround(Math.exp(1)), Math.fround(Math.exp(2))]);
  });

  it("a view keeps its buffer, its base need not live", async () => {
    const backend = new CpuBackend();
    const view = withBackend(backend, () => tensor([1, 2, 3]).slice([1, 3]));
    expect(await settle(backend)).to.equal(1);
    expect(Array.from(await view.data())).to.deep.equal([2, 3]);
  });

  it("a forgotten tape goes with its root", async () => {
    const backend = new CpuBackend();
    const x = withBackend(backend, () => tensor([1], { requiresGrad: true }));
    let y: Tensor | null = x;
    for (let i = 0; i < 200; i++) y = y.exp();
    expect(y.requiresGrad).to.equal(true);
    y = null;
    expect(await settle(backend)).to.equal(1);
  });

  it("device memory is felt: a loop that reads does not fill the device", async () => {
    const backend = new Device();
    const x = ones([1], { backend });
    let most = 0;
    for (let i = 0; i < 4000; i++) {
      await x.add(x).data();
      most = Math.max(most, backend.stats().liveBuffers);
    }
    expect(most, "buffers alive at once, of 4000").to.be.below(3000);
  });
});
