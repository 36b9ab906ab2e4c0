/** H heads, T queries, S keys, D width, K width of a head. */
import { expect } from "chai";
import fc from "fast-check";
import { key, noGrad, tensor } from "switchyard-moe";
import { BucketBias, DistanceBias, LearnedPositions, Rotary, SinusoidalPositions, sinusoids } from "switchyard-moe/nn";
import { bucketOf } from "../../src/nn/positionBias.ts";
import { checkGradients } from "switchyard-moe/testing";
import { drawn, expectClose } from "./plain.ts";

const init = { random: key("positions"), dtype: "float64" } as const;

describe("absolute positions", () => {
  it("sinusoids: the first pair turns by one radian a step, the last by about 1/10000", () => {
    const x = sinusoids(3, 4, { dtype: "float64" });
    const row = (t: number): number[] => [Math.sin(t), Math.cos(t), Math.sin(t / 100), Math.cos(t / 100)];
    expectClose(x, tensor([row(0), row(1), row(2)], { dtype: "float64" }), 1e-12);
  });

  for (const [name, layer] of [
    ["sinusoidal", new SinusoidalPositions()],
    ["learned", new LearnedPositions(6, 4, init)],
  ] as const)
    it(`${name}: what follows a past of two stands at places 2, 3, …`, () => {
      const x = drawn([2, 5, 4], 1);
      expectClose(layer.forward(x.narrow(1, 2, 5), 2), layer.forward(x, 0).narrow(1, 2, 5));
    });

  it("learned positions end with the context", () => {
    expect(() => new LearnedPositions(6, 4, init).forward(drawn([1, 3, 4], 1), 4)).to.throw(
      "LearnedPositions: position 6 is beyond the context of 6",
    );
  });
});

describe("positions of vectors that are no sequences", () => {
  // Rotary angles are kept by shape: those of another rank would be taken for these.
  const bad: Record<string, [() => unknown, string]> = {
    "Rotary without heads": [() => new Rotary().forward(drawn([2, 3, 4], 1), 0), "Rotary: x [2, 3, 4]: want [B, H, T, K]"],
    "sinusoids without a batch": [
      () => new SinusoidalPositions().forward(drawn([3, 4], 1), 0),
      "SinusoidalPositions: x [3, 4]: want [B, T, D]",
    ],
    "learned without a batch": [
      () => new LearnedPositions(6, 4, init).forward(drawn([3, 4], 1), 0),
      "LearnedPositions: x [3, 4]: want [B, T, 4]",
    ],
    "learned of another width": [
      () => new LearnedPositions(6, 4, init).forward(drawn([1, 3, 5], 1), 0),
      "LearnedPositions: x [1, 3, 5]: want [B, T, 4]",
    ],
  };
  for (const [what, [attempt, message]] of Object.entries(bad))
    it(`${what} are refused`, () => {
      expect(attempt).to.throw(RangeError, message);
    });
});

describe("per-distance bias", () => {
  it("starts at -slope * distance, slopes 2^(-8h/H)", () => {
    const bias = new DistanceBias(2, { maxDistance: 8, dtype: "float64" }).forward(3, 3);
    const rows = (slope: number): number[][] => [0, 1, 2].map((t) => [0, 1, 2].map((s) => -slope * Math.max(0, t - s)));
    expectClose(bias, tensor([rows(2 ** -4), rows(2 ** -8)], { dtype: "float64" }), 1e-12);
  });

  it("both ways: -slope * |distance|", () => {
    const bias = new DistanceBias(1, { maxDistance: 8, bidirectional: true, dtype: "float64" }).forward(3, 3);
    expectClose(bias.mul(-(2 ** 8)), tensor([[[0, 1, 2], [1, 0, 1], [2, 1, 0]]], { dtype: "float64" }), 1e-12); // prettier-ignore
  });

  it("distances beyond the last row share it", () => {
    const bias = new DistanceBias(1, { maxDistance: 3, dtype: "float64" }).forward(1, 6);
    expectClose(bias.mul(-(2 ** 8)), tensor([[[2, 2, 2, 2, 1, 0]]], { dtype: "float64" }), 1e-12);
  });
});

