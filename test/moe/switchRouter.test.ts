/** What is particular to the Switch router: its gate, its gradient, its exploration, its precision. */
import { expect } from "chai";
import fc from "fast-check";
import { gradients, key, scope, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { Projection, SwitchRouter } from "../../src/moe/index.ts";
import type { SwitchOptions } from "../../src/moe/index.ts";
import { booksOf, list, normals, passOf, wide } from "../../src/testing/cases.ts";
import { softmaxByHand } from "../../src/testing/oracle.ts";

const D = 4;
const tokensOf = (count: number, seed: number): Tensor =>
  tensor(Float64Array.from(normals(count * D, key(seed).at("x"))), { shape: [1, count, D], requiresGrad: true });
const router = (options: Partial<SwitchOptions> = {}): SwitchRouter =>
  new SwitchRouter({ width: D, experts: 4, random: key(3), dtype: "float64", initializer: wide, jitter: 0, balance: 0, ...options });

describe("Switch router", () => {
  it("P1 P6: the gate is the largest probability of a full softmax, between 1 / E and 1", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.nat(99), (count, experts, seed) =>
        scope(() => {
          const routing = router({ experts }).route({ tokens: tokensOf(count, seed), capacityFactor: 1, pass: passOf(false, 0) });
          const { gate, probs, logits, expert } = booksOf(routing);
          logits.forEach((h, t) => {
            const p = softmaxByHand(h);
            p.forEach((x, e) => expect(probs[t][e]).to.be.closeTo(x, 1e-12));
            expect(gate[t][0]).to.be.closeTo(Math.max(...p), 1e-12);
            expect(gate[t][0]).to.be.within(1 / experts - 1e-12, 1 + 1e-12);
            expect(h[expert[t][0]]).to.equal(Math.max(...h));
          });
        }),
      ),
      { numRuns: 25 },
    ));

  it("P3: ties go to the lowest index", () => {
    const routing = router({ initializer: (shape, _, options) => tensor(new Float64Array(D * 4).fill(1), { ...options, shape }) }).route({
      tokens: tokensOf(5, 1),
      capacityFactor: 1,
      pass: passOf(false, 0),
    });
    expect(booksOf(routing).expert.flat()).to.deep.equal([0, 0, 0, 0, 0]);
  });

  it("P52: dL/dh_j = <dy, E(x)> p (1[j chosen] - p_j)", () => {
    const r = router();
    const x = tokensOf(1, 5);
    const routing = r.route({ tokens: x, capacityFactor: 4, pass: passOf(false, 0) });
    const y = routing.combine(routing.dispatch(x.detach().reshape([1, D])).mul(2)); // the expert doubles
    const [g] = gradients(y.sum(), [r.projection.weight]);
    const { probs, expert } = booksOf(routing);
    const [p] = probs;
    const u = 2 * list(x).reduce((a, b) => a + b, 0);
    list(g).forEach((slope, i) => {
      const [d, j] = [Math.floor(i / 4), i % 4];
      expect(slope).to.be.closeTo(list(x)[d] * u * p[expert[0][0]] * (Number(j === expert[0][0]) - p[j]), 1e-9);
    });
  });

  it("P62: jitter multiplies each element by a number within 1 - e and 1 + e, of mean 1", () => {
    const count = 500;
    const ones = tensor(new Float64Array(count * D).fill(1), { shape: [1, count, D] });
    const identity = (shape: readonly number[], _: unknown, options = {}): Tensor =>
      tensor(
        Float64Array.from({ length: D * D }, (__, i) => Number(i % (D + 1) === 0)),
        { ...options, shape },
      );
    const logits = booksOf(
      router({ jitter: 0.1, initializer: identity }).route({ tokens: ones, capacityFactor: 1, pass: passOf(true, 9) }),
    ).logits.flat();
    expect(logits.every((f) => f >= 0.9 && f <= 1.1)).to.equal(true);
    expect(new Set(logits).size).to.be.greaterThan(count * D * 0.99);
    const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
    expect(Math.abs(mean - 1)).to.be.lessThan((3 * 0.1) / Math.sqrt(3 * logits.length));
  });

  it("P63: drawing follows the softmax at its temperature, the gate the one at 1", () => {
    const count = 4000;
    const [vector] = [normals(D, key(8).at("same"))];
    const tokens = tensor(
      Float64Array.from({ length: count * D }, (_, i) => vector[i % D]),
      { shape: [1, count, D] },
    );
    const temperature = 2;
    const { expert, gate, logits } = booksOf(router({ temperature }).route({ tokens, capacityFactor: 1, pass: passOf(true, 4) }));
    const [p, cold] = [softmaxByHand(logits[0].map((h) => h / temperature)), softmaxByHand(logits[0])];
    const chi = p.reduce((sum, x, e) => sum + (expert.flat().filter((y) => y === e).length - count * x) ** 2 / (count * x), 0);
    expect(chi, "chi-square of 3 degrees of freedom").to.be.lessThan(21); // exceeded once in 10,000
    gate.forEach(([g], t) => expect(g).to.be.closeTo(cold[expert[t][0]], 1e-9));
  });

  it("P65: a bfloat16 model chooses as one in float32, where a bfloat16 router does not", () => {
    const count = 1000;
    const fine = tensor(Float32Array.from(normals(count * D, key(2).at("fine"))), { shape: [1, count, D] }).cast("bfloat16");
    const options = { width: D, experts: 4, random: key(3), initializer: wide, jitter: 0 } as const;
    const route = (tokens: Tensor, precision: "float32" | "tokens") =>
      booksOf(new SwitchRouter({ ...options, precision }).route({ tokens, capacityFactor: 1, pass: passOf(false, 0) }));
    const wanted = route(fine.cast("float32"), "float32");
    const selective = route(fine, "float32");
    expect(selective.expert).to.deep.equal(wanted.expert);
    expect(selective.gate, "gates are not rounded either").to.deep.equal(wanted.gate);
    const rounded = route(fine, "tokens");
    const flips = rounded.expert.filter(([e], t) => e !== wanted.expert[t][0]).length;
    expect(flips, "choices that bfloat16 logits change").to.be.within(1, count / 20);
    expect(
      rounded.gate.flat().every((g) => new Uint32Array(Float32Array.of(g).buffer)[0] % 65536 === 0),
      "bfloat16 numbers",
    ).to.equal(true);
  });

  it("P65: outputs of a bfloat16 model are bfloat16", () => {
    const tokens = tokensOf(3, 1).detach().cast("bfloat16");
    const routing = new SwitchRouter({ width: D, experts: 4, random: key(3) }).route({ tokens, capacityFactor: 1, pass: passOf(false, 0) });
    const rows = routing.dispatch(tokens.reshape([3, D]));
    expect([rows.dtype, routing.combine(rows).dtype, routing.books.gate.dtype]).to.deep.equal(["bfloat16", "bfloat16", "float32"]);
  });

  it("P83: the router starts within two deviations of sqrt(0.1 / D), of 0.88 of it", () => {
    const weight = list(new Projection({ width: 100, experts: 50, random: key(1) }).weight);
    const sigma = Math.sqrt(0.1 / 100);
    const std = Math.sqrt(weight.reduce((sum, w) => sum + w * w, 0) / weight.length);
    expect(Math.max(...weight.map(Math.abs))).to.be.at.most(2 * sigma);
    expect(std / sigma).to.be.closeTo(0.8796, 0.02);
  });

  it("P32: nobody is left behind where all experts may be tried and there is room", () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), fc.nat(99), (count, experts, seed) =>
        scope(() => {
          const dropped = (attempts: number): number => {
            const slots = booksOf(
              router({ experts, attempts }).route({ tokens: tokensOf(count, seed), capacityFactor: 1, pass: passOf(false, 0) }),
            ).slot.flat();
            const seated = slots.filter((s) => s >= 0);
            expect(new Set(seated).size, "slots of their own").to.equal(seated.length);
            return count - seated.length;
          };
          expect(dropped(experts)).to.equal(0);
          expect(dropped(Math.min(2, experts))).to.be.at.most(dropped(1));
        }),
      ),
      { numRuns: 25 },
    ));

  it("says what does not fit", () => {
    const request = { tokens: tokensOf(2, 1), capacityFactor: 1, pass: passOf(false, 0) };
    expect(() => router({ experts: 0 })).to.throw(RangeError, "experts 0: want a whole number of 1 or more");
    expect(() => router({ jitter: 1 })).to.throw(RangeError, "jitter 1");
    expect(() => router({ attempts: 5 })).to.throw(RangeError, "attempts 5: want a whole number from 1 to 4");
    expect(() => router({ width: 3 }).route(request)).to.throw(RangeError, "tokens [1, 2, 4]: want [B, T, 3]");
    expect(() => router().route({ ...request, capacityFactor: 0 })).to.throw(RangeError, "capacityFactor 0");
    expect(() => router().route({ ...request, mask: tensor([[1]]) })).to.throw(RangeError, "mask [1, 1]: want [1, 2]");
    expect(() => router({ group: 3 }).route(request)).to.throw(
      RangeError,
      "SwitchRouter: group 3: want a number that divides the 1 x 2 tokens",
    );
  });
});
