/** Softmax, its logarithm, and the logarithm of a sum of exponentials: shifted by the largest element, so that none overflows. */
import { widened } from "./apply.ts";
import { requireFloat } from "./arguments.ts";
import { axesOf, axisOf, reducedCount, shapeAfter } from "./axes.ts";
import { noGrad } from "./context.ts";
import type { Fused } from "./fused.ts";
import { applyFused } from "./fused.ts";
import { where } from "./operations.ts";
import { extreme } from "./statistics.ts";
import type { ReduceOptions, Tensor } from "./tensor.ts";

type Axes = number | readonly number[] | undefined;

/** The largest, as a constant, and 0 where it is infinite: safe to subtract before exp. */
function shift(x: Tensor, axes: Axes): Tensor {
  return noGrad(() => {
    const top = extreme("max", x.detach(), axesOf("logSumExp", axes, x), { keepDims: true });
    return where(top.isFinite(), top, 0);
  });
}

/** A row of -Infinity gives -Infinity with zero gradient: the double where keeps log 0 out of every derivative. */
export function logSumExp(x: Tensor, axes: Axes, { keepDims = false }: ReduceOptions = {}): Tensor {
  requireFloat("logSumExp", x);
  const list = axesOf("logSumExp", axes, x);
  return widened("logSumExp", [x], (y) => {
    if (reducedCount(y, list) === 0) return y.sum(list, { keepDims }).add(-Infinity);
    const ofRows = list.length === 1 && list[0] === y.shape.length - 1;
    const out = ofRows ? applyFused(logSumExpFused, null, y) : logOfSum(y, list);
    return out.reshape(shapeAfter(x, list, keepDims));
  });
}

function logOfSum(x: Tensor, axes: Axes): Tensor {
  const top = shift(x, axes);
  const sum = x.sub(top).exp().sum(axes, { keepDims: true });
  const none = sum.equal(0);
  return where(none, -Infinity, where(none, 1, sum).log().add(top));
}

const logSumExpFused: Fused<"logSumExp"> = {
  name: "logSumExp",
  type: (_, x) => ({ shape: x.shape.with(-1, 1), dtype: x.dtype }),
  compose: (_, x) => logOfSum(x, -1),
};

const softmaxFused: Fused<"softmax"> = {
  name: "softmax",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose(_, x) {
    if (x.size === 0) return x.exp();
    const e = x.sub(shift(x, -1)).exp();
    const sum = e.sum(-1, { keepDims: true });
    return e.div(where(sum.equal(0), 1, sum));
  },
};

const logSoftmaxFused: Fused<"logSoftmax"> = {
  name: "logSoftmax",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose(_, x) {
    const total = logSumExp(x, -1, { keepDims: true });
    const none = total.equal(-Infinity);
    return where(none, -Infinity, x.sub(where(none, 0, total)));
  },
};

export function softmax(x: Tensor, axis: number): Tensor {
  return overLast("softmax", x, axis, (y) => applyFused(softmaxFused, null, y));
}

export function logSoftmax(x: Tensor, axis: number): Tensor {
  return overLast("logSoftmax", x, axis, (y) => applyFused(logSoftmaxFused, null, y));
}

/** Applies a function of the last axis to another one: the transposes are views. */
function overLast(name: string, x: Tensor, axis: number, compute: (y: Tensor) => Tensor): Tensor {
  requireFloat(name, x);
  const at = axisOf(name, axis, x);
  if (at === x.shape.length - 1) return widened(name, [x], compute);
  return widened(name, [x.transpose(at, -1)], compute).transpose(at, -1);
}
