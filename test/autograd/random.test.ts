/** Randomness is a value: a pure function of key and index. */
import { expect } from "chai";
import fc from "fast-check";
import { Key, key, ones, random, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { cpu } from "switchyard-moe/backend";
import { same, valuesOf } from "./helpers.ts";

const N = 20_000;
const moments = (x: readonly number[]): { mean: number; deviation: number; skew: number } => {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const deviation = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length);
  return { mean, deviation, skew: x.reduce((sum, v) => sum + ((v - mean) / deviation) ** 3, 0) / x.length };
};

const correlation = (x: readonly number[], y: readonly number[]): number => {
  const [a, b] = [moments(x), moments(y)];
  return x.reduce((sum, v, i) => sum + (v - a.mean) * (y[i] - b.mean), 0) / x.length / (a.deviation * b.deviation);
};

describe("keys", () => {
  it("the same path gives the same numbers, in any order, as often as asked", async () => {
    const draw = (): Promise<number[]> => valuesOf(random.normal([5], key(7).at("dropout", 3)));
    const first = await draw();
    random.normal([100], key(7));
    same(await draw(), first);
    same(await valuesOf(random.normal([9], key(7).at("dropout", 3)).narrow(0, 0, 5)), first);
  });

  it("a path may be walked in steps", () => {
    expect(key(1).at("a").at("b", 2).toString()).to.equal(key(1).at("a", "b", 2).toString());
  });

  it("different paths, seeds and kinds of names give different keys", () => {
    const part = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
    const path = fc.array(part, { maxLength: 3 });
    fc.assert(
      fc.property(fc.tuple(path, path), ([a, b]) => {
        const alike = a.length === b.length && a.every((x, i) => Object.is(x, b[i]));
        expect(
          key(0)
            .at(...a)
            .toString() ===
            key(0)
              .at(...b)
              .toString(),
        ).to.equal(alike);
      }),
      { numRuns: 500 },
    );
    const keys = ["1", 1, "ab", "a", 0, -1, 1.5].map((seed) => key(seed).toString());
    expect(new Set(keys).size).to.equal(keys.length);
    expect(key(0).at("a", "bc").toString()).not.to.equal(key(0).at("ab", "c").toString());
    expect(new Key(1, 2).toString()).to.equal("key 0000000100000002");
  });

  it("numbers beyond the first 2^32 are new ones", () => {
    const at = key(4);
    expect(at.bits(2 ** 32)).not.to.equal(at.bits(0));
  });

  it("and their bits stay the same: of paths, of far indices", () => {
    expect(String(new Key(0xfedcba98, 0x7654321))).to.equal("key fedcba9807654321");
    expect(String(key("seed").at("é", 1.5, -0))).to.equal("key eb1650af517877a2");
    const far = [0, 1, 2 ** 32 - 1, 2 ** 32, 5 * 2 ** 40 + 3].map((index) => key(4).bits(index));
    expect(far).to.deep.equal([733976786, 3555421135, 2501277840, 174779154, 2951587036]);
  });
});

