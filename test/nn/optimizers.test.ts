import { expect } from "chai";
import fc from "fast-check";
import { key, ones, scope, tensor, zeros } from "switchyard-moe";
import type { DType, Tensor } from "switchyard-moe";
import { Adafactor, Adam, AdamW, Linear, Rmsprop, Sgd, clipGradNorm, clipGradValue, clipScale, gradNorm } from "switchyard-moe/nn";
import type { NormType, Optimizer, Parameters } from "switchyard-moe/nn";
import { MeasuringBackend } from "./measuringBackend.ts";
import { drawn, expectClose } from "./plain.ts";

const start = [0.5, -1, 2];
const gradient = (step: number, i: number): number => Math.sin(3 * step + i) + 0.1 * i;

/** Five steps of an optimiser on three numbers, the gradients given. */
function run(make: (parameters: Parameters) => Optimizer, dtype: "float32" | "float64" = "float64"): number[] {
  const p = tensor(start, { dtype, requiresGrad: true });
  const optimizer = make([["p", p]]);
  for (let step = 1; step <= 5; step++) {
    p.zeroGrad();
    p.accumulateGrad(tensor([0, 1, 2].map((i) => gradient(step, i)), { dtype })); // prettier-ignore
    optimizer.step();
  }
  return [...p.dataSync()];
}

/** The same on plain numbers: `rule` answers with what is taken off. */
function byHand(rule: (g: number, p: number, state: Record<string, number>, step: number) => number): number[] {
  return start.map((first, i) => {
    const state: Record<string, number> = {};
    let p = first;
    for (let step = 1; step <= 5; step++) p -= rule(gradient(step, i), p, state, step);
    return p;
  });
}

const average = (state: Record<string, number>, name: string, beta: number, value: number): number =>
  (state[name] = beta * (state[name] ?? 0) + (1 - beta) * value);

const make = <O, T>(Kind: new (parameters: Parameters, options: O) => T, options: O) => (parameters: Parameters): T => new Kind(parameters, options); // prettier-ignore