describe("relative bias", () => {
  for (const bidirectional of [false, true])
    for (const [name, layer] of [
      ["per distance", new DistanceBias(3, { maxDistance: 4, bidirectional, dtype: "float64" })],
      ["T5 buckets", new BucketBias(3, { ...init, buckets: 8, maxDistance: 16, bidirectional })],
    ] as const) {
      layer.weight.assign(drawn(layer.weight.shape, name));

      it(`${name}${bidirectional ? ", both ways" : ""}: depends on the distance alone, and the queries are the last places`, () => {
        fc.assert(
          fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(4), (T, past) => {
            const S = T + past;
            const bias = layer.forward(T, S).arraySync() as number[][][];
            for (let h = 0; h < 3; h++)
              for (let t = 0; t < T; t++)
                for (let s = 0; s < S; s++)
                  expect(bias[h][t][s]).to.equal((layer.weight.arraySync() as number[][])[layer.rowOf(past + t - s)][h]);
          }),
          { numRuns: 20 },
        );
      });

      it(`${name}${bidirectional ? ", both ways" : ""}: right derivatives`, () =>
        checkGradients(() => layer.forward(3, 5).square(), [], { parameters: layer.parameters() }));
    }

  it("a table is made once and read as a view", () => {
    const layer = new DistanceBias(2, { maxDistance: 4 });
    const launches = (): number => {
      const before = layer.weight.backend.stats().launches;
      noGrad(() => layer.forward(4, 4));
      return layer.weight.backend.stats().launches - before;
    };
    launches();
    expect(launches()).to.equal(1);
  });

  // Table of transformers' T5Attention._relative_position_bucket at 32 buckets and distance 128, recomputed by its formula.
  it("T5 buckets: 16 exact, then logarithmic to 128", () => {
    const buckets =
      (bidirectional: boolean) =>
      (d: number): number =>
        bucketOf(d, 32, 128, bidirectional);
    expect([0, 1, 15, 16, 18, 19, 20, 23, 31, 32, 64, 127, 128, 5000].map(buckets(false))).to.deep.equal([
      0, 1, 15, 16, 16, 17, 17, 18, 21, 21, 26, 31, 31, 31,
    ]);
    expect([-1, -5].map(buckets(false))).to.deep.equal([0, 0]);
    expect([0, 1, 7, 8, 11, 12, 127, 128].map(buckets(true))).to.deep.equal([0, 1, 7, 8, 8, 9, 15, 15]);
    expect([-1, -7, -8, -12, -500].map(buckets(true))).to.deep.equal([17, 23, 24, 25, 31]);
  });

  // ln(4/3) is half of ln(16/9): the 9th of 18 boundaries lies on a distance. Transformers at torch 1.13 gives these.
  it("T5 buckets on a boundary are those of float32 logarithms", () => {
    expect(bucketOf(24, 36, 32, false)).to.equal(27);
    expect(new BucketBias(1, { ...init, buckets: 36, maxDistance: 32 }).rowOf(24)).to.equal(27);
    expect(bucketOf(30, 36, 50, false)).to.equal(26); // 27 without rounding
  });

  it("T5 buckets are exact at every boundary, for all numbers of buckets up to 16", () => {
    // The largest k with (d / exact)^n >= (max / exact)^k, in whole numbers.
    const boundary = (d: number, n: bigint, exact: bigint, max: bigint): number => {
      let k = 0n;
      while (k < n - 1n && BigInt(d) ** n * exact ** (k + 1n) >= max ** (k + 1n) * exact ** n) k++;
      return Number(exact + k);
    };
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 16 }), fc.integer({ min: 1, max: 260 }), fc.nat(300), (buckets, beyond, d) => {
        const exact = Math.floor(buckets / 2);
        const wanted = d < exact ? d : boundary(d, BigInt(buckets - exact), BigInt(exact), BigInt(exact + beyond));
        expect(bucketOf(d, buckets, exact + beyond, false)).to.equal(wanted);
      }),
      { numRuns: 500 },
    );
  });

  it("T5 buckets never fall with the distance", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (a, b) => bucketOf(Math.min(a, b), 32, 128, false) <= bucketOf(Math.max(a, b), 32, 128, false)),
    );
  });
});

describe("rotary positions", () => {
  const rotary = new Rotary();

  it("turn pairs and keep lengths", () => {
    const x = drawn([1, 2, 5, 6], 1);
    expectClose(rotary.forward(x, 3).square().sum(-1), x.square().sum(-1));
    const turned = rotary.forward(tensor([1, 0], { dtype: "float64", shape: [1, 1, 1, 2] }), 2);
    expectClose(turned.reshape([2]), tensor([Math.cos(2), Math.sin(2)], { dtype: "float64" }), 1e-12);
  });

  it("products depend on the distance of query and key alone", () => {
    const [q, k] = [drawn([1, 1, 1, 6], 1), drawn([1, 1, 1, 6], 2)];
    const product = (i: number, j: number): number => rotary.forward(q, i).mul(rotary.forward(k, j)).sum().itemSync();
    expect(product(7, 3)).to.be.closeTo(product(4, 0), 1e-9);
    expect(product(7, 3)).to.not.be.closeTo(product(7, 4), 1e-3);
  });

  it("have right derivatives, and want an even width", async () => {
    await checkGradients((x) => rotary.forward(x, 1).square(), [drawn([1, 2, 3, 4], 1)]);
    expect(() => rotary.forward(drawn([1, 1, 1, 3], 1), 0)).to.throw("Rotary: heads of width 3 cannot be paired");
  });
});
