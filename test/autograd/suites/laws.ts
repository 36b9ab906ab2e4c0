/** Algebra: equations that hold whatever the shapes and the numbers. Numbers lie on a grid, so most hold to the last bit. */
import { expect } from "chai";
import fc from "fast-check";
import { concat, einsum, gatherRows, groupedMatmul, groupedOuter, stack, tensor, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { PlainArray } from "switchyard-moe/testing";
import { arrays, axesOf, axisOf, broadcastable, distinctArrays, numbers, shapes, toTensor } from "switchyard-moe/testing";
import { near, valuesOf } from "../helpers.ts";

type Sides = readonly [Tensor, Tensor];

/** Both sides of an equation for drawn data: equal shapes, and values equal to `tolerance`. */
function law<T>(drawn: fc.Arbitrary<T>, sides: (data: T) => Sides, tolerance = 1e-12): () => Promise<void> {
  const property = fc.asyncProperty(drawn, async (data) => {
    const [left, right] = sides(data);
    expect(left.shape).to.deep.equal(right.shape);
    near(await valuesOf(left), await valuesOf(right), tolerance);
  });
  return () => fc.assert(property, { numRuns: 40 });
}

const t = (x: PlainArray): Tensor => toTensor(x);
const int = (data: readonly number[], shape: readonly number[] = [data.length]): Tensor => tensor(Int32Array.from(data), { shape });

const one = arrays(shapes());
const two = broadcastable().chain(([a, b]) => fc.tuple(arrays(a), arrays(b)));
const sameShaped = shapes().chain((shape) => fc.tuple(arrays(shape), arrays(shape), arrays(shape)));
const withAxis = shapes({ minAxes: 1 }).chain((shape) => fc.tuple(arrays(shape), axisOf(shape)));
const withSome = shapes({ minAxes: 1, minSize: 1 }).chain((shape) => fc.tuple(arrays(shape), axisOf(shape)));
const ordered = shapes({ minAxes: 1, minSize: 1 }).chain((shape) => fc.tuple(distinctArrays(shape), axisOf(shape)));
const sizes = fc.record({ b: fc.nat({ max: 3 }), m: fc.nat({ max: 3 }), k: fc.nat({ max: 3 }), n: fc.nat({ max: 3 }) });
const product = sizes.chain(({ b, m, k, n }) => fc.tuple(arrays([b, m, k]), arrays([b, k, n])));

const dot = (x: Tensor, y: Tensor): Tensor => x.mul(y).sum();
/** The vector-Jacobian product of f at x, with cotangent g. */
const pullback = (f: (x: Tensor) => Tensor, x: Tensor, g: Tensor): Tensor => {
  const leaf = x.detach().requireGrad();
  return f(leaf).gradients([leaf], { seed: g })[0];
};

const arithmetic = {
  "addition commutes": law(two, ([x, y]) => [t(x).add(t(y)), t(y).add(t(x))]),
  "multiplication commutes": law(two, ([x, y]) => [t(x).mul(t(y)), t(y).mul(t(x))]),
  "addition is associative": law(sameShaped, ([x, y, z]) => [t(x).add(t(y)).add(t(z)), t(x).add(t(y).add(t(z)))]),
  "multiplication distributes": law(sameShaped, ([x, y, z]) => [
    t(x).mul(t(y).add(t(z))),
    t(x)
      .mul(t(y))
      .add(t(x).mul(t(z))),
  ]),
  "subtraction adds the negative": law(two, ([x, y]) => [t(x).sub(t(y)), t(x).add(t(y).neg())]),
  "maximum + minimum = x + y": law(two, ([x, y]) => [
    t(x)
      .maximum(t(y))
      .add(t(x).minimum(t(y))),
    t(x).add(t(y)),
  ]),
  "x = floorDiv(x, y) y + mod(x, y)": law(
    broadcastable().chain(([a, b]) => fc.tuple(arrays(a), arrays(b, numbers({ min: 0.5, max: 2 })))),
    ([x, y]) => [
      t(x)
        .floorDiv(t(y))
        .mul(t(y))
        .add(t(x).mod(t(y))),
      t(x).add(t(y).mul(0)),
    ],
  ),
  "exp turns sums into products": law(two, ([x, y]) => [t(x).add(t(y)).exp(), t(x).exp().mul(t(y).exp())]),
  "log undoes exp": law(one, (x) => [t(x).exp().log(), t(x)]),
  "expm1 and log1p undo each other": law(one, (x) => [t(x).expm1().log1p(), t(x)]),
  "sin^2 + cos^2 = 1": law(one, (x) => [t(x).sin().square().add(t(x).cos().square()), t(x).mul(0).add(1)]),
  "erf + erfc = 1": law(one, (x) => [t(x).erf().add(t(x).erfc()), t(x).mul(0).add(1)]),
  "normalCdf is (1 + erf(x / sqrt 2)) / 2": law(one, (x) => [t(x).normalCdf(), t(x).mul(Math.SQRT1_2).erf().add(1).mul(0.5)]),
  "tanh is a stretched sigmoid": law(one, (x) => [t(x).tanh(), t(x).mul(2).sigmoid().mul(2).sub(1)]),
  "softplus(x) - softplus(-x) = x": law(one, (x) => [t(x).softplus().sub(t(x).neg().softplus()), t(x)]),
  "relu and where": law(one, (x) => [t(x).relu(), where(t(x).greater(0), t(x), 0)]),
  "less is not greaterEqual": law(two, ([x, y]) => [
    t(x)
      .less(t(y))
      .add(t(x).greaterEqual(t(y))),
    t(x).add(t(y)).mul(0).add(1),
  ]),
};

const movements = {
  "permute and its inverse": law(
    shapes().chain((shape) =>
      fc.tuple(
        arrays(shape),
        fc.shuffledSubarray(
          shape.map((_, i) => i),
          { minLength: shape.length },
        ),
      ),
    ),
    ([x, axes]) => [
      t(x)
        .permute(axes)
        .permute(axes.map((_, i) => axes.indexOf(i))),
      t(x),
    ],
  ),
  "reshape and back": law(one, (x) => [t(x).reshape([-1]).reshape(x.shape), t(x)]),
  "flip twice": law(
    shapes().chain((shape) => fc.tuple(arrays(shape), axesOf(shape))),
    ([x, axes]) => [t(x).flip(axes).flip(axes), t(x)],
  ),
  "pad and slice": law(arrays(shapes({ minAxes: 2, maxAxes: 2 })), (x) => [
    t(x)
      .pad(
        [
          [1, 2],
          [0, 3],
        ],
        7,
      )
      .slice([1, 1 + x.shape[0]], [0, x.shape[1]]),
    t(x),
  ]),
  "split and concat": law(withAxis, ([x, axis]) => {
    const n = x.shape.at(axis) ?? 0;
    return [concat(t(x).split([n >> 1, n - (n >> 1)], axis), axis), t(x)];
  }),
  "stack and unstack": law(sameShaped, ([x, y]) => [
    stack([t(x), t(y)])
      .narrow(0, 1, 2)
      .squeeze(0),
    t(y),
  ]),
  "tile is concat": law(withAxis, ([x]) => [t(x).tile([2, ...x.shape.slice(1).map(() => 1)]), concat([t(x), t(x)])]),
  "tril + triu of the rest": law(arrays([3, 4]), (x) => [t(x).tril(0).add(t(x).triu(1)), t(x)]),
  "flip turns a sum from the end into one from the start": law(withAxis, ([x, axis]) => [
    t(x).cumsum(axis, { reverse: true }),
    t(x).flip(axis).cumsum(axis).flip(axis),
  ]),
  "an exclusive sum lacks the element itself": law(withAxis, ([x, axis]) => [
    t(x).cumsum(axis, { exclusive: true }).add(t(x)),
    t(x).cumsum(axis),
  ]),
};

const reductions = {
  "sum over all axes is sum over each": law(one, (x) => [x.shape.reduce((y) => y.sum(0), t(x)), t(x).sum()]),
  "keepDims only keeps axes": law(withAxis, ([x, axis]) => [t(x).sum(axis, { keepDims: true }).squeeze(axis), t(x).sum(axis)]),
  "mean is sum over count": law(withSome, ([x, axis]) => [
    t(x).mean(axis),
    t(x)
      .sum(axis)
      .div(x.shape.at(axis) ?? 1),
  ]),
  "variance is mean square less squared mean": law(withSome, ([x, axis]) => [
    t(x).variance(axis),
    t(x).square().mean(axis).sub(t(x).mean(axis).square()),
  ]),
  "min is -max of -x": law(withSome, ([x, axis]) => [t(x).min(axis), t(x).neg().max(axis).neg()]),
  "prod is exp of the sum of logarithms": law(
    shapes({ minAxes: 1 }).chain((s) => fc.tuple(arrays(s, numbers({ min: 0.5, max: 2 })), axisOf(s))),
    ([x, axis]) => [t(x).prod(axis), t(x).log().sum(axis).exp()],
  ),
  "softmax sums to 1": law(withSome, ([x, axis]) => [t(x).softmax(axis).sum(axis), t(x).sum(axis).mul(0).add(1)]),
  "softmax does not feel a shift": law(fc.tuple(withSome, fc.constantFrom(-1e4, -7, 0.5, 1e4)), ([[x, axis], by]) => [
    t(x).add(by).softmax(axis),
    t(x).softmax(axis),
  ]),
  "logSoftmax is the logarithm of softmax": law(withSome, ([x, axis]) => [t(x).logSoftmax(axis), t(x).softmax(axis).log()]),
  "logSumExp carries a shift out": law(fc.tuple(withSome, fc.constantFrom(-1e4, 3, 1e4)), ([[x, axis], by]) => [
    t(x).add(by).logSumExp(axis),
    t(x).logSumExp(axis).add(by),
  ]),
  "the gradient of logSumExp is softmax": law(withSome, ([x, axis]) => {
    const y = t(x);
    return [pullback((z) => z.logSumExp(axis), y, y.sum(axis).mul(0).add(1)), y.softmax(axis)];
  }),
  "max is the value at argmax": law(ordered, ([x, axis]) => [
    t(x).max(axis, { keepDims: true }),
    t(x).takeAlong(t(x).argmax(axis).unsqueeze(axis), axis),
  ]),
};

const order = {
  "sort is ascending": law(ordered, ([x, axis]) => {
    const { values } = t(x).sort(axis);
    const n = x.shape.at(axis) ?? 1;
    return [values.narrow(axis, 1, n).less(values.narrow(axis, 0, n - 1)), values.narrow(axis, 1, n).mul(0)];
  }),
  "rank is the inverse permutation of argsort": law(ordered, ([x, axis]) => [
    t(x).rank(axis).cast("float64"),
    t(x).argsort(axis).argsort(axis).cast("float64"),
  ]),
  "topK of all is the descending sort": law(ordered, ([x, axis]) => [
    t(x).topK(x.shape.at(axis) ?? 1, axis).values,
    t(x).sort(axis, { descending: true }).values,
  ]),
  "taking by rank undoes sort": law(ordered, ([x, axis]) => [t(x).sort(axis).values.takeAlong(t(x).rank(axis), axis), t(x)]),
  "bincount counts countEarlier's last": law(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 8 }), (keys) => [
    int(keys).bincount(4).sum().cast("float64"),
    int([keys.length]).sum().cast("float64"),
  ]),
  "invert twice": law(fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }), (p) => [
    int(p).invert(5).invert(5).cast("float64"),
    int(p).cast("float64"),
  ]),
};