describe("optimisers take the steps of their papers", () => {
  const unit = fc.constantFrom(0, 0.01, 0.3);
  const close = (got: number[], wanted: number[]): void => got.forEach((value, i) => expect(value).to.be.closeTo(wanted[i], 1e-12));

  it("SGD: momentum, dampening, Nesterov, weight decay", () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 0.5, 0.9), unit, unit, fc.boolean(), (momentum, drawnDampening, weightDecay, ahead) => {
        const nesterov = ahead && momentum > 0;
        const dampening = nesterov ? 0 : drawnDampening;
        const wanted = byHand((plain, p, state, step) => {
          const g = plain + weightDecay * p;
          state.v = step === 1 ? g : momentum * state.v + (1 - dampening) * g;
          return 0.1 * (momentum === 0 ? g : nesterov ? g + momentum * state.v : state.v);
        });
        close(run(make(Sgd, { lr: 0.1, momentum, dampening: momentum ? dampening : 0, nesterov, weightDecay })), wanted);
      }),
    );
  });

  const adamLike =
    (decoupled: boolean) =>
    (weightDecay: number, beta1: number, eps: number, biasCorrection: boolean): number[] =>
      byHand((plain, p, state, step) => {
        const g = decoupled ? plain : plain + weightDecay * p;
        const m = average(state, "m", beta1, g) / (biasCorrection ? 1 - beta1 ** step : 1);
        const v = average(state, "v", 0.95, g * g) / (biasCorrection ? 1 - 0.95 ** step : 1);
        return 0.1 * (m / (Math.sqrt(v) + eps) + (decoupled ? weightDecay * p : 0));
      });

  for (const [name, Kind, decoupled] of [
    ["Adam", Adam, false],
    ["AdamW", AdamW, true],
  ] as const)
    // prettier-ignore
    it(`${name}, with and without bias correction`, () => {
      fc.assert(
        fc.property(unit, fc.constantFrom(0, 0.9), fc.constantFrom(1e-8, 0.1), fc.boolean(), (weightDecay, beta1, eps, biasCorrection) => {
          close(run(make(Kind, { lr: 0.1, betas: [beta1, 0.95] as const, eps, weightDecay, biasCorrection })), adamLike(decoupled)(weightDecay, beta1, eps, biasCorrection));
        }),
      );
    });

  it("RMSprop, centred and with momentum", () => {
    fc.assert(
      fc.property(unit, fc.constantFrom(0, 0.9), fc.boolean(), (weightDecay, momentum, centered) => {
        const wanted = byHand((plain, p, state) => {
          const g = plain + weightDecay * p;
          const square = average(state, "square", 0.9, g * g);
          const mean = average(state, "mean", 0.9, g);
          const scaled = g / (Math.sqrt(square - (centered ? mean * mean : 0)) + 1e-3);
          state.v = momentum * (state.v ?? 0) + scaled;
          return 0.1 * state.v;
        });
        close(run(make(Rmsprop, { lr: 0.1, alpha: 0.9, eps: 1e-3, weightDecay, momentum, centered })), wanted);
      }),
    );
  });

  it("Adafactor on a vector: relative steps, scaled by the parameter, clipped, with warm-up and momentum", () => {
    const rms = (x: number[]): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
    for (const warmupInit of [false, true])
      for (const beta1 of [null, 0.9]) {
        let p = [...start];
        let [second, first] = [[0, 0, 0], [0, 0, 0]]; // prettier-ignore
        for (let t = 1; t <= 5; t++) {
          const keep = 1 - t ** -0.8;
          const g = p.map((_, i) => gradient(t, i));
          second = second.map((v, i) => keep * v + (1 - keep) * (g[i] ** 2 + 1e-30));
          const direction = g.map((value, i) => value / Math.sqrt(second[i]));
          const size =
            (Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) * Math.max(1e-3, rms(p))) / Math.max(1, rms(direction) / 0.5);
          const [decay, move] = [p.map((value) => (value * size * Math.max(1, rms(direction) / 0.5) * 0.1)), direction.map((value) => value * size)]; // prettier-ignore
          first = first.map((m, i) => (beta1 ?? 0) * m + (1 - (beta1 ?? 0)) * move[i]);
          p = p.map((value, i) => value - first[i] - decay[i]);
        }
        close(run(make(Adafactor, { warmupInit, beta1, clipThreshold: 0.5, weightDecay: 0.1 })), p);
      }
  });

  it("Adafactor keeps a row and a column for a matrix, and is exact where the square is their product", () => {
    const [row, column] = [drawn([4, 1], 1), drawn([1, 3], 2)];
    const steps = [false, true].map((flattened) => {
      const p = drawn([4, 3], 3)
        .reshape(flattened ? [12] : [4, 3])
        .requireGrad();
      const optimizer = new Adafactor([["p", p]]);
      for (const size of [1, 3]) {
        p.zeroGrad();
        p.accumulateGrad(row.mul(column).mul(size).reshape(p.shape));
        optimizer.step();
      }
      return { shapes: [...optimizer.state().tensors].map(([name, t]) => `${name} ${t.shape.join("x")}`), p: p.reshape([12]) };
    });
    expect(steps.map(({ shapes }) => shapes)).to.deep.equal([["p/rows 4", "p/columns 3"], ["p/second 12"]]);
    expectClose(steps[0].p, steps[1].p, 1e-9);
  });

  it("Adafactor moves each matrix of a stack of experts [E, R, C] as it would move it alone", () => {
    const setting = fc.record({
      seed: fc.nat(999),
      relativeStep: fc.boolean(),
      scaleParameter: fc.boolean(),
      beta1: fc.constantFrom(null, 0.9),
      weightDecay: fc.constantFrom(0, 0.1),
      clipThreshold: fc.constantFrom(0.5, 1),
    });
    fc.assert(
      fc.property(setting, fc.integer({ min: 1, max: 3 }), ({ seed, ...more }, E) => {
        // Experts of very different sizes: whatever is averaged over all of them would show.
        const sizes = tensor([1, 100, 0.01].slice(0, E), { dtype: "float64" }).reshape([E, 1, 1]);
        const gradients = [1, 2].map((step) => drawn([E, 2, 3], `${seed} ${step}`).mul(sizes.square()));
        const start = drawn([E, 2, 3], seed).mul(sizes);
        const trained = (from: Tensor, gradientOf: (step: number) => Tensor): Tensor => {
          const p = from.detach().requireGrad();
          const optimizer = new Adafactor([["p", p]], { ...more, ...(!more.relativeStep && { lr: 0.1 }) });
          for (const step of [0, 1]) {
            p.zeroGrad();
            p.accumulateGrad(gradientOf(step));
            optimizer.step();
          }
          return p;
        };
        const one = (x: Tensor, e: number): Tensor => x.narrow(0, e, e + 1).squeeze(0);
        const together = trained(start, (step) => gradients[step]);
        for (let e = 0; e < E; e++)
          expectClose(
            one(together, e),
            trained(one(start, e), (step) => one(gradients[step], e)),
          );
      }),
    );
  });

  it("Adafactor leaves a small expert small: 1 beside 100, one step of 0.1", () => {
    const p = tensor([[[1, 1], [1, 1]], [[100, 100], [100, 100]]], { requiresGrad: true }); // prettier-ignore
    p.accumulateGrad(ones(p.shape));
    new Adafactor([["p", p]], { lr: 0.1, relativeStep: false }).step();
    [...p.dataSync()].forEach((value, i) => expect(value).to.be.closeTo(i < 4 ? 0.9 : 90, 1e-4));
  });

  it("RMSprop, centred, survives a steady gradient, whose variance rounding can make negative", () => {
    const p = tensor([1, 1, 1, 1], { requiresGrad: true });
    const optimizer = new Rmsprop([["p", p]], { centered: true, alpha: 0.5 });
    const g = tensor([0.1, 0.3, 0.7, 1e-3]);
    for (let step = 0; step < 40; step++) {
      p.zeroGrad();
      p.accumulateGrad(g);
      optimizer.step();
    }
    expect([...p.dataSync()].every(Number.isFinite), String(p.dataSync())).to.equal(true);
  });

  it("Adam in place is Adam composed", () => {
    const fused = run(make(AdamW, { lr: 0.1, weightDecay: 0.1 }), "float32");
    run(make(AdamW, { lr: 0.1, weightDecay: 0.1 })).forEach((value, i) => expect(fused[i]).to.be.closeTo(value, 1e-5));
  });
});

