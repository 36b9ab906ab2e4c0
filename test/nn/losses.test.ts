import { expect } from "chai";
import fc from "fast-check";
import { key, ones, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { bceWithLogits, crossEntropy, distillationLoss, huberLoss, klDivergence, l1Loss, mseLoss } from "switchyard-moe/nn";
import type { CrossEntropyOptions } from "switchyard-moe/nn";
import { checkGradients } from "switchyard-moe/testing";
import { drawn, expectClose } from "./plain.ts";

/** -log softmax(x)[c] of each row, by loops. */
function surprise(x: readonly (readonly number[])[]): number[][] {
  return x.map((row) => {
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    return row.map((value) => total - value);
  });
}

const options = fc.record({
  R: fc.integer({ min: 1, max: 5 }),
  V: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(999),
  smoothing: fc.constantFrom(0, 0.1, 0.5, 1),
  weighted: fc.boolean(),
  reduction: fc.constantFrom("mean", "sum", "none"),
});

/** What TypeScript would refuse and JavaScript lets through. */
const untyped = (value: unknown): "mean" => value as "mean";

describe("cross-entropy of class targets", () => {
  it("is its formula: smoothing, weights, ignored rows, reductions", () => {
    fc.assert(
      fc.property(options, ({ R, V, seed, smoothing, weighted, reduction }) => {
        const x = drawn([R, V], seed);
        const target = Int32Array.from({ length: R }, (_, r) =>
          key(seed).number(r) < 0.3 ? -100 : Math.floor(key(seed).number(r + 50) * V),
        );
        const w = Array.from({ length: V }, (_, c) => (weighted ? 0.5 + key(seed).number(100 + c) : 1));
        const costs = surprise(x.arraySync() as number[][]);
        const rows = costs.map((row, r) =>
          target[r] < 0 ? 0 : row.reduce((sum, cost, c) => sum + w[c] * cost * (smoothing / V + (c === target[r] ? 1 - smoothing : 0)), 0),
        );
        const sum = rows.reduce((a, b) => a + b, 0);
        const count = target.reduce((n, c) => n + (c < 0 ? 0 : w[c]), 0);
        const got = crossEntropy(x, tensor(target), {
          labelSmoothing: smoothing,
          reduction,
          ...(weighted ? { weight: tensor(w, { dtype: "float64" }) } : {}),
        } as CrossEntropyOptions);
        if (reduction === "none") return expectClose(got, tensor(rows, { dtype: "float64" }));
        expect(got.itemSync()).to.be.closeTo(reduction === "sum" ? sum : count ? sum / count : 0, 1e-9);
      }),
      { numRuns: 200 },
    );
  });

  it("counts targets that were computed on the device as well", () => {
    const x = drawn([4, 3], 1);
    const host = tensor(Int32Array.of(0, -100, 2, -100));
    expectClose(crossEntropy(x, host.add(0)), crossEntropy(x, host));
    // 1,000 of 1,001: a count that half precision would round.
    const [many, ids] = [drawn([1001, 2], 2), Int32Array.from({ length: 1001 }, (_, i) => (i === 7 ? -100 : i % 2))];
    expectClose(crossEntropy(many, tensor(ids).add(0)), crossEntropy(many, tensor(ids)), 1e-12);
  });

  for (const [name, more] of [
    ["plain", {}],
    ["smoothed and weighted", { labelSmoothing: 0.1, weight: tensor([0.5, 1, 2], { dtype: "float64" }) }],
    ["summed", { reduction: "sum" }],
  ] as const)
    it(`${name}: right derivatives to second order, 0 for ignored rows`, async () => {
      const target = tensor(Int32Array.of(0, -100, 2, 2));
      await checkGradients((x) => crossEntropy(x, target, more), [drawn([4, 3], 1)]);
      const x = drawn([4, 3], 1).requireGrad();
      crossEntropy(x, target, more).backward();
      expect([...(x.grad?.narrow(0, 1, 2).dataSync() ?? [])]).to.deep.equal([0, 0, 0]);
    });

  it("takes classes along any axis", () => {
    const x = drawn([2, 3, 4], 1);
    const target = tensor(Int32Array.from([0, 1, 2, 0, 2, 2, 1, 0]), { shape: [2, 4] });
    expectClose(crossEntropy(x, target, { axis: 1, reduction: "none" }), crossEntropy(x.permute([0, 2, 1]), target, { reduction: "none" }));
  });

  it("of logits of 1e4 is finite, of bfloat16 in float32", () => {
    const x = tensor([[1e4, -1e4], [-1e4, 1e4]]); // prettier-ignore
    expect(crossEntropy(x, tensor(Int32Array.of(0, 0)), { reduction: "none" }).arraySync()).to.deep.equal([0, 2e4]);
    expect(crossEntropy(x.cast("bfloat16"), tensor(Int32Array.of(0, 0))).dtype).to.equal("float32");
  });

  it("of nothing but ignored rows is 0 with gradient 0", () => {
    const x = drawn([2, 3], 1).requireGrad();
    const loss = crossEntropy(x, tensor(Int32Array.of(-100, -100)));
    loss.backward();
    expect([loss.itemSync(), x.grad?.abs().max().itemSync()]).to.deep.equal([0, 0]);
  });

  it("says what does not fit", () => {
    const x = drawn([2, 3], 1);
    expect(() => crossEntropy(x, tensor(Int32Array.of(0, 3)))).to.throw(
      RangeError,
      "crossEntropy: target 3 at 1 is outside 0 to 2 and not the ignored -100",
    );
    expect(() => crossEntropy(x, tensor(Int32Array.of(0)))).to.throw(
      "crossEntropy: logits [2, 3] with classes along axis 1 want targets [2] int32",
    );
    expect(() => crossEntropy(x, drawn([2], 1))).to.throw("or probabilities of their own shape, given tensor float64 [2]");
    const target = tensor(Int32Array.of(0, 1));
    expect(() => crossEntropy(x, target, { weight: drawn([2], 1) })).to.throw("crossEntropy: weight [2] for 3 classes: want [3]");
    expect(() => crossEntropy(x, target, { labelSmoothing: 1.5 })).to.throw(
      "crossEntropy: labelSmoothing 1.5: want a finite number from 0 to 1",
    );
    expect(() => crossEntropy(x, target, { reduction: untyped("avg") })).to.throw(
      'crossEntropy: reduction "avg": want "mean", "sum" or "none"',
    );
  });
});

describe("a target that is no class is an error, however little it would count", () => {
  const x = drawn([2, 3], 1);
  const bad = { host: tensor(Int32Array.of(0, 3)), computed: tensor(Int32Array.of(0, 2)).add(tensor(Int32Array.of(0, 1))) };
  const weight = tensor([1, 1, 0], { dtype: "float64" });
  for (const [from, target] of Object.entries(bad)) {
    for (const labelSmoothing of [0, 0.1, 1])
      for (const more of [{}, { weight }, { reduction: "sum" }, { reduction: "none" }] as const)
        it(`${from}, smoothed by ${labelSmoothing}, ${Object.keys(more).join() || "plain"}`, () => {
          expect(() => crossEntropy(x, target, { labelSmoothing, ...more })).to.throw(RangeError, "3 at 1 is outside 0 to 2");
        });
    for (const share of [0, 0.25, 1])
      it(`${from}, beside a teacher's share of ${share}`, () => {
        expect(() => distillationLoss(x, x, target, { share })).to.throw(RangeError, "3 at 1 is outside 0 to 2");
      });
  }
});

describe("cross-entropy of probabilities", () => {
  it("of a one-hot target is that of the class", () => {
    const x = drawn([4, 3], 1);
    const target = tensor(Int32Array.of(0, 1, 2, 2));
    for (const more of [{}, { labelSmoothing: 0.2 }, { weight: tensor([0.5, 1, 2], { dtype: "float64" }), reduction: "none" }] as const)
      expectClose(crossEntropy(x, target.oneHot(3, "float64"), more), crossEntropy(x, target, more));
  });

  it("has right derivatives in logits and targets", () =>
    checkGradients((x, t) => crossEntropy(x, t, { labelSmoothing: 0.1 }), [drawn([4, 3], 1), drawn([4, 3], 2)]));
});

const [a, b] = [drawn([3, 4], 1), drawn([3, 4], 2)];

describe("losses between equal shapes", () => {
  it("know their reductions by name: PyTorch's batchmean is batchMean here", () => {
    const x = drawn([2, 3], 1);
    expect(() => mseLoss(x, x, { reduction: untyped("average") })).to.throw('mseLoss: reduction "average": want "mean", "sum" or "none"');
    expect(() => klDivergence(x, x, { reduction: untyped("batchmean") })).to.throw(
      'klDivergence: reduction "batchmean": want "batchMean", "mean", "sum" or "none"',
    );
  });

  it("mean squared and mean absolute error", () => {
    const [x, t] = [tensor([1, 2, 3]), tensor([2, 2, 5])];
    expect(mseLoss(x, t).itemSync()).to.be.closeTo(5 / 3, 1e-6);
    expect(mseLoss(x, t, { reduction: "sum" }).itemSync()).to.equal(5);
    expect(l1Loss(x, t, { reduction: "none" }).arraySync()).to.deep.equal([1, 0, 2]);
  });

  it("Huber: a parabola that goes on straight", () => {
    const x = tensor([-3, -0.5, 0, 0.5, 3]);
    expect(huberLoss(x, zeros([5]), { delta: 2, reduction: "none" }).arraySync()).to.deep.equal([4, 0.125, 0, 0.125, 4]);
  });

  it("binary cross-entropy is that of two classes, and finite at 1e4", () => {
    const t = tensor([1, 0, 1, 0], { dtype: "float64" });
    const x = drawn([4], 3);
    const two = crossEntropy(x.unsqueeze(1).mul(tensor([[0, 1]], { dtype: "float64" })), tensor(Int32Array.of(1, 0, 1, 0)));
    expectClose(bceWithLogits(x, t), two);
    expect(bceWithLogits(tensor([1e4, -1e4]), ones([2]), { reduction: "none" }).arraySync()).to.deep.equal([0, 1e4]);
    const weighted = bceWithLogits(x, t, { posWeight: tensor([3], { dtype: "float64" }), reduction: "none" });
    expectClose(weighted.div(bceWithLogits(x, t, { reduction: "none" })), tensor([3, 1, 3, 1], { dtype: "float64" }));
  });

  it("KL divergence: 0 between equals, above 0 between others, 0 log 0 is 0", () => {
    const p = a.softmax(-1);
    expect(klDivergence(p.log(), p).itemSync()).to.be.closeTo(0, 1e-12);
    expect(klDivergence(b.logSoftmax(-1), p).itemSync()).to.be.above(0.01);
    expectClose(klDivergence(b.logSoftmax(-1), a.logSoftmax(-1), { logTarget: true }), klDivergence(b.logSoftmax(-1), p));
    expect(klDivergence(tensor([[0.5, 0.5]]).log(), tensor([[1, 0]])).itemSync()).to.be.closeTo(Math.LN2, 1e-6);
    expect(klDivergence(tensor(0.25).log(), tensor(0.5)).itemSync(), "a scalar").to.be.closeTo(0.5 * Math.LN2, 1e-6);
    expect(klDivergence(zeros([0, 2]), zeros([0, 2])).itemSync(), "no rows").to.equal(0);
  });

  it("a weight of positives does not stretch the losses", () => {
    const x = drawn([3], 1);
    for (const shape of [[2, 3], [2]])
      // prettier-ignore
      expect(() => bceWithLogits(x, x, { posWeight: drawn(shape, 1) })).to.throw(
        `bceWithLogits: posWeight [${shape.join(", ")}] does not stretch to [3]`,
      );
  });

  const rows: [string, (x: Tensor, t: Tensor) => Tensor][] = [
    ["mseLoss", mseLoss],
    ["l1Loss", l1Loss],
    ["huberLoss", (x, t) => huberLoss(x, t, { delta: 0.7 })],
    ["bceWithLogits", (x, t) => bceWithLogits(x, t, { posWeight: tensor([1, 2, 3, 4], { dtype: "float64" }) })],
    ["klDivergence", (x, t) => klDivergence(x.logSoftmax(-1), t.softmax(-1))],
  ];
  for (const [name, loss] of rows) {
    it(`${name}: right derivatives, float32 for bfloat16`, async () => {
      await checkGradients((x, t) => loss(x, t), [a, b], { step: 1e-4, tolerance: 1e-5 });
      if (name !== "bceWithLogits")
        expect(loss(a.cast("float32").cast("bfloat16"), b.cast("float32").cast("bfloat16")).dtype).to.equal("float32");
    });
    it(`${name} does not broadcast`, () => {
      expect(() => loss(a, drawn([4], 1))).to.throw(/prediction \[3, 4\] and target \[4\] differ|axis/);
    });
  }
});

describe("P82: distillation mixes the cross-entropy with the teacher and with the labels", () => {
  const [student, teacher] = [drawn([4, 3], 1), drawn([4, 3], 2)];
  const target = tensor(Int32Array.of(0, 1, 2, 2));

  it("is 0.25 of the teacher's cross-entropy and 0.75 of the labels'", () => {
    const wanted = crossEntropy(student, teacher.softmax(-1)).mul(0.25).add(crossEntropy(student, target).mul(0.75));
    expectClose(distillationLoss(student, teacher, target), wanted);
    expectClose(distillationLoss(student, teacher, target, { share: 0 }), crossEntropy(student, target));
  });

  it("pulls the student by softmax(student) - 0.25 teacher - 0.75 label, and leaves the teacher alone", () => {
    const [x, t] = [student.detach().requireGrad(), teacher.detach().requireGrad()];
    distillationLoss(x, t, target).backward();
    const wanted = student
      .softmax(-1)
      .sub(teacher.softmax(-1).mul(0.25))
      .sub(target.oneHot(3, "float64").mul(0.75))
      .mul(1 / 4);
    expectClose(x.grad ?? x, wanted);
    expect(t.grad).to.equal(null);
  });

  it("leaves out a part that has no weight: its NaN and Infinity reach neither loss nor gradient", () => {
    const nothing = tensor(new Float64Array(12).fill(NaN), { shape: [4, 3] });
    const x = student.detach().requireGrad();
    const labels = distillationLoss(x, nothing, target, { share: 0 });
    labels.backward();
    expectClose(labels, crossEntropy(student, target));
    const label = student.softmax(-1).sub(target.oneHot(3, "float64")).mul(1 / 4); // prettier-ignore
    expectClose(x.grad ?? x, label);
    const forbidden = tensor(Float64Array.of(1, -Infinity, 3), { shape: [1, 3], requiresGrad: true });
    const learnt = distillationLoss(forbidden, forbidden.detach(), tensor(Int32Array.of(1)), { share: 1 });
    learnt.backward();
    expectClose(learnt, crossEntropy(forbidden.detach(), forbidden.detach().softmax(-1)));
    expectClose(forbidden.grad ?? x, tensor([0, 0, 0], { shape: [1, 3], dtype: "float64" }));
  });

  it("wants a label for each row", () => {
    expect(() => distillationLoss(student, teacher, tensor(Int32Array.of(0, 1)))).to.throw(
      "distillationLoss: target [2] beside logits [4, 3]",
    );
  });

  it("leaves out ignored rows on both sides", () => {
    const part = distillationLoss(student.narrow(0, 0, 2), teacher.narrow(0, 0, 2), target.narrow(0, 0, 2));
    expectClose(distillationLoss(student, teacher, tensor(Int32Array.of(0, 1, -100, -100))), part);
  });
});

describe("0 times an infinite cost is 0", () => {
  const f64 = (values: number[][]): Tensor => tensor(values, { dtype: "float64" });
  const masked = f64([[-Infinity, 1, 0]]);
  const logs = masked.logSoftmax(-1);
  const p = [0, 0.7, 0.3];
  const entropy = -p.reduce((sum, share) => sum + (share ? share * Math.log(share) : 0), 0);
  const cost = 0.7 * Math.log(1 + Math.exp(-1)) + 0.3 * Math.log(1 + Math.E);
  const teacher = f64([p.map((share) => Math.log(share))]);
  const label = tensor(Int32Array.of(1));
  const weight = tensor([0, 1, 1], { dtype: "float64" });

  const rows: [string, (x: Tensor) => Tensor, number][] = [
    ["soft targets", (x) => crossEntropy(x, f64([p])), cost],
    ["soft targets, weighted", (x) => crossEntropy(x, f64([[0.2, 0.7, 0.3]]), { weight }), cost],
    ["class targets, weighted and smoothed", (x) => crossEntropy(x, label, { weight, labelSmoothing: 0.6, reduction: "sum" }), 0.6 * Math.log(1 + Math.exp(-1)) + 0.2 * Math.log(1 + Math.E)], // prettier-ignore
    ["a class target without weight", (x) => crossEntropy(x, tensor(Int32Array.of(0)), { weight, reduction: "sum" }), 0],
    ["distillation", (x) => distillationLoss(x, teacher, label, { share: 1 }), cost],
    ["distillation with labels", (x) => distillationLoss(x, teacher, label), 0.25 * cost + 0.75 * Math.log(1 + Math.exp(-1))],
    ["distillation of another class's label", (x) => distillationLoss(x, teacher, tensor(Int32Array.of(0)), { share: 1 }), cost],
    ["KL divergence", (x) => klDivergence(x.logSoftmax(-1), f64([p])), cost - entropy],
    ["KL divergence of logarithms", (x) => klDivergence(x.logSoftmax(-1), teacher, { logTarget: true }), cost - entropy],
  ];
  for (const [name, loss, wanted] of rows)
    it(`${name}: value, and a gradient without NaN`, () => {
      const x = masked.detach().requireGrad();
      const value = loss(x);
      value.backward();
      expect(value.itemSync()).to.be.closeTo(wanted, 1e-12);
      const gradient = [...(x.grad?.dataSync() ?? [NaN])];
      expect(gradient.every(Number.isFinite), `${gradient}`).to.equal(true);
      expect(gradient[0]).to.be.closeTo(0, 1e-15);
    });

  it("the values that were found wrong: logits [-Infinity, 1, 0], targets [0, 0.75, 0.25]", () => {
    expect(crossEntropy(tensor([[-Infinity, 1, 0]]), tensor([[0, 0.75, 0.25]])).itemSync()).to.be.closeTo(0.563262, 1e-6);
  });

  it("a target that smoothing leaves no weight adds nothing: the even share alone is infinite", () => {
    expect(crossEntropy(masked, tensor(Int32Array.of(0)), { labelSmoothing: 1 }).itemSync()).to.equal(Infinity);
  });

  it("binary: a sure answer that is right costs nothing, one that is wrong infinitely much", () => {
    const x = tensor([Infinity, -Infinity, Infinity, -Infinity], { requiresGrad: true });
    const losses = bceWithLogits(x, tensor([1, 0, 0, 1]), { reduction: "none" });
    losses.sum().backward();
    expect([...losses.dataSync()]).to.deep.equal([0, 0, Infinity, Infinity]);
    expect([...(x.grad?.dataSync() ?? [])].map((g) => g + 0)).to.deep.equal([0, 0, 1, -1]);
    const free = bceWithLogits(tensor([-Infinity]), tensor([1]), { posWeight: tensor([0]) });
    expect(free.itemSync()).to.equal(0);
  });

  it("a row that is ignored costs nothing, whatever the teacher says of it", () => {
    const both = f64([[1, 0, 0], [-Infinity, 1, 0]]); // prettier-ignore
    const sure = f64([[0, 0, 0], [5, -Infinity, 5]]); // prettier-ignore
    const wanted = distillationLoss(both.narrow(0, 0, 1), sure.narrow(0, 0, 1), label);
    expectClose(distillationLoss(both, sure, tensor(Int32Array.of(1, -100))), wanted);
  });

  it("a target that is a weight of its own gets the derivative -log p wherever that is finite", () => {
    const target = f64([p]).requireGrad();
    crossEntropy(masked, target).backward();
    const [, one, two] = logs.dataSync();
    expectClose(target.grad ?? target, f64([[0, -one, -two]]));
    const everywhere = f64([[0, 1, 0]]).requireGrad();
    crossEntropy(f64([[2, 1, 0]]), everywhere).backward();
    expectClose(
      everywhere.grad ?? everywhere,
      f64([[2, 1, 0]])
        .logSoftmax(-1)
        .neg(),
    );
  });
});
