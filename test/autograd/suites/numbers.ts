/** What was decided about numbers: ties, empty axes, masked rows, NaN, bounds, rounding, and sizes far from 1. */
import { expect } from "chai";
import { arange, concat, einsum, eye, full, linspace, ones, stack, where, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { f32, f64, int, leaf, near, same, slope, valuesOf } from "../helpers.ts";

type Exact = Record<string, readonly [() => Tensor, readonly number[]]>;

const masked = [-Infinity, -Infinity];
const wide = { dtype: "float64" } as const;
/** What an int32 holds at most. */
const most = 2147483647;

/** The Hessian-vector product of the sum of squares of f, at x along ones. */
function curvature(f: (x: Tensor) => Tensor, data: number[]): Tensor {
  const x = leaf(data);
  const [g] = f(x).square().sum().gradients([x], { createGraph: true });
  return g.sum().gradients([x])[0];
}

const decided: Exact = {
  "an empty sum is 0": [() => zeros([0, 2]).sum(0), [0, 0]],
  "an empty product is 1": [() => zeros([0, 2]).prod(0), [1, 1]],
  "an empty product has a gradient": [() => slope((x) => x.prod(), []), []],
  "an inner size of 0 gives zeros": [() => zeros([2, 0]).matmul(zeros([0, 3])), [0, 0, 0, 0, 0, 0]],
  "no rows give no rows": [() => zeros([0, 3]).matmul(zeros([3, 2])), []],
  "logSumExp of nothing is -Infinity": [() => zeros([2, 0]).logSumExp(1), [-Infinity, -Infinity]],
  "softmax of nothing is nothing": [() => zeros([2, 0]).softmax(), []],

  "pow(0, 0) is 1": [() => f64([0, 2, -3]).pow(0), [1, 1, 1]],
  "pow of 0 has gradient 0 at exponent 0": [() => slope((x) => x.pow(0), [0, 2]), [0, 0]],
  "pow of 0 has gradient 1 at exponent 1": [() => slope((x) => x.pow(1), [0, 2]), [1, 1]],
  "pow: d/dy at x = 0 is 0": [() => slope((y) => f64([0, 0]).pow(y), [0, 2]), [0, 0]],
  "pow: mixed partials agree at exponent 0": [() => mixed((x, y) => x.pow(y), 2, 0), [0.5, 0.5]],

  "a full max shares among ties": [() => slope((x) => x.max(), [3, 1, 3]), [0.5, 0, 0.5]],
  "a full min shares among ties": [() => slope((x) => x.min(), [1, 1, 3]), [0.5, 0.5, 0]],
  "max along an axis picks the first": [() => slope((x) => x.max(0), [1, 3, 3]), [0, 1, 0]],
  "min along an axis picks the first": [() => slope((x) => x.min(0), [1, 3, 1]), [1, 0, 0]],
  "max over a list of axes shares": [() => slope((x) => x.max([0]), [1, 3, 3]), [0, 0.5, 0.5]],
  "maximum halves": [() => slope((x) => x.maximum(f64([1, 2, 3])), [1, 1, 4]), [0.5, 0, 1]],
  "minimum halves": [() => slope((x) => x.minimum(f64([1, 2, 3])), [1, 1, 4]), [0.5, 1, 0]],
  "clamp has gradient 1 at its bounds": [() => slope((x) => x.clamp(-1, 1), [-2, -1, 0, 1, 2]), [0, 1, 1, 1, 0]],
  "clamp by one bound, of integers too": [
    () =>
      int([-3, 0, 5])
        .clamp(0)
        .add(int([-3, 0, 5]).clamp(-Infinity, 1)),
    [-3, 0, 6],
  ],
  "clamp with min > max gives max": [() => f64([0, 5]).clamp(2, 1), [1, 1]],
  "relu has gradient 0 at 0": [() => slope((x) => x.relu(), [-1, 0, 1]), [0, 0, 1]],
  "abs has gradient 0 at 0": [() => slope((x) => x.abs(), [-1, 0, 1]), [-1, 0, 1]],
  "norm has gradient 0 at 0": [() => slope((x) => x.norm(1), [[0, 0], [0, 4]]), [0, 0, 0, 1]], // prettier-ignore
  "norm has curvature 0 at 0": [() => curvature((x) => x.norm(), [0, 0]), [0, 0]],
  "std of equal numbers has gradient 0": [() => slope((x) => x.std(), [2, 2]), [0, 0]],
  "variance is the population's": [() => f64([1, 3]).variance(), [1]],
  "the mean far from 0": [() => f32(Array.from({ length: 1024 }, (_, i) => 1e6 + (i % 4))).mean(), [1000001.5]],
  "the sum of 20 million tenths": [() => f32(0.1).broadcastTo([20_000_000]).sum(), [2_000_000]],
  "variance far from 0": [() => f32(Array.from({ length: 1024 }, (_, i) => 1e7 + (i % 4))).variance(), [1.25]],
  "a correction of 1 makes it the sample's": [() => f64([1, 3]).variance(0, { correction: 1 }), [2]],

  "round takes halves to even": [() => f64([0.5, 1.5, 2.5, -0.5, -1.5, 2.4]).round(), [0, 2, 2, 0, -2, 2]],
  "trunc, floor and ceil": [() => concat([f64([-1.5]).trunc(), f64([-1.5]).floor(), f64([-1.5]).ceil()]), [-1, -2, -1]],
  "mod has the sign of the divisor": [() => f64([5, -5, 5, -5]).mod(f64([3, 3, -3, -3])), [2, 1, -1, -2]],
  "floorDiv rounds down": [() => f64([5, -5, 5, -5]).floorDiv(f64([3, 3, -3, -3])), [1, -2, -2, 1]],
  "int32 products wrap around exactly": [
    () => concat([int([most, 123456789]).square(), int([most, 1 << 30]).mul(int([most, 6])), int([[most, most], [46341, 46341]]).prod(1)]),
    [1, -1757895751, 1, -2147483648, 1, -2147479015],
  ], // prettier-ignore
  "int32 arithmetic": [() => int([7, -7]).floorDiv(2).add(int([1, 1]).mul(10)), [13, 6]], // prettier-ignore

  "softmax of a masked row is zeros": [() => f64([masked, [0, 0]]).softmax(), [0, 0, 0.5, 0.5]],
  "with zero gradient": [() => slope((x) => x.softmax().mul(f64([1, 2])), masked), [0, 0]],
  "and zero curvature": [() => curvature((x) => x.softmax(), masked), [0, 0]],
  "logSumExp of a masked row is -Infinity": [() => f64([masked]).logSumExp(1), [-Infinity]],
  "logSumExp there has zero gradient": [() => slope((x) => x.logSumExp(), masked), [0, 0]],
  "logSoftmax of a masked row is -Infinity": [() => f64(masked).logSoftmax(), masked],
  "logSoftmax there has zero gradient": [() => slope((x) => x.logSoftmax(), masked), [0, 0]],
  "a masked entry takes no part": [() => f64([0, -Infinity, 0]).softmax(), [0.5, 0, 0.5]],

  "comparisons give 1 and 0": [
    () => stack([f64([1, 2]).less(2), f64([1, 2]).greaterEqual(2), f64([1, 2]).notEqual(1)]),
    [1, 0, 0, 1, 0, 1],
  ],
  "NaN equals nothing": [() => concat([f64([NaN]).equal(NaN), f64([NaN]).notEqual(NaN), f64([NaN]).less(1)]), [0, 1, 0]],
  "where reads what is not 0 as true": [() => where(f64([0, -0, 2, NaN]), 1, 5), [5, 5, 1, 1]],
  "the side not taken gets gradient 0, even where it is NaN": [() => slope((x) => where(f64([0, 1]), x.mul(2), 0), [NaN, 4]), [0, 2]],
  isFinite: [() => f64([NaN, Infinity, -Infinity, 0]).isFinite(), [0, 0, 0, 1]],

  "argmax takes the lowest index": [() => f64([1, 3, 3]).argmax(), [1]],
  "argmin takes the lowest index": [() => f64([1, 3, 1]).argmin(), [0]],
  "topK takes the lowest index first": [() => f64([2, 3, 3, 2]).topK(3).indices, [1, 2, 0]],
  "NaN ranks below every number": [() => f64([NaN, -Infinity, 1]).argsort(), [0, 1, 2]],
  "also downwards": [() => f64([NaN, -Infinity, 1]).argsort(-1, { descending: true }), [2, 1, 0]],
  "NaN never wins a max": [
    () => stack([f64([NaN, 1]).max(), f64([1, NaN]).max(), f64([NaN, 1]).max(0), f64([1, NaN]).max(0)]),
    [1, 1, 1, 1],
  ],
  "NaN always wins a min": [() => stack([f64([NaN, 1]).min(), f64([1, NaN]).min(0)]), [NaN, NaN]],
  "argmax passes NaN over": [() => f64([NaN, 1, 2]).argmax(), [2]],
  "maximum spreads NaN": [() => f64([NaN, 1]).maximum(f64([1, NaN])), [NaN, NaN]],
  "sort is stable": [() => f64([1, 0, 1, 0]).argsort(), [1, 3, 0, 2]],
  "sort is stable downwards": [() => f64([1, 0, 1, 0]).argsort(-1, { descending: true }), [0, 2, 1, 3]],
  "rank is the place in the order": [() => f64([30, 10, 20]).rank(), [2, 0, 1]],
  "rank along another axis": [() => f64([[3, 1], [2, 5]]).rank(0), [1, 0, 0, 1]], // prettier-ignore
  "invert says where each stands": [() => int([2, -1, 0]).invert(4), [2, -1, 0, -1]],
  countEarlier: [() => int([5, 5, -1, 5, 2]).countEarlier(), [0, 1, -1, 2, 0]],
  "bincount": [() => int([[0, 2, 2], [-1, 1, 7]]).bincount(3), [1, 0, 2, 0, 1, 0]], // prettier-ignore
  "invert, countEarlier and bincount of a scalar are those of one number": [
    () => concat([int(3).invert(4), int(3).countEarlier().reshape([1]), int(3).bincount(4), int(3).bincount(2)]),
    [-1, -1, -1, 0, 0, 0, 0, 0, 1, 0, 0],
  ],
  "oneHot outside is a row of zeros": [() => int([1, 5, -1]).oneHot(2), [0, 1, 0, 0, 0, 0]],

  cumsum: [() => f64([1, 2, 3]).cumsum(0), [1, 3, 6]],
  "cumsum, exclusive": [() => f64([1, 2, 3]).cumsum(0, { exclusive: true }), [0, 1, 3]],
  "cumsum, reverse": [() => f64([1, 2, 3]).cumsum(0, { reverse: true }), [6, 5, 3]],
  "cumsum, both": [() => f64([1, 2, 3]).cumsum(0, { exclusive: true, reverse: true }), [5, 3, 0]],
  "a cast to int32 truncates": [() => f64([-1.9, 1.9]).cast("int32"), [-1, 1]],
  "einsum without an arrow sorts the letters": [() => einsum("ba", f64([[1, 2], [3, 4]])), [1, 3, 2, 4]], // prettier-ignore
  "einsum without an arrow puts dots first": [() => einsum("b...a", f64([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])), [1, 5, 2, 6, 3, 7, 4, 8]], // prettier-ignore
  "gradients of stretched operands are sums": [() => slope((x) => x.mul(ones([3, 2], { dtype: "float64" })), [[1, 2]]), [3, 3]],

  "arange counts to below its stop": [() => arange(1, 2, 0.25), [1, 1.25, 1.5, 1.75]],
  "arange leaves its stop out though a quotient of decimals is a little more than whole": [
    () => concat([arange(1, 1.3, 0.1, wide), arange(1.3, 1, -0.1, wide), arange(0, 1.2, 0.4, wide)]),
    [1, 1 + 0.1, 1 + 2 * 0.1, 1.3, 1.3 - 0.1, 1.3 - 2 * 0.1, 0, 0.4, 0.8],
  ],
  "arange counts large whole numbers exactly": [() => arange(1e15, 1e15 + 3, 2, wide), [1e15, 1e15 + 2]],
  "linspace includes both ends": [() => linspace(0, 1, 3), [0, 0.5, 1]],
  eye: [() => eye(2, 3), [1, 0, 0, 0, 1, 0]],
  full: [() => full([2], 7, { dtype: "int32" }), [7, 7]],
  "tril and triu": [() => concat([ones([2, 2]).tril(), ones([2, 2]).triu(1)]), [1, 0, 1, 1, 0, 1, 0, 0]],
  tile: [() => f64([1, 2]).tile([2, 2]), [1, 2, 1, 2, 1, 2, 1, 2]],
  "slice counts from the end": [() => f64([1, 2, 3, 4]).slice([1, -1]), [2, 3]],
  pad: [() => f64([1]).pad([[1, 2]], 9), [9, 1, 9, 9]],
};

/** The two orders of mixed partial derivatives of f at one point. */
function mixed(f: (x: Tensor, y: Tensor) => Tensor, a: number, b: number): Tensor {
  const [x, y] = [leaf(a), leaf(b)];
  const [dx, dy] = f(x, y).gradients([x, y], { createGraph: true });
  return stack([dx.gradients([y])[0], dy.gradients([x])[0]]);
}

const big = [-1e4, -50, 0, 50, 1e4];
const zerosAndOnes = [0, 0, 0.5, 1, 1];

/** Values and gradients far from 1, in float32: limits, and nothing that is not finite. */
const stable: Record<string, { f: (x: Tensor) => Tensor; value: readonly number[]; slope: readonly number[] }> = {
  sigmoid: { f: (x) => x.sigmoid(), value: zerosAndOnes, slope: [0, 0, 0.25, 0, 0] },
  softplus: { f: (x) => x.softplus(), value: [0, 0, Math.LN2, 50, 1e4], slope: zerosAndOnes },
  tanh: { f: (x) => x.tanh(), value: [-1, -1, 0, 1, 1], slope: [0, 0, 1, 0, 0] },
  gelu: { f: (x) => x.gelu(), value: [0, 0, 0, 50, 1e4], slope: zerosAndOnes },
  "gelu, tanh": { f: (x) => x.gelu("tanh"), value: [0, 0, 0, 50, 1e4], slope: zerosAndOnes },
  silu: { f: (x) => x.silu(), value: [0, 0, 0, 50, 1e4], slope: zerosAndOnes },
  erf: { f: (x) => x.erf(), value: [-1, -1, 0, 1, 1], slope: [0, 0, 2 / Math.sqrt(Math.PI), 0, 0] },
  softmax: { f: (x) => x.softmax(), value: [0, 0, 0, 0, 1], slope: [0, 0, 0, 0, 0] },
  logSoftmax: { f: (x) => x.logSoftmax(), value: [-2e4, -10050, -1e4, -9950, 0], slope: [1, 1, 1, 1, -4] },
  logSumExp: { f: (x) => x.logSumExp(), value: [1e4], slope: [0, 0, 0, 0, 1] },
};

export function numbers(): void {
  describe("numbers, as decided", () => {
    for (const [title, [compute, want]] of Object.entries(decided)) it(title, async () => same(await valuesOf(compute()), want));
  });

  describe("numbers far from 1", () => {
    for (const [title, { f, value, slope: want }] of Object.entries(stable))
      it(title, async () => {
        const x = f32(big).requireGrad();
        const y = f(x);
        near(await valuesOf(y), value, 1e-6, "value");
        near(await valuesOf(y.sum().gradients([x])[0]), want, 1e-6, "slope"); // prettier-ignore
      });
  });

  describe("dtypes", () => {
    it("a number takes the tensor's dtype, and a comparison its operands'", () => {
      for (const dtype of ["float32", "float64", "bfloat16", "int32"] as const) {
        const x = ones([2], { dtype });
        expect(x.add(1).dtype).to.equal(dtype);
        expect(x.less(1).dtype).to.equal(dtype);
      }
    });

    it("float32 unless said otherwise; typed arrays keep their own; indices are int32", () => {
      expect(zeros([1]).dtype).to.equal("float32");
      expect(f64([2, 1]).argsort().dtype).to.equal("int32");
      expect(f64([2, 1]).argmax().dtype).to.equal("int32");
      expect(int([1]).oneHot(2, "float64").dtype).to.equal("float64");
    });

    it("atLeast widens and never narrows", () => {
      expect(ones([1], { dtype: "bfloat16" }).atLeast("float32").dtype).to.equal("float32");
      expect(ones([1], { dtype: "float64" }).atLeast("float32").dtype).to.equal("float64");
    });
  });
}
