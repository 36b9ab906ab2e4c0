/** Reading and writing at indices, and orders along an axis. */
import type { DType } from "../backend/backend.ts";
import { apply, widened } from "./apply.ts";
import {
  aCount,
  aDtype,
  anOperand,
  check,
  checkHostIndex,
  requireAlong,
  requireInt,
  requireRoom,
  requireSameDtype,
  requireTensor,
} from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { constant, countTo } from "./constants.ts";
import { noGrad } from "./context.ts";
import { where } from "./operations.ts";
import type { Primitive } from "./primitive.ts";
import type { Operand, Tensor } from "./tensor.ts";

/** argsort, rank and topK of another axis than the last. */
export function alongLast(x: Tensor, name: string, axis: number, primitive: Primitive): Tensor {
  const at = axisOf(name, axis, x);
  const last = at === x.shape.length - 1;
  const out = widened(name, [last ? x : x.transpose(at, -1)], (y) => apply(primitive, y));
  return last ? out : out.transpose(at, -1);
}

export function scatterAdd(x: Tensor, index: Tensor, source: Tensor, axis: number): Tensor {
  const at = axisOf("scatterAdd", axis, x);
  requireTensor("scatterAdd", source, "source");
  checkHostIndex("scatterAdd", index, 0, x.shape[at]);
  requireAlong("scatterAdd", x, index, at);
  return widened("scatterAdd", [x, source], (y, s) => y.add(s.addAlong(index, at, x.shape[at])));
}

/** Of elements with the same index the last one is written: it is the one without an equal index behind it. */
export function scatter(x: Tensor, index: Tensor, source: Operand, axis: number): Tensor {
  const at = axisOf("scatter", axis, x);
  check("scatter", "source", source, anOperand);
  checkHostIndex("scatter", index, 0, x.shape[at]);
  requireAlong("scatter", x, index, at);
  const values = typeof source === "number" ? constant(source, x, "scatter").broadcastTo(index.shape) : source;
  requireSameDtype("scatter", x, values);
  const last = noGrad(() => index.transpose(at, -1).flip(-1).countEarlier().flip(-1).transpose(at, -1).equal(0)); // prettier-ignore
  const hit = noGrad(() => last.addAlong(index, at, x.shape[at]));
  return widened("scatter", [x, values], (y, v) => where(hit, where(last, v, 0).addAlong(index, at, x.shape[at]), y));
}

export function oneHot(index: Tensor, classes: number, dtype: DType): Tensor {
  check("oneHot", "classes", classes, aCount);
  check("oneHot", "dtype", dtype, aDtype);
  requireInt("oneHot", "index", index);
  requireRoom("oneHot", { shape: [...index.shape, classes], dtype });
  return index.unsqueeze(index.shape.length).equal(countTo(classes, index)).cast(dtype);
}
