/** Operations on several tensors, as functions: where, concat, stack, gatherRows, grouped products. Operations on one are methods of Tensor. */
import { formatShape, sameShape } from "../backend/shape.ts";
import { apply, widened } from "./apply.ts";
import { checkHostIndex, checkHostOffsets, requireList, requireTensor } from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { constant } from "./constants.ts";
import { select } from "./elementwise.ts";
import { concatenation } from "./movement.ts";
import * as products from "./products.ts";
import * as rows from "./rows.ts";
import type { Operand, Tensor } from "./tensor.ts";

/** condition != 0 ? x : y; all broadcast, numbers allowed. The side not taken gets gradient 0 even where it is NaN. */
export function where(condition: Tensor, x: Operand, y: Operand): Tensor {
  requireTensor("where", condition);
  const like = typeof x !== "number" ? x : typeof y !== "number" ? y : condition;
  const [a, b] = [x, y].map((side) => (typeof side === "number" ? constant(side, like) : side));
  for (const operand of [a, b]) requireTensor("where", operand);
  return widened("where", [condition, a, b], (...all) => apply(select, ...all));
}

/** So many tensors are joined by one kernel; longer lists are joined part by part, because arguments of a call are limited. */
const JOINED = 512;

/** Side by side along an axis. Other sizes agree; an empty list is an error. */
export function concat(parts: readonly Tensor[], axis = 0): Tensor {
  requireList("concat", parts);
  if (parts.length === 0) throw new RangeError("concat: an empty list has no shape");
  const at = axisOf("concat", axis, parts[0]);
  if (parts.length > JOINED) return concat(chunks(parts, JOINED).map((chunk) => concat(chunk, at)), at); // prettier-ignore
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + (part.shape[at] ?? 0));
  return apply(concatenation(at, starts), ...parts);
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** Equal shapes along a new axis. */
export function stack(parts: readonly Tensor[], axis = 0): Tensor {
  requireList("stack", parts);
  const [first] = parts;
  if (!first) throw new RangeError("stack: an empty list has no shape");
  const at = axisOf("stack", axis, { shape: [1, ...first.shape] });
  for (const part of parts)
    if (!sameShape(part.shape, first.shape))
      throw new RangeError(`stack: shapes ${formatShape(first.shape)} and ${formatShape(part.shape)} differ`);
  return concat(
    parts.map((part) => part.unsqueeze(at)),
    at,
  );
}

/**
 * x [N, ...D], index [M, J], inverse [N, I] -> [M, ...D]: out[m] = sum over j of x[index[m, j]], -1 reads as zero. The two tables
 * say the same thing from both ends: n stands in index[m] exactly if m stands in inverse[n].
 */
export function gatherRows(x: Tensor, index: Tensor, inverse: Tensor): Tensor {
  checkHostIndex("gatherRows", index, -1, x.shape[0]);
  checkHostIndex("gatherRows", inverse, -1, index.shape[0]);
  return widened("gatherRows", [x, index, inverse], (...all) => apply(rows.gatherRows, ...all));
}

/** x [M, D] sorted by expert, weight [E, D, F], offsets [E + 1] int32 -> [M, F]; rows from offsets[E] on give zeros. */
export function groupedMatmul(x: Tensor, weight: Tensor, offsets: Tensor): Tensor {
  checkHostOffsets("groupedMatmul", offsets, x.shape[0]);
  return widened("groupedMatmul", [x, weight, offsets], (...all) => apply(products.groupedMatmul, ...all));
}

/** x [M, D], y [M, F], offsets [E + 1] -> [E, D, F]: for each expert the product x^T y over its rows. */
export function groupedOuter(x: Tensor, y: Tensor, offsets: Tensor): Tensor {
  checkHostOffsets("groupedOuter", offsets, x.shape[0]);
  return widened("groupedOuter", [x, y, offsets], (...all) => apply(products.groupedOuter, ...all));
}
