/** Auxiliary losses against their closed forms. P34 to P51 of the field. T tokens, E experts. */
import { expect } from "chai";
import fc from "fast-check";
import { gradients, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { importanceLoss, loadBalance, loadLoss, squaredVariation, zLoss } from "../../src/moe/index.ts";
import { largest, softmaxByHand } from "../../src/testing/oracle.ts";

const matrix = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(Float64Array.from(rows.flat()), { shape: [1, rows.length, rows[0].length], requiresGrad: true });
const choices = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(Int32Array.from(rows.flat()), { shape: [1, rows.length, rows[0].length] });
const balanceOf = (expert: readonly number[], probs: readonly (readonly number[])[]): number =>
  loadBalance({ expertOfChoice: choices(expert.map((e) => [e])), probs: matrix(probs) }).itemSync();

/** Logits of T tokens and E experts. */
const logits = (minExperts = 1): fc.Arbitrary<number[][]> =>
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: minExperts, max: 6 })).chain(([tokens, experts]) =>
    fc.array(
      fc.array(
        fc.integer({ min: -30, max: 30 }).map((h) => h / 10),
        { minLength: experts, maxLength: experts },
      ),
      { minLength: tokens, maxLength: tokens },
    ),
  );

describe("load balance", () => {
  it("P34: is 1 where rows of p are uniform, whatever was chosen", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(), { minLength: 1, maxLength: 9 }), (experts, draws) => {
        const probs = draws.map(() => new Array<number>(experts).fill(1 / experts));
        expect(
          balanceOf(
            draws.map((n) => n % experts),
            probs,
          ),
        ).to.be.closeTo(1, 1e-12);
      }),
    ));

  it("P34: is 1 where the load is even, whatever p is", () =>
    fc.assert(
      fc.property(logits(), fc.integer({ min: 1, max: 3 }), (rows, times) => {
        const experts = rows[0].length;
        const probs = Array.from({ length: experts * times }, (_, t) => softmaxByHand(rows[t % rows.length]));
        expect(
          balanceOf(
            probs.map((_, t) => t % experts),
            probs,
          ),
        ).to.be.closeTo(1, 1e-12);
      }),
    ));

  it("P35: lies between 1 / E and E, above the sum of f^2, and is E at collapse", () =>
    fc.assert(
      fc.property(logits(), (rows) => {
        const experts = rows[0].length;
        const expert = rows.map((row) => largest(row, 1)[0]);
        const loss = balanceOf(expert, rows.map(softmaxByHand));
        const f = Array.from({ length: experts }, (_, e) => expert.filter((x) => x === e).length / rows.length);
        expect(loss).to.be.within(f.reduce((sum, x) => sum + x * x, 0) - 1e-12, experts + 1e-12);
        expect(loss).to.be.at.least(1 / experts - 1e-12);
        const certain = rows.map(() => Array.from({ length: experts }, (_, e) => Number(e === 0)));
        expect(
          balanceOf(
            rows.map(() => 0),
            certain,
          ),
        ).to.be.closeTo(experts, 1e-12);
      }),
    ));

  it("P36: may fall below 1: p = (.5, 0, .5), (0, .5, .5) gives 0.75", () => {
    expect(balanceOf([0, 1], [[0.5, 0, 0.5], [0, 0.5, 0.5]])).to.be.closeTo(0.75, 1e-12); // prettier-ignore
  });

  it("P37: its gradient by the logits is E / T p (f - sum f p): rows add up to 0, and it is 0 where f is uniform", () =>
    fc.assert(
      fc.property(logits(), (rows) => {
        const [tokens, experts] = [rows.length, rows[0].length];
        const h = matrix(rows);
        const expert = rows.map((row) => largest(row, 1)[0]);
        const loss = loadBalance({ expertOfChoice: choices(expert.map((e) => [e])), probs: h.softmax(-1) });
        const g = Array.from(gradients(loss, [h])[0].dataSync());
        const f = Array.from({ length: experts }, (_, e) => expert.filter((x) => x === e).length / tokens);
        rows.forEach((row, t) => {
          const p = softmaxByHand(row);
          const mean = p.reduce((sum, x, e) => sum + x * f[e], 0);
          p.forEach((x, e) => expect(g[t * experts + e]).to.be.closeTo((experts / tokens) * x * (f[e] - mean), 1e-12));
          expect(g.slice(t * experts, (t + 1) * experts).reduce((a, b) => a + b, 0)).to.be.closeTo(0, 1e-12);
        });
      }),
    ));

  it("P42: an even load of K choices is 1 for every K", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }), (experts, k) => {
        fc.pre(k <= experts);
        const rows = Array.from({ length: experts }, (_, t) => Array.from({ length: k }, (__, i) => (t + i) % experts));
        const probs = rows.map((_, t) => softmaxByHand(Array.from({ length: experts }, (__, e) => Math.sin(t * 3 + e))));
        expect(loadBalance({ expertOfChoice: choices(rows), probs: matrix(probs) }).itemSync()).to.be.closeTo(1, 1e-12);
      }),
    ));

  it("P39: padding is neither in f nor in P, whatever its probabilities", () =>
    fc.assert(
      fc.property(logits(2), fc.integer({ min: 1, max: 3 }), (rows, padding) => {
        const [probs, expert] = [rows.map(softmaxByHand), rows.map((row) => [largest(row, 1)[0]])];
        const junk = Array.from({ length: padding }, () => probs[0].map((_, e) => Number(e === 0)));
        const mask = tensor(Float64Array.from([...rows.map(() => 1), ...junk.map(() => 0)]), { shape: [1, rows.length + padding] });
        const padded = loadBalance({
          expertOfChoice: choices([...expert, ...junk.map(() => [-1])]),
          probs: matrix([...probs, ...junk]),
          mask,
        });
        expect(padded.itemSync()).to.be.closeTo(balanceOf(expert.flat(), probs), 1e-12);
      }),
    ));

  it("a scope of its own for each sequence is the mean of their losses; a sequence of padding does not count", () => {
    const probs = tensor(Float64Array.of(0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5), { shape: [3, 2, 2] });
    const expertOfChoice = tensor(Int32Array.of(0, 0, 1, 1, -1, -1), { shape: [3, 2, 1] });
    const mask = tensor(Float64Array.of(1, 1, 1, 1, 0, 0), { shape: [3, 2] });
    const each = [2 * 0.85, 2 * 0.65];
    expect(loadBalance({ expertOfChoice, probs, mask }).itemSync()).to.be.closeTo((each[0] + each[1]) / 2, 1e-12);
  });
});

