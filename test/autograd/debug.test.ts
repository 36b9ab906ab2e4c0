/** Debug mode names the operation that made a number non-finite, wherever in a training step it stands. */
import { expect } from "chai";
import { NonFiniteError, debug, noGrad, tensor, useBackend } from "switchyard-moe";
import type { NonFiniteDetails } from "switchyard-moe";
import { Adafactor, Adam, AdamW, Rmsprop, Sgd } from "switchyard-moe/nn";
import type { Optimizer } from "switchyard-moe/nn";
import { f64, leaf } from "./helpers.ts";

/** What debug mode reports of `fn`. */
function report(fn: () => void): NonFiniteDetails & { message: string } {
  try {
    debug(fn);
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const { operation, phase, parameter, message } = error;
    return { operation, phase, parameter, message };
  }
  return expect.fail("debug mode found nothing");
}

const big = 3e38;

for (const device of ["cpu", "wasm"] as const)
  describe(`debug mode on ${device}`, () => {
    before(() => useBackend(device));
    after(() => useBackend("cpu"));

    const named = (data: number[], name: string) => tensor(data, { requiresGrad: true, name });

    it("names an operation of the forward run", () => {
      const { message, ...where } = report(() => tensor([1, 0]).log().exp());
      expect(where).to.deep.equal({ operation: "log", phase: "forward", parameter: undefined });
      expect(message).to.match(/^log: made Infinity out of \(float32 \[2\]\)/);
    });

    it("names the operation whose derivative it was", () => {
      const x = named([0, 1], "x");
      const { message, ...where } = report(() => x.sqrt().sum().backward());
      expect(where).to.deep.equal({ operation: "sqrt", phase: "backward", parameter: undefined });
      expect(message).to.match(/^sqrt: the derivative: div: made Infinity out of/);
    });

    it("names it in a recorded walk and in one of second order", () => {
      const x = named([0, 1], "x");
      const y = x.sqrt().sum();
      expect(report(() => y.gradients([x], { createGraph: true }))).to.include({ operation: "sqrt", phase: "backward" });
      const [slope] = x.pow(1.5).sum().gradients([x], { createGraph: true });
      expect(report(() => slope.sum().backward())).to.include({ operation: "pow", phase: "backward" });
    });

    it("names a fused operation whose kernel made it", () => {
      const x = named([Math.SQRT2], "x"); // where the slope of gelu is 1.129
      const y = x.gelu();
      const found = report(() => y.backward({ seed: tensor([3.3e38]) }));
      expect(found).to.include({ operation: "biasActivation", phase: "backward", parameter: "x" });
    });

    it("names the parameter in which cotangents or gradients add up beyond the range", () => {
      const x = named([1], "weight");
      const y = x.mul(1).add(x.mul(1)).sum();
      expect(report(() => y.backward({ seed: tensor(big) }))).to.include({ operation: "mul", phase: "backward", parameter: "weight" });
      const z = x.mul(2).sum();
      const once = (): void => z.backward({ seed: tensor(big / 2) });
      once();
      expect(report(once)).to.include({ operation: "backward", phase: "backward", parameter: "weight" });
    });

    it("names the optimiser and the parameter that its step made non-finite", () => {
      const optimisers = [Sgd, Adam, AdamW, Rmsprop, Adafactor] as const;
      for (const Kind of optimisers) {
        const [kept, moved] = [named([1, 2], "kept"), named([1, 2], "moved")];
        const pairs: [string, typeof kept][] = [["a", kept], ["b", moved]]; // prettier-ignore
        const options = { lr: 1e-2, ...(Kind === Adafactor ? { relativeStep: false } : {}) };
        const optimiser: Optimizer = new Kind(pairs, options, (name) => (name === "b" ? { lr: 1e39 } : {}));
        for (const p of [kept, moved]) p.accumulateGrad(tensor([1, -1]));
        const { message, ...where } = report(() => optimiser.step());
        expect(where).to.deep.equal({ operation: Kind.name, phase: "optimizer", parameter: "b" });
        expect(message).to.match(new RegExp(`^${Kind.name}: the step of "b": `));
      }
    });

    it("steps as it does outside of debug mode", () => {
      const run = (how: (fn: () => void) => void): number[] => {
        const p = named([1, -2], "p");
        const optimiser = new AdamW([["p", p]], { lr: 0.1 });
        for (let step = 0; step < 3; step++) {
          p.accumulateGrad(tensor([1, 2]));
          how(() => optimiser.step());
        }
        return [...p.dataSync()];
      };
      const [plain, watched] = [run((fn) => fn()), run(debug)];
      plain.forEach((value, i) => expect(watched[i]).to.be.closeTo(value, 1e-6));
    });

    it("does not blame an operation for what it was given", () => {
      const x = f64([NaN, Infinity]).cast("float32");
      expect(() => debug(() => x.add(1).mul(2))).not.to.throw();
      expect(() => debug(() => noGrad(() => x.sum()))).not.to.throw();
    });
  });

describe("debug", () => {
  it("lets other errors pass as they are, also in the walk", () => {
    const x = leaf([1]);
    expect(() => debug(() => x.add(f64([1, 2, 3]).reshape([7])))).to.throw(/^reshape/);
    const y = x.square().sum();
    x.assign(f64([2]));
    expect(() => debug(() => y.backward())).to.throw(ReferenceError, /^backward/);
  });
});

describe("what counts as made", () => {
  /** x holds what went in, a number more that makes the operation yield what came out. */
  const made = (given: number, fn: (x: ReturnType<typeof f64>) => unknown): string => {
    try {
      debug(() => fn(f64([[1, 2], [given, 4]]).transpose())); // prettier-ignore
      return "nothing";
    } catch (error) {
      return /made (NaN|Infinity) /.exec(String(error))?.[1] ?? String(error);
    }
  };
  const rows: [name: string, given: number, fn: (x: ReturnType<typeof f64>) => unknown, wanted: string][] = [
    ["nothing of finite numbers", 3, (x) => x.add(1), "nothing"],
    ["an infinity of finite numbers", 0, (x) => x.log(), "Infinity"],
    ["NaN of finite numbers", -3, (x) => x.sqrt(), "NaN"],
    ["NaN of an infinity", Infinity, (x) => x.sub(x), "NaN"],
    ["infinities of infinities", -Infinity, (x) => x.mul(2), "nothing"],
    ["an infinity of NaN", NaN, (x) => x.mul(0).add(1).pow(-1), "nothing"],
    ["NaN of NaN", NaN, (x) => x.add(1), "nothing"],
    ["an infinity in a view of a larger tensor", 0, (x) => x.narrow(0, 0, 1).log(), "Infinity"],
    ["nothing in the part that is not read", 0, (x) => x.narrow(0, 1, 2).log(), "nothing"],
    ["integers, which have neither", 3, (x) => x.cast("int32").add(1), "nothing"],
  ];
  for (const [name, given, fn, wanted] of rows) it(name, () => expect(made(given, fn)).to.equal(wanted));
});
