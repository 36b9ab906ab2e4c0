/**
 * Every primitive against finite differences, to second order, in float64. The table is typed by the primitives: a forgotten one
 * does not compile. N rows, M results, J and I parts, E experts, D and F widths.
 */
import fc from "fast-check";
import { concat, gatherRows, groupedMatmul, groupedOuter, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { PlainArray } from "switchyard-moe/testing";
import { arrays, axesOf, broadcastable, distinctArrays, numbers, shapes, toTensor } from "switchyard-moe/testing";
import type { primitives } from "../../../src/autograd/primitives.ts";
import { binary, check, indices, integer, ordered, positive, some, unary, withAxis } from "./checks.ts";
import type { Check } from "./checks.ts";
import { composed } from "./composedGradients.ts";

/** x [N, D], index [M, J] and the inverse [N, I] that says the same from the other end. */
const gathering = fc
  .record({ n: fc.integer({ min: 1, max: 4 }), m: fc.nat({ max: 4 }), j: fc.integer({ min: 1, max: 3 }), d: fc.nat({ max: 3 }) })
  .chain(({ n, m, j, d }) => fc.tuple(arrays([n, d], some), arrays([m, j], fc.integer({ min: -1, max: n - 1 }))));

function inverseOf(index: PlainArray, n: number): Tensor {
  const [, parts] = index.shape;
  const places = Array.from({ length: n }, (_, row) => index.data.flatMap((at, i) => (at === row ? [Math.floor(i / parts)] : [])));
  const width = Math.max(1, ...places.map((list) => list.length));
  return integer(
    places.flatMap((list) => [...list, ...new Array<number>(width - list.length).fill(-1)]),
    [n, width],
  );
}

/** Rows sorted by expert: empty experts, and rows that belong to none. */
const grouped = fc
  .record({
    counts: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }),
    rest: fc.nat({ max: 2 }),
    d: fc.nat({ max: 3 }),
    f: fc.nat({ max: 3 }),
  })
  .chain(({ counts, rest, d, f }) => {
    const offsets = counts.reduce((all, n) => [...all, all[all.length - 1] + n], [0]);
    const rows = offsets[counts.length] + rest;
    return fc.record({
      offsets: fc.constant(offsets),
      x: arrays([rows, d], some),
      y: arrays([rows, f], some),
      weight: arrays([counts.length, d, f], some),
    });
  });

const product = fc
  .record({ lead: shapes({ maxAxes: 1 }), m: fc.nat({ max: 3 }), k: fc.nat({ max: 3 }), n: fc.nat({ max: 3 }) })
  .chain(({ lead, m, k, n }) => fc.tuple(arrays([...lead, m, k]), arrays([...lead, k, n])));

/** A weight that depends on order as a constant, so that a gradient would show. */
const weighed = (x: Tensor, order: Tensor): Tensor => x.mul(order.cast("float64"));