describe("z-loss", () => {
  it("P50: is the mean squared log-sum-exp, with gradient 2 / T lse p", () =>
    fc.assert(
      fc.property(logits(), (rows) => {
        const h = matrix(rows);
        const loss = zLoss(h);
        const lse = rows.map((row) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)));
        expect(loss.itemSync()).to.be.closeTo(lse.reduce((sum, x) => sum + x * x, 0) / rows.length, 1e-9);
        const g = gradients(loss, [h])[0].dataSync();
        rows.forEach((row, t) =>
          softmaxByHand(row).forEach((p, e) => expect(g[t * row.length + e]).to.be.closeTo((2 / rows.length) * lse[t] * p, 1e-9)),
        );
      }),
    ));

  it("P50 P51: is (ln E)^2 at 0, 0 after a shift by -lse, and finite at a thousand", () => {
    expect(zLoss(matrix([new Array<number>(8).fill(0)])).itemSync()).to.be.closeTo(Math.log(8) ** 2, 1e-12);
    expect(zLoss(matrix([[1000 - Math.log(2) - 1000, -Math.log(2)]])).itemSync()).to.be.closeTo(0, 1e-20);
    expect(zLoss(matrix([[1000, -1000]])).itemSync()).to.be.closeTo(1e6, 1e-6);
  });

  it("P39: padding adds nothing, not even (ln E)^2", () => {
    const mask = tensor(Float64Array.of(1, 0), { shape: [1, 2] });
    expect(zLoss(matrix([[1, 2], [0, 0]]), mask).itemSync()).to.be.closeTo(zLoss(matrix([[1, 2]])).itemSync(), 1e-12); // prettier-ignore
  });
});

