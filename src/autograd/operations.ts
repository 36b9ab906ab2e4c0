/** Operations on several tensors, as functions: where, concat, stack, gatherRows, grouped products. Operations on one tensor are its methods. */
import { formatShape, sameShape } from "../backend/shape.ts";
import { apply, widened } from "./apply.ts";
import { anOperand, check, checkHostIndex, checkHostOffsets, requireList, requireTensor } from "./arguments.ts";
import { axisOf } from "./axes.ts";
import { constant } from "./constants.ts";
import { select } from "./elementwise.ts";
import { concatenation } from "./movement.ts";
import * as products from "./products.ts";
import * as rows from "./rows.ts";
import type { Operand, Tensor } from "./tensor.ts";

/**
 * Chooses elements: x where `condition` is not 0, y elsewhere. All three broadcast, and numbers may stand for x and y. The side that is
 * not taken gets gradient 0 even where it is NaN or infinite. Throws for shapes that do not broadcast.
 */
export function where(condition: Tensor, x: Operand, y: Operand): Tensor {
  requireTensor("where", condition, "condition");
  check("where", "x", x, anOperand);
  check("where", "y", y, anOperand);
  const like = typeof x !== "number" ? x : typeof y !== "number" ? y : condition;
  const [a, b] = [x, y].map((side) => (typeof side === "number" ? constant(side, like, "where") : side));
  return widened("where", [condition, a, b], (...all) => apply(select, ...all));
}

/** The most tensors that one kernel joins. A longer list is joined in parts, because a call takes only so many arguments. */
const JOINED = 512;

/** Joins tensors side by side along an axis. Throws where other sizes or the dtypes differ, and for an empty list. */
export function concat(parts: readonly Tensor[], axis = 0): Tensor {
  requireTensors("concat", parts);
  if (parts.length === 0) throw new RangeError("concat: an empty list has no shape");
  const at = axisOf("concat", axis, parts[0]);
  if (parts.length > JOINED) return concat(chunks(parts, JOINED).map((chunk) => concat(chunk, at)), at); // prettier-ignore
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + (part.shape[at] ?? 0));
  return apply(concatenation(at, starts), ...parts);
}

function requireTensors(operation: string, parts: readonly Tensor[]): void {
  requireList(operation, parts, "parts");
  for (let i = 0; i < parts.length; i++) requireTensor(operation, parts[i], `parts[${i}]`);
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** Joins tensors of one shape along a new axis, which will be axis `axis`. Throws where shapes or dtypes differ, and for an empty list. */
export function stack(parts: readonly Tensor[], axis = 0): Tensor {
  requireTensors("stack", parts);
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
 * Gathers rows by two tables that are each other's inverse, so that its gradient is a gather too.
 * x [N, ...D], index [M, J] and inverse [N, I] int32 -> [M, ...D]: out[m] = sum over j of x[index[m, j]], where -1 adds nothing.
 * n stands in index[m] exactly if m stands in inverse[n]: the caller sees to that. Throws for an index outside of -1 to N - 1.
 */
export function gatherRows(x: Tensor, index: Tensor, inverse: Tensor): Tensor {
  requireTensor("gatherRows", x);
  checkHostIndex("gatherRows", index, -1, x.shape[0]);
  checkHostIndex("gatherRows", inverse, -1, index.shape[0], "inverse");
  return widened("gatherRows", [x, index, inverse], (...all) => apply(rows.gatherRows, ...all));
}

/**
 * Multiplies the rows of each expert with that expert's matrix: x [M, D] sorted by expert, weight [E, D, F], offsets [E + 1] int32
 * -> [M, F]. Rows from offsets[e] up to offsets[e + 1] are multiplied by weight[e]; rows from offsets[E] on give zeros. Throws for offsets that
 * do not begin at 0, fall, or pass M. Gale et al. 2022, arXiv:2211.15841.
 */
export function groupedMatmul(x: Tensor, weight: Tensor, offsets: Tensor): Tensor {
  requireTensor("groupedMatmul", x);
  requireTensor("groupedMatmul", weight, "weight");
  requireTensor("groupedMatmul", offsets, "offsets");
  checkHostOffsets("groupedMatmul", offsets, x.shape[0]);
  return widened("groupedMatmul", [x, weight, offsets], (...all) => apply(products.groupedMatmul, ...all));
}

/**
 * For each expert the product x^T y over its rows: x [M, D], y [M, F], offsets [E + 1] int32 -> [E, D, F]. It is the gradient of
 * `groupedMatmul` in its weight.
 */
export function groupedOuter(x: Tensor, y: Tensor, offsets: Tensor): Tensor {
  requireTensor("groupedOuter", x);
  requireTensor("groupedOuter", y, "y");
  requireTensor("groupedOuter", offsets, "offsets");
  checkHostOffsets("groupedOuter", offsets, x.shape[0]);
  return widened("groupedOuter", [x, y, offsets], (...all) => apply(products.groupedOuter, ...all));
}