const checks: Record<keyof typeof primitives, Check> = {
  add: binary((x, y) => x.add(y)),
  sub: binary((x, y) => x.sub(y)),
  mul: binary((x, y) => x.mul(y)),
  div: binary((x, y) => x.div(y), some, positive),
  neg: unary((x) => x.neg()),
  abs: unary((x) => x.abs()),
  square: unary((x) => x.square()),
  reciprocal: unary((x) => x.reciprocal(), positive),
  pow: binary((x, y) => x.pow(y), positive),
  exp: unary((x) => x.exp()),
  expm1: unary((x) => x.expm1()),
  log: unary((x) => x.log(), positive),
  log1p: unary((x) => x.log1p(), numbers({ min: -0.5, max: 3 })),
  sqrt: unary((x) => x.sqrt(), positive),
  rsqrt: unary((x) => x.rsqrt(), positive),
  sin: unary((x) => x.sin()),
  cos: unary((x) => x.cos()),
  tanh: unary((x) => x.tanh()),
  sigmoid: unary((x) => x.sigmoid()),
  softplus: unary((x) => x.softplus()),
  relu: unary((x) => x.relu()),
  erf: unary((x) => x.erf()),
  erfc: unary((x) => x.erfc()),
  normalCdf: unary((x) => x.normalCdf()),
  sign: unary((x) => x.sign()),
  floor: unary((x) => x.floor()),
  ceil: unary((x) => x.ceil()),
  round: unary((x) => x.round()),
  trunc: unary((x) => x.trunc()),
  isFinite: unary((x) => x.isFinite()),
  floorDiv: binary((x, y) => x.floorDiv(y), some, numbers({ min: 1.5, max: 3 })),
  mod: binary((x, y) => x.mod(y), some, numbers({ min: 1.5, max: 3 })),
  maximum: binary((x, y) => x.maximum(y)),
  minimum: binary((x, y) => x.minimum(y)),
  equal: binary((x, y) => x.equal(y)),
  notEqual: binary((x, y) => x.notEqual(y)),
  less: binary((x, y) => x.less(y)),
  lessEqual: binary((x, y) => x.lessEqual(y)),
  greater: binary((x, y) => x.greater(y)),
  greaterEqual: binary((x, y) => x.greaterEqual(y)),
  select: check(
    broadcastable().chain(([a, b]) => fc.tuple(arrays(a, fc.nat({ max: 1 })), arrays(b), arrays(a))),
    ([c, x, y]) => ({ inputs: [toTensor(x), toTensor(y)], f: (a, b) => where(toTensor(c), a.square(), b) }),
  ),

  reshape: check(fc.tuple(arrays([2, 3, 2]), fc.constantFrom([12], [3, -1], [2, 2, 3], [4, 1, 3])), ([x, shape]) => ({
    inputs: [toTensor(x)],
    f: (t) => t.transpose().reshape(shape).square(),
  })),
  permute: check(
    shapes().chain((shape) =>
      fc.tuple(
        arrays(shape),
        fc.shuffledSubarray(
          shape.map((_, i) => i),
          { minLength: shape.length },
        ),
      ),
    ),
    ([x, axes]) => ({
      inputs: [toTensor(x)],
      f: (t) => t.permute(axes).square(),
    }),
  ),
  broadcastTo: check(
    broadcastable().chain(([a, b]) => fc.tuple(arrays(a), fc.constant(b))),
    ([x, b]) => ({
      inputs: [toTensor(x)],
      f: (t) =>
        t
          .broadcastTo(
            toTensor({ shape: b, data: b.length ? new Array<number>(b.reduce((p, n) => p * n, 1)).fill(0) : [0] }).add(t.detach()).shape,
          )
          .square(),
    }),
  ),
  slice: check(
    shapes({ minAxes: 1 }).chain((shape) =>
      fc.tuple(arrays(shape), fc.tuple(...shape.map((n) => fc.tuple(fc.nat({ max: n }), fc.nat({ max: n }))))),
    ),
    ([x, ends]) => ({
      inputs: [toTensor(x)],
      f: (t) => [
        t.slice(...ends.map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)])).square(),
        t.slice(...ends.map(([a, b]): [null, null, number] => [null, null, a % 2 ? 1 + (b % 3) : -1 - (b % 3)])).square(),
      ],
    }),
  ),
  flip: check(
    shapes().chain((shape) => fc.tuple(arrays(shape), axesOf(shape))),
    ([x, axes]) => ({ inputs: [toTensor(x)], f: (t) => t.flip(axes).square().mul(t) }),
  ),
  contiguous: unary((x) => (x.shape.length > 1 ? x.transpose() : x.flip()).contiguous().square()),
  pad: check(
    fc.tuple(arrays(shapes({ minAxes: 2, maxAxes: 2 })), fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2))),
    ([x, [a, b, c, d]]) => ({
      inputs: [toTensor(x)],
      f: (t) =>
        t
          .pad(
            [
              [a, b],
              [c, d],
            ],
            0.5,
          )
          .square(),
    }),
  ),
  concatenation: check(
    withAxis({ maxAxes: 2 }).chain(([x, axis]) => fc.tuple(fc.constant(x), fc.constant(axis), arrays(x.shape))),
    ([x, axis, y]) => ({
      inputs: [toTensor(x), toTensor(y)],
      f: (a, b) => concat([a, b, a.square()], axis).square(),
    }),
  ),
  cast: check(arrays(shapes()), (x) => ({ inputs: [toTensor(x, { dtype: "float32" })], f: (t) => t.cast("float64").square() })),

  matmul: check(product, ([x, y]) => ({ inputs: [toTensor(x), toTensor(y)], f: (a, b) => a.matmul(b) })),
  groupedMatmul: check(grouped, ({ offsets, x, weight }) => ({
    inputs: [toTensor(x), toTensor(weight), integer(offsets)],
    f: (a, w, o) => groupedMatmul(a, w, o),
  })),
  groupedOuter: check(grouped, ({ offsets, x, y }) => ({
    inputs: [toTensor(x), toTensor(y), integer(offsets)],
    f: (a, b, o) => groupedOuter(a, b, o),
  })),

  sum: check(
    shapes().chain((shape) => fc.tuple(arrays(shape), axesOf(shape), fc.boolean())),
    ([x, axes, keepDims]) => ({
      inputs: [toTensor(x)],
      f: (t) => t.square().sum(axes, { keepDims }),
    }),
  ),
  extremum: check(
    shapes({ minSize: 1 }).chain((shape) => fc.tuple(distinctArrays(shape), axesOf(shape), fc.boolean())),
    ([x, axes, keepDims]) => ({
      inputs: [toTensor(x)],
      f: (t) => [t.expm1().max(axes, { keepDims }), t.exp().min(axes, { keepDims })],
    }),
  ),
  argReduce: check(ordered, ([x, axis]) => ({
    inputs: [toTensor(x)],
    f: (t) => [weighed(t.sum(axis), t.argmax(axis)), weighed(t.sum(axis), t.argmin(axis))],
  })),
  cumsum: check(fc.tuple(withAxis(), fc.boolean(), fc.boolean()), ([[x, axis], exclusive, reverse]) => ({
    inputs: [toTensor(x)],
    f: (t) => t.square().cumsum(axis, { exclusive, reverse }),
  })),

  gatherRows: check(gathering, ([x, index]) => ({
    inputs: [toTensor(x), integer(index.data, index.shape), inverseOf(index, x.shape[0])],
    f: (t, i, inverse) => gatherRows(t.square(), i, inverse),
  })),
  takeRows: check(
    fc.tuple(
      arrays([3, 2]),
      shapes({ maxAxes: 2 }).chain((shape) => indices(shape, 3)),
    ),
    ([x, index]) => ({
      inputs: [toTensor(x)],
      f: (t) => t.square().takeRows(integer(index.data, index.shape)),
    }),
  ),
  addRows: check(
    shapes({ maxAxes: 2 }).chain((shape) => fc.tuple(arrays([...shape, 2]), indices(shape, 3))),
    ([x, index]) => ({
      inputs: [toTensor(x)],
      f: (t) => t.addRows(integer(index.data, index.shape), 3).square(),
    }),
  ),
  takeAlong: check(fc.tuple(arrays([2, 3, 2]), indices([2, 4, 2], 3)), ([x, index]) => ({
    inputs: [toTensor(x)],
    f: (t) => t.square().takeAlong(integer(index.data, index.shape), 1),
  })),
  addAlong: check(fc.tuple(arrays([2, 4, 2]), indices([2, 4, 2], 3)), ([x, index]) => ({
    inputs: [toTensor(x)],
    f: (t) => t.addAlong(integer(index.data, index.shape), 1, 3).square(),
  })),
  argsort: check(ordered, ([x, axis]) => ({
    inputs: [toTensor(x)],
    f: (t) => [weighed(t, t.argsort(axis)), t.exp().sort(axis, { descending: true }).values],
  })),
  rank: check(ordered, ([x, axis]) => ({ inputs: [toTensor(x)], f: (t) => weighed(t, t.rank(axis)) })),
  topK: check(ordered, ([x, axis]) => ({ inputs: [toTensor(x)], f: (t) => t.exp().topK(1, axis).values })),
  invert: check(fc.shuffledSubarray([0, 1, 2, 3]), (row) => ({
    inputs: [toTensor({ shape: [4], data: [1, 2, 3, 4] })],
    f: (t) => weighed(t, integer(row).invert(4)),
  })),
  countEarlier: check(indices([5], 3), (row) => ({
    inputs: [toTensor({ shape: [5], data: [1, 2, 3, 4, 5] })],
    f: (t) => weighed(t, integer(row.data).countEarlier()),
  })),
  bincount: check(indices([5], 3), (row) => ({
    inputs: [toTensor({ shape: [3], data: [1, 2, 3] })],
    f: (t) => weighed(t, integer(row.data).bincount(3)),
  })),
};

/** Each check draws `runs` cases. New data goes to the current backend, which must have float64. */
export function gradients(runs: number): void {
  describe("gradients of every primitive, to second order", () => {
    for (const [name, run] of Object.entries(checks)) it(name, () => run(runs));
  });

  describe("gradients of composed operations, to second order", () => {
    for (const [name, run] of Object.entries(composed)) it(name, () => run(runs));
  });
}
