/** Reading and writing at indices, and orders along an axis. */
import type { DType } from "../backend/backend.ts";
import { apply, widened } from "./apply.ts";
import { checkShape, requireInt } from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { countTo } from "./constants.ts";
import type { Primitive } from "./primitive.ts";
import type { Tensor } from "./tensor.ts";

/** argsort, rank and topK of another axis than the last. */
export function alongLast(x: Tensor, name: string, axis: number, primitive: Primitive): Tensor {
  const at = axisOf(name, axis, x);
  const last = at === x.shape.length - 1;
  const out = widened(name, [last ? x : x.transpose(at, -1)], (y) => apply(primitive, y));
  return last ? out : out.transpose(at, -1);
}

export function scatterAdd(x: Tensor, index: Tensor, source: Tensor, axis: number): Tensor {
  const at = axisOf("scatterAdd", axis, x);
  return widened("scatterAdd", [x, source], (y, s) => y.add(s.addAlong(index, at, x.shape[at])));
}

export function oneHot(index: Tensor, classes: number, dtype: DType): Tensor {
  checkShape("oneHot", [classes]);
  requireInt("oneHot", "index", index);
  return index.unsqueeze(index.shape.length).equal(countTo(classes, index)).cast(dtype);
}