describe("random tensors", () => {
  it("uniform: in range, of the right mean, deviation and spread", async () => {
    const x = await valuesOf(random.uniform([N], key(1), { low: -1, high: 3, dtype: "float64" }));
    expect(Math.min(...x)).to.be.within(-1, -0.99);
    expect(Math.max(...x)).to.be.within(2.99, 3);
    const { mean, deviation } = moments(x);
    expect(mean).to.be.closeTo(1, 0.04);
    expect(deviation).to.be.closeTo(4 / Math.sqrt(12), 0.02);
    const bins = new Array<number>(16).fill(0);
    for (const v of x) bins[Math.floor((v + 1) * 4)]++;
    const chiSquare = bins.reduce((sum, n) => sum + (n - N / 16) ** 2 / (N / 16), 0);
    expect(chiSquare, "chi square of 15 degrees").to.be.below(37.7); // one in a thousand
  });

  it("normal: of the right mean, deviation, skew and tails", async () => {
    const x = await valuesOf(random.normal([N], key(2), { mean: 5, std: 2, dtype: "float64" }));
    const { mean, deviation, skew } = moments(x);
    expect(mean).to.be.closeTo(5, 0.05);
    expect(deviation).to.be.closeTo(2, 0.04);
    expect(skew).to.be.closeTo(0, 0.06);
    expect(x.filter((v) => Math.abs(v - 5) < 2).length / N).to.be.closeTo(0.6827, 0.012);
    expect(x.filter((v) => Math.abs(v - 5) > 4).length / N).to.be.closeTo(0.0455, 0.006);
  });

  it("truncated normal: within its bound, deviation 0.8796", async () => {
    const x = await valuesOf(random.truncatedNormal([N], key(3), { std: 3 }));
    expect(Math.max(...x.map(Math.abs))).to.be.within(5.9, 6);
    expect(moments(x).deviation / 3).to.be.closeTo(0.8796, 0.015);
  });

  it("truncated normal: of the density's deviation at any bound, also where most draws would be refused", async () => {
    for (const bound of [0.2, 0.49, 0.5, 1, 4]) {
      const x = await valuesOf(random.truncatedNormal([N], key(4), { bound, dtype: "float64" }));
      expect(Math.max(...x.map(Math.abs)) / bound).to.be.within(bound > 3 ? 0.7 : 0.999, 1);
      const grid = Array.from({ length: 2001 }, (_, i) => (i / 1000 - 1) * bound);
      const [mass, square] = [0, 2].map((power) => grid.reduce((sum, z) => sum + z ** power * Math.exp(-z * z / 2), 0)); // prettier-ignore
      expect(moments(x).deviation / Math.sqrt(square / mass), `bound ${bound}`).to.be.closeTo(1, 0.01);
    }
  });

  it("of a key stay the same: what was trained with a seed can be trained again", async () => {
    const { uniform, normal, truncatedNormal } = random;
    const drawn: readonly (readonly [typeof uniform, object, readonly number[]])[] = [
      [uniform, {}, [0.912197982892, 0.866466824431, 0.0788014838472, 0.928259378765, 0.53278619214, 0.528896794654]],
      [normal, {}, [0.28646597888, 2.02908824045, -1.10372636793, -1.45186358233, -0.278339211987, -0.716564794484]],
      [truncatedNormal, { bound: 0.3 }, [0.247318789735, -0.252719109692, 0.0196717152838, -0.147868896229, 0.243290406559, 0.15188603634]],
      [truncatedNormal, { bound: 1 }, [0.28646597888, -0.656007621236, 0.00198168670691, 0.765744110789, -0.278339211987, -0.716564794484]],
    ];
    for (const [draw, options, numbers] of drawn) {
      const x = await valuesOf(draw([6], key(11), { ...options, dtype: "float64" }));
      x.forEach((value, i) => expect(value, `${draw.name} ${i}`).to.be.closeTo(numbers[i], 1e-11));
    }
  });

  it("of a key stay the same far on, where some were drawn again", () => {
    const { uniform, normal, truncatedNormal } = random;
    const drawn: readonly (readonly [typeof uniform, object, number])[] = [
      [uniform, {}, 4.960841986068],
      [normal, {}, 17.105635724772],
      [truncatedNormal, { bound: 0.3 }, -2.875401185461],
      [truncatedNormal, { bound: 0.5 }, -2.810196457369],
      [truncatedNormal, { bound: 1 }, 19.758670965114],
    ];
    for (const [draw, options, wanted] of drawn) {
      const x = [...draw([500], key(11), { ...options, dtype: "float64" }).dataSync()];
      const sum = x.reduce((total, value, i) => total + value * Math.cos(i), 0);
      expect(sum, `${draw.name} ${JSON.stringify(options)}`).to.be.closeTo(wanted, 1e-9);
    }
  });

  it("of a key drawn on a device stay the same too", () => {
    const x = [...random.uniformLike(ones([500], { dtype: "float64" }), key(11)).dataSync()];
    [0.994506895542, 0.674651026726, 0.869435191155].forEach((value, i) => expect(x[i]).to.be.closeTo(value, 1e-11));
    expect(x.reduce((total, value, i) => total + value * Math.cos(i), 0)).to.be.closeTo(-9.05074450505, 1e-9);
    const mask = ones([500]).dropout(0.3, key(11)).dataSync();
    const low = random.uniformLike(ones([500]), key(11)).dataSync();
    expect([...mask].map((value) => value === 0)).to.deep.equal([...low].map((value) => value < Math.fround(0.3)));
  });

  it("of a range stay below its end, also where the dtype would round them to it", () => {
    const last = 3_769_332; // of this key: 1 - 1.4e-8, which the nearest float32 is 1
    for (const dtype of ["float64", "float32", "bfloat16"] as const) {
      const [x] = random.uniform([1], key(1), { first: last, dtype }).dataSync();
      expect(x, dtype).to.be.within(0.99, 1 - 2 ** -53);
    }
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom("float32" as const, "bfloat16" as const),
        fc.integer(),
        fc.nat({ max: 99 }),
        (seed, dtype, low, width) => {
          const x = random.uniform([300], key(seed), { low, high: low + width, dtype });
          const [start, end] = tensor([low, low + width], { dtype }).dataSync();
          for (const value of x.dataSync()) expect(value >= start && (value < end || start === end)).to.equal(true);
        },
      ),
      { numRuns: 50 },
    );
    expect(Math.max(...random.uniform([2000], key(2), { dtype: "bfloat16" }).dataSync())).to.equal(1 - 2 ** -8);
  });

  it("and masks are drawn in bfloat16 too", () => {
    const like = ones([4000], { dtype: "bfloat16" });
    const x = [...random.uniformLike(like, key(3)).dataSync()];
    expect([Math.min(...x), Math.max(...x)]).to.deep.equal([0, 1 - 2 ** -8]);
    expect(moments(x).mean).to.be.closeTo(0.5, 0.03);
    const mask = random.uniformMask(like, 0.75, key(3));
    expect([mask.dtype, ...new Set(mask.dataSync())]).to.have.members(["bfloat16", 0, 4]);
    same([...mask.dataSync()], [...random.uniformMask(ones([4000]), 0.75, key(3)).dataSync()]);
  });

  it("are what their options say, drawn or not", () => {
    const backend = cpu();
    const { uniform, normal, truncatedNormal, withoutDrawing } = random;
    for (const draw of [uniform, normal, truncatedNormal])
      for (const shape of [[], [2, 3], [0]])
        for (const made of [(fn: () => Tensor) => fn(), withoutDrawing<Tensor>]) {
          const x = made(() => draw(shape, key(1), { backend, dtype: "float64", name: "w", requiresGrad: true }));
          const facts = { shape: x.shape, dtype: x.dtype, name: x.name, requiresGrad: x.requiresGrad, line: x.line };
          expect(facts, draw.name).to.deep.equal({ shape, dtype: "float64", name: "w", requiresGrad: true, line: null });
          expect(x.backend).to.equal(backend);
          const plain = made(() => draw(shape, key(1)));
          expect([plain.dtype, plain.name, plain.requiresGrad, plain.disposed]).to.deep.equal(["float32", undefined, false, false]);
        }
  });

  it("take the room of one number where nothing is drawn", () => {
    const backend = cpu();
    const x = random.withoutDrawing(() => random.normal([1000], key(1), { backend }));
    expect(new Set(x.dataSync())).to.deep.equal(new Set([0]));
    expect(backend.stats()).to.include({ liveBuffers: 1, liveBytes: 4 });
    x.dispose();
    expect(backend.stats().liveBuffers).to.equal(0);
  });

  it("streams of neighbours do not follow each other", async () => {
    const [a, b, c] = await Promise.all([key(5).at(0), key(5).at(1), key(6).at(0)].map((at) => valuesOf(random.normal([N], at))));
    expect(Math.abs(correlation(a, b))).to.be.below(0.025);
    expect(Math.abs(correlation(a, c))).to.be.below(0.025);
    expect(Math.abs(correlation(a.slice(1), a.slice(0, -1)))).to.be.below(0.025);
  });

  it("masks zero the share they are told and keep the mean", async () => {
    for (const rate of [0.1, 0.5, 0.9]) {
      const x = await valuesOf(ones([N]).dropout(rate, key(8)));
      expect(x.filter((v) => v === 0).length / N).to.be.closeTo(rate, 0.015);
      expect(new Set(x)).to.deep.equal(new Set([0, Math.fround(1 / (1 - rate))]));
    }
  });

  it("a rate of 0 draws nothing and changes nothing", () => {
    const x = ones([3]);
    expect(x.dropout(0, key(0))).to.equal(x);
  });

  it("masks of two keys are independent", async () => {
    const [a, b] = await Promise.all([key(9).at(0), key(9).at(1)].map((at) => valuesOf(ones([N]).dropout(0.5, at))));
    expect(Math.abs(correlation(a, b))).to.be.below(0.025);
  });
});