const products = {
  "einsum is matmul": law(product, ([x, y]) => [einsum("bmk,bkn->bmn", t(x), t(y)), t(x).matmul(t(y))]),
  "matmul is a sum of products": law(product, ([x, y]) => [t(x).matmul(t(y)), t(x).unsqueeze(3).mul(t(y).unsqueeze(1)).sum(2)]),
  "a transposed product": law(product, ([x, y]) => [t(x).matmul(t(y)).transpose(), t(y).transpose().matmul(t(x).transpose())]),
  "einsum sums what the result lacks": law(arrays([2, 3, 2]), (x) => [einsum("abc->b", t(x)), t(x).sum([0, 2])]),
  "dots stand for the axes without a letter, and stretch": law(
    fc.tuple(arrays([3, 1, 2, 2]), arrays([4, 2, 3]), arrays([2, 3])),
    ([x, y, z]) => [
      einsum("...ij,...jk,ik->...ki", t(x), t(y), t(z)),
      t(x).matmul(t(y)).mul(t(z)).transpose(), // [3, 4, 3, 2]
    ],
  ),
  "dots that the result lacks are summed over": law(fc.tuple(arrays([2, 3, 2]), arrays([2])), ([x, y]) => [
    einsum("...i,i->i", t(x), t(y)),
    t(x).sum([0, 1]).mul(t(y)),
  ]),
  "three operands": law(fc.tuple(arrays([2, 3]), arrays([3, 2]), arrays([2, 2])), ([x, y, z]) => [
    einsum("ij,jk,kl->il", t(x), t(y), t(z)),
    t(x).matmul(t(y)).matmul(t(z)),
  ]),
  "grouped products are products of groups": law(
    fc.tuple(arrays([5, 2]), arrays([2, 2, 3]), fc.nat({ max: 4 }), fc.nat({ max: 1 })),
    ([x, w, first, rest]) => {
      const end = 5 - rest;
      const cut = Math.min(first, end);
      const rows = [
        t(x)
          .narrow(0, 0, cut)
          .matmul(t(w).narrow(0, 0, 1).squeeze(0)),
        t(x)
          .narrow(0, cut, end)
          .matmul(t(w).narrow(0, 1, 2).squeeze(0)),
      ];
      return [groupedMatmul(t(x), t(w), int([0, cut, end])), concat([...rows, t(x).narrow(0, end, 5).matmul(t(w).sum(0)).mul(0)])];
    },
  ),
};