describe("an optimiser", () => {
  const learn = (layer: Linear, optimizer: Optimizer, steps: number): void => {
    const [x, y] = [drawn([8, 3], 1).cast("float32"), drawn([8, 2], 2).cast("float32")];
    for (let i = 0; i < steps; i++)
      scope(() => {
        optimizer.zeroGrad();
        layer.forward(x).sub(y).square().mean().backward();
        optimizer.step();
      });
  };
  const layer = (): Linear => new Linear(3, 2, { random: key(5) });
  const numbers = (model: Linear): number[] => model.parameters().flatMap((p) => [...p.dataSync()]);
  const kinds: [string, (parameters: Parameters) => Optimizer][] = [
    ["Sgd", make(Sgd, { lr: 0.1, momentum: 0.9 })],
    ["Adam", make(Adam, { lr: 0.1 })],
    ["AdamW", make(AdamW, { lr: 0.1 })],
    ["Adafactor", make(Adafactor, { beta1: 0.9 })],
    ["Rmsprop", make(Rmsprop, { lr: 0.01, momentum: 0.9, centered: true })],
  ];

  for (const [name, build] of kinds) {
    it(`${name} learns, and leaves nothing behind but its state`, () => {
      const model = layer();
      const optimizer = build(model);
      const x = drawn([8, 3], 1).cast("float32");
      const error = (): number =>
        model
          .forward(x)
          .sub(drawn([8, 2], 2).cast("float32"))
          .square()
          .mean()
          .itemSync();
      const before = error();
      learn(model, optimizer, 3);
      const { liveBuffers } = x.backend.stats();
      learn(model, optimizer, 100);
      expect(x.backend.stats().liveBuffers).to.be.at.most(liveBuffers + 6);
      expect(error()).to.be.below(0.99 * before);
    });

    it(`${name} goes on from its state bit for bit`, () => {
      const [straight, stopped, resumed] = [layer(), layer(), layer()];
      learn(straight, build(straight), 6);
      const first = build(stopped);
      learn(stopped, first, 3);
      const second = build(resumed);
      resumed.load(new Map([...stopped.state()].map(([path, t]) => [path, t.mul(1)])));
      const { step, tensors } = first.state();
      second.load({ step, tensors: new Map([...tensors].map(([path, t]) => [path, t.mul(1)])) });
      learn(resumed, second, 3);
      expect(numbers(resumed)).to.deep.equal(numbers(straight));
      expect(second.steps).to.equal(6);
    });
  }

  it("takes options by name", () => {
    const [plain, grouped] = [layer(), layer()];
    for (const model of [plain, grouped]) model.bias?.assign(zeros([2]).add(1));
    const noGradient = (model: Linear): void => model.parameters().forEach((p) => p.accumulateGrad(zeros(p.shape)));
    [plain, grouped].forEach(noGradient);
    new AdamW(plain, { lr: 1, weightDecay: 0.5 }).step();
    new AdamW(grouped, { lr: 1, weightDecay: 0.5 }, (name) => (name === "bias" ? { weightDecay: 0 } : {})).step();
    expect([...(plain.bias?.dataSync() ?? [])]).to.deep.equal([0.5, 0.5]);
    expect([...(grouped.bias?.dataSync() ?? [])]).to.deep.equal([1, 1]);
    expect([...grouped.weight.dataSync()]).to.deep.equal([...plain.weight.dataSync()]);
  });

  it("multiplies its rate with the factor of the step, and leaves what has no gradient", () => {
    const model = layer();
    const before = [...model.weight.dataSync()];
    model.weight.accumulateGrad(zeros([3, 2]).add(1));
    new Sgd(model, { lr: 0.5 }).step({ factor: 0.5 });
    [...model.weight.dataSync()].forEach((value, i) => expect(value).to.be.closeTo(before[i] - 0.25, 1e-6));
    expect([...(model.bias?.dataSync() ?? [])]).to.deep.equal([0, 0]);
  });

  it("overwrites no number that somebody else still reads", async () => {
    const model = layer();
    const [seen, reading] = [model.weight.detach(), model.weight.data()];
    const before = [...seen.dataSync()];
    model.weight.accumulateGrad(zeros([3, 2]).add(1));
    new AdamW(model, { lr: 1 }).step();
    expect([...seen.dataSync()]).to.deep.equal(before);
    expect([...(await reading)]).to.deep.equal(before);
    expect(model.weight.dataSync()[0]).to.be.closeTo(before[0] * 0.99 - 1, 1e-5);
  });

  it("refuses a state that does not fit", () => {
    const model = layer();
    const optimizer = new Adam(model);
    expect(() => optimizer.load({ step: 1, tensors: new Map() })).to.throw(
      'Adam.load: "weight/first" is missing in the saved state, float32 [3, 2] here',
    );
    const { tensors } = optimizer.state();
    const first = [...tensors.keys()][0];
    expect(() => optimizer.load({ step: 1, tensors: new Map([...tensors, [first, zeros([9, 9])]]) })).to.throw(
      `"${first}" is float32 [9, 9] in the saved state, `,
    );
    expect(() => optimizer.load({ step: 1, tensors: new Map([...tensors, ["x", zeros([1])]]) })).to.throw(
      '"x" of the saved state has no place here',
    );
    expect(optimizer.steps).to.equal(0);
  });

  it("refuses to train nothing, and Nesterov without momentum", () => {
    expect(() => new Adam([])).to.throw("Adam: there is no parameter to train");
    expect(() => new Sgd(layer(), { lr: 1, nesterov: true })).to.throw("Nesterov's step needs a momentum above 0 and no dampening");
  });

  it("a walk over a tape from before the step is refused", () => {
    const model = layer();
    const loss = model
      .forward(drawn([4, 3], 1).cast("float32"))
      .square()
      .mean();
    loss.backward();
    new AdamW(model).step();
    expect(() => loss.backward()).to.throw(ReferenceError, "was assigned after");
  });
});

