/** Composed operations against finite differences, to second order. */
import fc from "fast-check";
import { concat, einsum, key, stack } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { arrays, axesOf, distinctArrays, numbers, shapes, toTensor } from "switchyard-moe/testing";
import { binary, check, indices, integer, ordered, positive, some, unary, withAxis } from "./checks.ts";
import type { Check } from "./checks.ts";

const reducing = (f: (x: Tensor, axes: number[] | undefined, keepDims: boolean) => Tensor, minSize = 1, elements = some): Check =>
  check(
    shapes({ minSize }).chain((shape) => fc.tuple(arrays(shape, elements), axesOf(shape), fc.boolean())),
    ([x, axes, keepDims]) => ({
      inputs: [toTensor(x)],
      f: (t) => f(t, axes, keepDims),
    }),
  );

const equations: [string, number[], number[]][] = [
  ["bqhd,bkhd->bhqk", [1, 2, 2, 3], [1, 3, 2, 3]],
  ["ij,jk", [2, 3], [3, 2]],
  ["ij,kj->", [2, 3], [2, 3]],
  ["i,j->ji", [2], [3]],
  ["bij,bij->b", [2, 1, 2], [2, 1, 2]],
];

export const composed: Record<string, Check> = {
  "scatter, with duplicates": check(fc.tuple(arrays([4, 3]), arrays([5, 3]), indices([5, 3], 4)), ([x, source, index]) => ({
    inputs: [toTensor(x), toTensor(source)],
    f: (t, s) => t.square().scatter(integer(index.data, index.shape), s.mul(s), 0),
  })),
  "concat of a repeated input": unary((x) => concat([x.reshape([-1]), x.square().reshape([-1]), x.reshape([-1])])),
  "pow, whole exponents of any base": unary((x) => stack([x.pow(2), x.pow(3), x.pow(-1)]), numbers({ min: 0.5, max: 3, shift: -4 })),
  silu: unary((x) => x.silu()),
  gelu: unary((x) => x.gelu()),
  "gelu, tanh": unary((x) => x.gelu("tanh")),
  clamp: unary((x) => x.clamp(-1, 1)),
  maskedFill: binary((x, y) => x.mul(y).maskedFill(y.greater(0), -5), numbers(), some),
  dropout: unary((x) => x.dropout(0.5, key(3))),
  mean: reducing((x, axes, keepDims) => x.square().mean(axes, { keepDims })),
  variance: reducing((x, axes, keepDims) => x.variance(axes, { keepDims })),
  // Where all numbers are equal it has no slope.
  std: check(
    shapes({ minSize: 2 }).chain((shape) => fc.tuple(distinctArrays(shape), axesOf(shape), fc.boolean())),
    ([x, axes, keepDims]) => ({
      inputs: [toTensor(x)],
      f: (t) => t.exp().std(axes?.length === 0 ? undefined : axes, { keepDims }),
    }),
  ),
  norm: reducing((x, axes, keepDims) => x.norm(axes, { keepDims }), 1, positive),
  prod: reducing((x, axes, keepDims) => x.prod(axes, { keepDims }), 0, numbers({ min: -1, max: 1 })),
  logSumExp: reducing((x, axes, keepDims) => x.logSumExp(axes, { keepDims })),
  softmax: check(withAxis(), ([x, axis]) => ({ inputs: [toTensor(x)], f: (t) => t.softmax(axis) })),
  logSoftmax: check(withAxis(), ([x, axis]) => ({ inputs: [toTensor(x)], f: (t) => t.logSoftmax(axis) })),
  "max along an axis": check(ordered, ([x, axis]) => ({
    inputs: [toTensor(x)],
    f: (t) => [t.exp().max(axis), t.exp().min(axis, { keepDims: true })],
  })),
  "matmul, broadcast": check(
    fc
      .constantFrom(
        [[3], [3]],
        [[3], [3, 2]],
        [[2, 3], [3]],
        [
          [2, 1, 2, 3],
          [4, 3, 1],
        ],
        [
          [2, 3],
          [4, 3, 2],
        ],
        [
          [2, 2, 3],
          [3, 2],
        ],
        [
          [0, 3],
          [3, 2],
        ],
        [
          [2, 0],
          [0, 2],
        ],
      )
      .chain(([a, b]) => fc.tuple(arrays(a), arrays(b))),
    ([x, y]) => ({ inputs: [toTensor(x), toTensor(y)], f: (a, b) => a.matmul(b) }),
  ),
  einsum: check(
    fc.constantFrom(...equations).chain(([equation, a, b]) => fc.tuple(fc.constant(equation), arrays(a), arrays(b))),
    ([equation, x, y]) => ({ inputs: [toTensor(x), toTensor(y)], f: (a, b) => einsum(equation, a, b) }),
  ),
  stack: binary((x, y) => stack([x.add(y), y.sub(x).square()], -1)),
  split: check(arrays([2, 6]), (x) => ({
    inputs: [toTensor(x)],
    f: (t) => t.split([1, 2, 3], 1).map((part, i) => part.square().mul(i + 1)),
  })),
  tile: unary((x) => x.square().tile([2, 1, 3])),
  "tril and triu": check(arrays([2, 3, 3]), (x) => ({ inputs: [toTensor(x)], f: (t) => t.tril(-1).square().add(t.triu().exp()) })),
  scatterAdd: check(fc.tuple(arrays([3, 2]), arrays([4, 2]), indices([4, 2], 3)), ([x, source, index]) => ({
    inputs: [toTensor(x), toTensor(source)],
    f: (a, b) => a.scatterAdd(integer(index.data, index.shape), b, 0).square(),
  })),
  "a value used many times": unary((x) => x.mul(x).add(x).mul(x).sub(x.add(x))),
};