/** <f(x), g> = <x, f*(g)> for linear f and its adjoint, without any tape. */
/** The places that [start, stop, step] takes of n, as Python defines them. */
function placesOf(n: number, start: number | null, stop: number | null, step: number): number[] {
  const from = start === null ? (step > 0 ? 0 : n - 1) : start < 0 ? start + n : start;
  const to = stop === null ? (step > 0 ? n : -1) : stop < 0 ? stop + n : stop;
  const places: number[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) places.push(i);
  return places;
}

/** A range that fits an axis of n. */
const rangeOf = (n: number): fc.Arbitrary<[number | null, number | null, number]> =>
  fc
    .tuple(fc.nat({ max: n }), fc.nat({ max: n }), fc.constantFrom(1, 2, 3, -1, -2, -3), fc.boolean(), fc.boolean(), fc.boolean())
    .map(([a, b, step, openStart, openStop, fromEnd]) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const name = (at: number): number => (fromEnd && at < n ? at - n : at);
      if (step > 0) return [openStart ? null : name(low), openStop ? null : name(high), step];
      const start = Math.min(high, n - 1);
      return n === 0 || openStart
        ? [null, openStop || low > n - 1 ? null : name(low), step]
        : [name(start), openStop || low > start ? null : name(low), step];
    });

const slices = {
  "a slice takes what Python's takes": law(
    shapes({ minAxes: 1, maxSize: 6 }).chain((shape) => fc.tuple(arrays(shape), fc.tuple(...shape.map(rangeOf)))),
    ([x, ranges]) => {
      const byRows = ranges.reduce((y, [start, stop, step], axis) => {
        const places = placesOf(x.shape[axis], start, stop, step);
        const index = tensor(Int32Array.from(places), { shape: [places.length] });
        return y.transpose(0, axis).takeRows(index).transpose(0, axis);
      }, t(x));
      return [t(x).slice(...ranges), byRows];
    },
  ),
  "its adjoint puts each element back": law(
    shapes({ minAxes: 1, maxSize: 6 }).chain((shape) => fc.tuple(arrays(shape), fc.tuple(...shape.map(rangeOf)))),
    ([x, ranges]) => [
      pullback((y) => y.slice(...ranges), t(x), t(x).slice(...ranges)),
      t(x).mul(
        pullback(
          (y) => y.slice(...ranges),
          t(x),
          t(x)
            .slice(...ranges)
            .mul(0)
            .add(1),
        ),
      ),
    ],
  ),
  "scatter writes in order, the last of equals stands": law(
    fc.tuple(arrays([3, 5]), arrays([3, 4]), arrays([3, 4], fc.nat({ max: 4 }))),
    ([x, source, index]) => {
      const rows = [...x.data];
      source.data.forEach((value, i) => (rows[Math.floor(i / 4) * 5 + index.data[i]] = value));
      return [t(x).scatter(int(index.data, index.shape), t(source), 1), t({ shape: x.shape, data: rows })];
    },
  ),
  "scatter of a number": law(fc.tuple(arrays([4]), fc.array(fc.nat({ max: 3 }), { minLength: 2, maxLength: 2 })), ([x, at]) => [
    t(x).scatter(int(at), 7),
    t({ shape: [4], data: x.data.map((value, i) => (at.includes(i) ? 7 : value)) }),
  ]),
};