describe("optimisers refuse", () => {
  const p = zeros([2], { requiresGrad: true });
  const other = zeros([2], { requiresGrad: true });
  const none = undefined as never;
  const adam = new Adam([["w", p]]);
  // prettier-ignore
  const bad: Record<string, [() => unknown, string]> = {
    "a constant, which would never move": [() => new AdamW([["w", zeros([2])]]), 'AdamW: "w", tensor float32 [2], is no leaf that requires a gradient, so it would never be trained'],
    "what was computed": [() => new AdamW([["w", p.mul(2)]]), 'AdamW: "w", tensor float32 [2], is no leaf'],
    "parameters without names": [() => new AdamW([p] as never), "AdamW: parameters are a module, or pairs [name, tensor]; given was (a Tensor of shape [2])"],
    "no parameters": [() => new AdamW(none), "AdamW: parameters undefined: want a module, or pairs [name, tensor]"],
    "a pair without a tensor": [() => new AdamW([["w", 3]] as never), 'AdamW: "w" 3: want a tensor'],
    "two parameters of one name": [() => new Sgd([["w", p], ["w", other]], { lr: 1 }), 'Sgd: two parameters are called "w"; state is saved by name'],
    "one parameter under two names": [() => new Adam([["w", p], ["v", p]]), 'Adam: "w" and "v" are the same tensor, which would be moved twice'],
    "no learning rate": [() => new Sgd([["w", p]], {} as never), "Sgd: lr is missing: want a finite number of 0 or more"],
    "a number instead of options": [() => new Sgd([["w", p]], 0.1 as never), "Sgd: options 0.1: want an object with lr"],
    "a number instead of options, with defaults": [() => new AdamW([["w", p]], 0.1 as never), "AdamW: options 0.1: want an object with lr"],
    "a learning rate below 0": [() => new Adam([["w", p]], { lr: -1 }), "Adam: lr -1: want a finite number of 0 or more"],
    "an infinite learning rate": [() => new Adam([["w", p]], { lr: Infinity }), "Adam: lr Infinity: want"],
    "an unknown option": [() => new AdamW([["w", p]], { weigthDecay: 0.1 } as never), 'AdamW: there is no option weigthDecay; did you mean weightDecay?'],
    "running means that never forget": [() => new Adam([["w", p]], { betas: [0.9, 1] }), "Adam: betas [0.9, 1]: want an array of 2, each entry a number from 0 to below 1"],
    "one beta": [() => new AdamW([["w", p]], { betas: 0.9 } as never), "AdamW: betas 0.9: want an array of 2"],
    "a word for a flag": [() => new Rmsprop([["w", p]], { centered: "yes" } as never), 'Rmsprop: centered "yes": want true or false'],
    "a decay that grows": [() => new Adafactor([["w", p]], { decayRate: 0.8 }), "Adafactor: decayRate 0.8: want a finite number of 0 or less"],
    "a learning rate beside relative steps": [() => new Adafactor([["w", p]], { lr: 0.1 }), "Adafactor: lr 0.1 and relativeStep true"],
    "a learning rate of a group beside relative steps": [() => new Adafactor([["w", p]], {}, () => ({ lr: 0.1 })), "Adafactor: lr 0.1 and relativeStep true"],
    "a warm-up of steps that are not relative": [() => new Adafactor([["w", p]], { relativeStep: false, warmupInit: true }), "Adafactor: warmupInit true and relativeStep false"],
    "groups that are no function": [() => new Adam([["w", p]], {}, { w: {} } as never), "Adam: groups { w }: want a function"],
    "an unknown option of a group": [() => new Adam([["w", p]], {}, () => ({ rate: 1 }) as never), 'Adam, for "w": there is no option rate'],
    "a wrong option of a group": [() => new Adam([["w", p]], {}, () => ({ lr: -1 })), 'Adam, for "w": lr -1: want'],
    "nesterov of a group without momentum": [() => new Sgd([["w", p]], { lr: 1 }, () => ({ nesterov: true })), "Sgd: nesterov with momentum 0 and dampening 0"],
    "a step whose factor is no number": [() => adam.step({ factor: NaN }), "Adam.step: factor NaN: want a finite number of 0 or more"],
    "a step with a mistyped option": [() => adam.step({ factr: 1 } as never), 'Adam.step: there is no option factr; did you mean factor?'],
    "a gradScale that is no scalar": [() => adam.step({ gradScale: zeros([2]) }), "Adam.step: gradScale is a tensor of shape [2]: want a scalar"],
    "a state that is none": [() => adam.load(none), "Adam.load: options undefined: want an object with step, tensors"],
    "a step that is none": [() => adam.load({ step: 1.5, tensors: new Map() }), "Adam.load: step 1.5: want a whole number of 0 or more"],
    "what is no tensor": [() => adam.load({ step: 1, tensors: new Map([["w/first", 3]]) } as never), 'Adam.load: "w/first" 3: want a tensor'],
  };
  for (const [what, [attempt, message]] of Object.entries(bad))
    it(what, () => {
      expect(attempt).to.throw(message);
      expect(adam.steps).to.equal(0);
    });

  it("nothing where options are undefined: their defaults hold", () => {
    const numbersOf = (options: object): number[] => run(make(AdamW, { lr: 0.1, ...options }));
    expect(numbersOf({ betas: undefined, eps: undefined, weightDecay: undefined })).to.deep.equal(numbersOf({}));
  });
});

