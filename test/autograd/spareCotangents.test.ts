/** A kernel may write into a cotangent that nobody reads afterwards, and into no other. */
import { expect } from "chai";
import fc from "fast-check";
import { debug, gradients, key, random, scope, tensor, withBackend } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { CpuBackend } from "switchyard-moe/backend";
import type { FusedKernel } from "switchyard-moe/backend";

/** Its softmax spoils each cotangent that it is given to spare. */
class Spoiling extends CpuBackend {
  spared = 0;

  constructor() {
    super();
    const { softmax } = this.fused;
    if (softmax) Object.assign(this.fused, { softmax: this.#spoiling(softmax) });
  }

  #spoiling({ forward, backward }: FusedKernel<null>): FusedKernel<null> {
    return {
      forward,
      backward: (g, out, saved, inputs, needed, attributes, spare) => {
        const cotangents = backward(g, out, saved, inputs, needed, attributes);
        if (spare) {
          this.spared++;
          this.open(g.buffer, g.dtype).fill(NaN);
        }
        return cotangents;
      },
    };
  }
}

type Step = readonly ["softmax" | "add" | "mul" | "turned" | "flat" | "joined", number, number];

const programs = fc.record({
  steps: fc.array(
    fc.tuple(
      fc.constantFrom<Step[0][]>("softmax", "softmax", "add", "mul", "turned", "flat", "joined"),
      fc.nat({ max: 20 }),
      fc.nat({ max: 20 }),
    ),
    { minLength: 1, maxLength: 12 },
  ),
  asked: fc.array(fc.nat({ max: 20 }), { maxLength: 4 }),
});

/** All values of a random program on [2, 2], its leaves first. */
function run(steps: readonly Step[]): Tensor[] {
  const values = [0, 1].map((i) => random.normal([2, 2], key(i), { dtype: "float64" }).requireGrad());
  for (const [name, i, j] of steps) {
    const [x, y] = [values[i % values.length], values[j % values.length]];
    if (name === "softmax") values.push(x.softmax(-1));
    else if (name === "add") values.push(x.add(y));
    else if (name === "mul") values.push(x.mul(y));
    else if (name === "turned") values.push(x.transpose());
    else if (name === "flat") values.push(x.reshape([4]).mul(2).reshape([2, 2]));
    else
      values.push(
        x
          .narrow(0, 0, 1)
          .add(y.narrow(0, 1, 2))
          .mul(x),
      );
  }
  return values;
}

/** The gradients of a sum over the last value, by the leaves and by some values between. */
function slopes(backend: Backend, steps: readonly Step[], asked: readonly number[]): number[][] {
  return withBackend(backend, () =>
    scope(() => {
      const values = run(steps);
      const root = values[values.length - 1];
      const seed = tensor([1, -2, 0.5, 3], { shape: [2, 2], dtype: "float64" });
      const xs = [...new Set([...values.slice(0, 2), ...asked.map((i) => values[i % values.length])])];
      const found = gradients(root, xs, { seed });
      return [...found, seed].map((x) => [...x.dataSync()]);
    }),
  );
}

describe("spare cotangents", () => {
  it("whatever a kernel writes there, nothing that is read afterwards changes", () => {
    const spoiling = new Spoiling();
    const plain = new CpuBackend();
    fc.assert(
      fc.property(programs, ({ steps, asked }) => {
        expect(slopes(spoiling, steps, asked)).to.deep.equal(slopes(plain, steps, asked));
      }),
      { numRuns: 400 },
    );
    expect(spoiling.spared).to.be.above(30);
  });

  it("none is to spare in debug mode, which looks for the operation that made NaN", () => {
    const spared = [(walk: () => void) => walk(), debug].map((mode) => {
      const backend = new Spoiling();
      withBackend(backend, () =>
        scope(() => {
          const x = random.normal([2, 2], key(0), { dtype: "float64" }).requireGrad();
          const y = x.softmax(-1).softmax(-1).square().sum();
          mode(() => y.backward());
        }),
      );
      return backend.spared;
    });
    expect(spared).to.deep.equal([2, 0]);
  });
});