const adjoints = {
  "takeRows and addRows": law(
    fc.tuple(arrays([3, 2]), fc.array(fc.nat({ max: 2 }), { minLength: 4, maxLength: 4 }), arrays([4, 2])),
    ([x, i, g]) => [dot(t(x).takeRows(int(i)), t(g)), dot(t(x), t(g).addRows(int(i), 3))],
  ),
  "takeAlong and addAlong": law(fc.tuple(arrays([2, 3]), arrays([2, 4], fc.nat({ max: 2 })), arrays([2, 4])), ([x, i, g]) => [
    dot(t(x).takeAlong(int(i.data, i.shape), 1), t(g)),
    dot(t(x), t(g).addAlong(int(i.data, i.shape), 1, 3)),
  ]),
  "gatherRows with its tables swapped": law(
    fc.tuple(arrays([4, 2]), arrays([4, 2]), fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), fc.nat({ max: 4 })),
    ([x, g, p, kept]) => {
      const index = p.map((at, m) => (m < kept ? at : -1));
      const inverse = [0, 1, 2, 3].map((n) => index.indexOf(n));
      const [forth, back] = [int(index, [4, 1]), int(inverse, [4, 1])];
      return [dot(gatherRows(t(x), forth, back), t(g)), dot(t(x), gatherRows(t(g), back, forth))];
    },
  ),
  "groupedMatmul and groupedOuter": law(fc.tuple(arrays([4, 2]), arrays([2, 2, 3]), arrays([4, 3])), ([x, w, g]) => [
    dot(groupedMatmul(t(x), t(w), int([0, 1, 3])), t(g)),
    dot(t(w), groupedOuter(t(x), t(g), int([0, 1, 3]))),
  ]),
  "slice and pad": law(fc.tuple(arrays([4]), arrays([2])), ([x, g]) => [dot(t(x).slice([1, 3]), t(g)), dot(t(x), t(g).pad([[1, 1]]))]),
  "cumsum and its reverse": law(fc.tuple(arrays([4]), arrays([4]), fc.boolean()), ([x, g, exclusive]) => [
    dot(t(x).cumsum(0, { exclusive }), t(g)),
    dot(t(x), t(g).cumsum(0, { exclusive, reverse: true })),
  ]),
  "broadcastTo and sum": law(fc.tuple(arrays([1, 3]), arrays([2, 3])), ([x, g]) => [
    dot(t(x).broadcastTo([2, 3]), t(g)),
    dot(t(x), t(g).sum(0, { keepDims: true })),
  ]),
};