describe("clipping", () => {
  const withGradients = (seed: number): Tensor[] =>
    [[3, 4], [5], []].map((shape, i) => {
      // prettier-ignore
      const p = zeros(shape, { dtype: "float64", requiresGrad: true });
      p.accumulateGrad(drawn(shape, seed + i));
      return p;
    });
  const all = (parameters: readonly Tensor[]): number[] => parameters.flatMap(({ grad }) => [...(grad?.dataSync() ?? [])]);

  const norms: [NormType, (x: number[]) => number][] = [
    [1, (x) => x.reduce((sum, value) => sum + Math.abs(value), 0)],
    [2, (x) => Math.hypot(...x)],
    [3, (x) => Math.cbrt(x.reduce((sum, value) => sum + Math.abs(value) ** 3, 0))],
    [Infinity, (x) => Math.max(...x.map(Math.abs))],
  ];
  for (const [type, norm] of norms)
    it(`by the ${type} norm scales by maxNorm / (norm + 1e-6), never up`, () => {
      const parameters = withGradients(1);
      const before = all(parameters);
      expect(clipGradNorm(parameters, 1000, type).itemSync()).to.be.closeTo(norm(before), 1e-9);
      expect(all(parameters)).to.deep.equal(before);
      clipGradNorm(parameters, 0.5, type);
      all(parameters).forEach((value, i) => expect(value).to.be.closeTo((before[i] * 0.5) / (norm(before) + 1e-6), 1e-12));
    });

  it("without a bound only measures", () => {
    const parameters = withGradients(1);
    const before = all(parameters);
    expect(clipGradNorm(parameters, Infinity).itemSync()).to.be.closeTo(Math.hypot(...before), 1e-9);
    expect(all(parameters)).to.deep.equal(before);
  });

  it("measures gradients of any dtypes together, also where the device has a kernel for float32 alone", () => {
    const backend = new MeasuringBackend();
    const values = [3, -4.5, 0.25];
    const gradient = (dtype: DType): Tensor => {
      const p = zeros([3], { dtype, backend, requiresGrad: true });
      p.accumulateGrad(tensor(values, { dtype, backend }));
      return p;
    };
    const square = values.reduce((sum, value) => sum + value * value, 0);
    for (const dtypes of [["float32"], ["bfloat16"], ["float64"], ["float32", "bfloat16"], ["float32", "float64", "bfloat16"]] as const) {
      const norm = gradNorm(dtypes.map(gradient));
      expect(norm.itemSync(), dtypes.join()).to.be.closeTo(Math.sqrt(dtypes.length * square), 1e-6);
      expect(norm.dtype).to.equal(dtypes.some((dtype) => dtype === "float64") ? "float64" : "float32");
    }
    expect(backend.measured, "by the kernel, where all are float32").to.equal(1);
    const [own, foreign] = [gradient("float32"), withGradients(1)[0]];
    expect(() => gradNorm([own, foreign])).to.throw(/device|backend/);
    expect(() => gradNorm([foreign, own])).to.throw(/device|backend/);
    expect(backend.measured).to.equal(1);
  });

  it("by value brings each element in, and leaves parameters without a gradient alone", () => {
    const parameters = [...withGradients(1), zeros([2], { requiresGrad: true })];
    const before = all(parameters);
    expect(Math.max(...before.map(Math.abs))).to.be.above(0.5);
    clipGradValue(parameters, 0.5);
    expect(all(parameters)).to.deep.equal(before.map((value) => Math.min(0.5, Math.max(-0.5, value))));
  });

  it("inside the step is clipping before it", () => {
    const [a, b] = [withGradients(1), withGradients(1)];
    const named = (parameters: Tensor[]): [string, Tensor][] => parameters.map((p, i) => [`p${i}`, p]);
    clipGradNorm(a, 0.5);
    new AdamW(named(a)).step();
    new AdamW(named(b)).step({ gradScale: clipScale(gradNorm(b), 0.5) });
    a.forEach((p, i) => expectClose(b[i], p, 1e-12));
  });

  it("refuses what cannot be clipped", () => {
    expect(() => gradNorm([zeros([2], { requiresGrad: true })])).to.throw("gradNorm: no parameter has a gradient; call backward first");
    expect(() => clipGradNorm(withGradients(1), 0)).to.throw("clipGradNorm: maxNorm 0: want a number above 0, or Infinity");
    expect(() => gradNorm(withGradients(1), 0)).to.throw("gradNorm: type 0: want a number above 0, or Infinity");
    expect(() => clipGradValue(withGradients(1), -1)).to.throw("clipGradValue: bound -1: want a number above 0, or Infinity");
  });
});