describe("means over scopes", () => {
  const mask = tensor(Float64Array.of(1, 1, 1, 1, 1, 0, 0, 0), { shape: [2, 4] });
  const h = tensor(Float64Array.from([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 9, 9, NaN, 9, 9, 9]), { shape: [2, 4, 2] });

  it("the z-loss is one mean over tokens, whether they stand in one sequence or in several", () => {
    const lse = [1, 2, 3, 4, 5].map((x) => Math.log(Math.exp(x) + 1) ** 2);
    const wanted = lse.reduce((a, b) => a + b, 0) / 5;
    expect(zLoss(h, mask).itemSync()).to.be.closeTo(wanted, 1e-12);
    expect(zLoss(h.reshape([1, 8, 2]), mask.reshape([1, 8])).itemSync()).to.be.closeTo(wanted, 1e-12);
    expect(zLoss(h.narrow(0, 0, 1)).itemSync()).to.be.closeTo(lse.slice(0, 4).reduce((a, b) => a + b, 0) / 4, 1e-12);
    expect(zLoss(h.narrow(1, 0, 0)).itemSync()).to.equal(0);
  });

  it("importance and load leave out sequences of padding", () => {
    const gates = tensor(Float64Array.of(1, 0, 0.5, 0.5, 1, 0, 0, 1), { shape: [2, 2, 2] });
    const one = tensor(Float64Array.of(1, 1, 0, 0), { shape: [2, 2] });
    const wanted = (2 * (1.5 ** 2 + 0.5 ** 2)) / 4 - 1;
    expect(importanceLoss(gates, one).itemSync()).to.be.closeTo(wanted, 1e-12);
    expect(loadLoss(gates, one).itemSync()).to.be.closeTo(wanted, 1e-12);
    expect(importanceLoss(gates).itemSync(), "all are tokens").to.be.closeTo(wanted / 2, 1e-12);
    expect(importanceLoss(gates, one.mul(0)).itemSync(), "no token").to.equal(0);
  });

  it("are 0 where there is no scope: a batch of no sequences", () => {
    const none = tensor(new Float64Array(0), { shape: [0, 4, 2] });
    const expertOfChoice = tensor(new Int32Array(0), { shape: [0, 4, 1] });
    for (const loss of [loadBalance({ expertOfChoice, probs: none }), importanceLoss(none), loadLoss(none), zLoss(none)])
      expect(loss.itemSync()).to.equal(0);
    expect(squaredVariation(none.sum(1)).itemSync()).to.equal(0);
  });

  it("say which tensor does not fit", () => {
    expect(() => zLoss(h, mask.narrow(1, 0, 3))).to.throw(RangeError, "zLoss: mask [2, 3]: want one entry for each of 2 x 4 tokens");
    expect(() => zLoss(h.reshape([8, 2]))).to.throw(TypeError, "zLoss: logits (a Tensor of shape [8, 2]): want a tensor [R, L, E]");
    const expertOfChoice = tensor(new Int32Array(6), { shape: [2, 3, 1] });
    expect(() => loadBalance({ expertOfChoice, probs: h })).to.throw(RangeError, "loadBalance: probs [2, 4, 2]");
  });
});

describe("squared variation", () => {
  const positive = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 8 });
  const of = (v: readonly number[]): Tensor => tensor(Float64Array.from(v), { shape: [1, v.length], requiresGrad: true });

  it("P43: is E sum v^2 / (sum v)^2 - 1, within 0 and E - 1, the same at every scale; its gradient is level along v", () =>
    fc.assert(
      fc.property(positive, fc.integer({ min: 1, max: 9 }), (v, scale) => {
        fc.pre(v.some((x) => x > 0));
        const x = of(v);
        const loss = squaredVariation(x);
        const total = v.reduce((a, b) => a + b, 0);
        const closed = (v.length * v.reduce((sum, n) => sum + n * n, 0)) / total ** 2 - 1;
        expect(loss.itemSync()).to.be.closeTo(closed, 1e-9);
        expect(loss.itemSync()).to.be.within(-1e-12, v.length - 1 + 1e-9);
        expect(squaredVariation(of(v.map((n) => n * scale))).itemSync()).to.be.closeTo(closed, 1e-9);
        const g = gradients(loss, [x])[0].dataSync();
        expect(v.reduce((sum, n, i) => sum + n * g[i], 0)).to.be.closeTo(0, 1e-9);
      }),
    ));

  it("P43: is 0 with a finite gradient where nothing is loaded", () => {
    const x = of([0, 0, 0]);
    const loss = squaredVariation(x);
    expect(loss.itemSync()).to.equal(0);
    expect(Array.from(gradients(loss, [x])[0].dataSync())).to.deep.equal([0, 0, 0]);
  });

  it("P44: importance is of sums of gates over tokens", () => {
    expect(importanceLoss(matrix([[1, 0], [0.5, 0.5]])).itemSync()).to.be.closeTo(2 * (1.5 ** 2 + 0.5 ** 2) / 4 - 1, 1e-12); // prettier-ignore
  });
});