const derivatives = {
  "the pullback is linear in its cotangent": law(sameShaped, ([x, g, h]) => {
    const f = (z: Tensor): Tensor => z.tanh().mul(z);
    return [pullback(f, t(x), t(g).add(t(h))), pullback(f, t(x), t(g)).add(pullback(f, t(x), t(h)))];
  }),
  "the derivative of a sum is the sum of derivatives": law(sameShaped, ([x, g]) => [
    pullback((z) => z.exp().add(z.sin()), t(x), t(g)),
    pullback((z) => z.exp(), t(x), t(g)).add(pullback((z) => z.sin(), t(x), t(g))),
  ]),
  "backward and gradients agree": law(sameShaped, ([x, g]) => {
    const [a, b] = [t(x).requireGrad(), t(x).requireGrad()];
    const f = (z: Tensor): Tensor => z.mul(z).add(z.sigmoid());
    f(a).backward({ seed: t(g) });
    return [a.grad ?? a, f(b).gradients([b], { seed: t(g) })[0]];
  }),
  "releasing activations changes no gradient": law(sameShaped, ([x, g]) => {
    const [a, b] = [t(x).requireGrad(), t(x).requireGrad()];
    const f = (z: Tensor): Tensor => z.exp().mul(z).softplus();
    f(a).backward({ seed: t(g), release: true });
    f(b).backward({ seed: t(g) });
    return [a.grad ?? a, b.grad ?? b];
  }),
  "a recorded walk gives the same numbers": law(sameShaped, ([x, g]) => {
    const a = t(x).requireGrad();
    const f = (z: Tensor): Tensor => (z.shape.length ? z.softmax() : z).mul(z.gelu());
    return [f(a).gradients([a], { seed: t(g), createGraph: true })[0], f(a).gradients([a], { seed: t(g) })[0]];
  }),
};

export function laws(): void {
  const chapters = { arithmetic, movements, slices, reductions, order, products, adjoints, derivatives };
  for (const [chapter, all] of Object.entries(chapters))
    describe(`laws of ${chapter}`, () => {
      for (const [title, run] of Object.entries(all)) it(title, run);
    });
}
