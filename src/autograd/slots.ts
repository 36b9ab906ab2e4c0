/**
 * Products and activations of slots. E experts have N = G C rows each; filled [E, G] int32 says how many of each C hold a token: the first ones.
 * The others are not read, and their results are zeros: a device that can look at the counts does not compute them. D and F widths.
 */
import type { Activation, ArrayType } from "../backend/backend.ts";
import { formatShape } from "../backend/shape.ts";
import { activate } from "./activations.ts";
import { widened } from "./apply.ts";
import { requireFloat, requireInt, requireSameDtype } from "./arguments.ts";
import { countTo } from "./constants.ts";
import type { Fused } from "./fused.ts";
import { applyFused } from "./fused.ts";
import { where } from "./operations.ts";
import type { Tensor } from "./tensor.ts";

/** [E, N, 1] in the dtype of x: 1 for the rows that hold a token. */
function maskOf(filled: Tensor, x: Tensor): Tensor {
  const capacity = x.shape[1] / Math.max(1, filled.shape[1]);
  const holds = countTo(capacity, filled).less(filled.unsqueeze(2)); // [E, G, C]
  return holds.reshape([x.shape[0], x.shape[1], 1]).cast(x.dtype);
}

function checkSlots(operation: string, x: ArrayType, filled: ArrayType): void {
  requireFloat(operation, x);
  requireInt(operation, "filled", filled);
  const [experts, rows] = x.shape;
  const [counted, groups] = filled.shape;
  if (x.shape.length !== 3 || filled.shape.length !== 2 || counted !== experts || (groups === 0 ? rows > 0 : rows % groups !== 0))
    throw new RangeError(`${operation}: x ${formatShape(x.shape)}, filled ${formatShape(filled.shape)}: want [E, G C, D], [E, G]`);
}

const slotMatmulFused: Fused<"slotMatmul"> = {
  name: "slotMatmul",
  type(_, x, weight, filled) {
    checkSlots("slotMatmul", x, filled);
    requireSameDtype("slotMatmul", x, weight);
    if (weight.shape.length !== 3 || weight.shape[0] !== x.shape[0] || weight.shape[1] !== x.shape[2])
      throw new RangeError(`slotMatmul: x ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}: want [E, N, D], [E, D, F]`);
    return { shape: [...x.shape.slice(0, 2), weight.shape[2]], dtype: x.dtype };
  },
  // Masked on both sides: a gradient meets what the empty rows hold, too.
  compose(_, x, weight, filled) {
    const holds = maskOf(filled, x);
    return where(holds, where(holds, x, 0).matmul(weight), 0);
  },
};

/** Multiplies the filled rows of each expert by its matrix: x [E, N, D], weight [E, D, F], filled [E, G] -> [E, N, F]. */
export function slotMatmul(x: Tensor, weight: Tensor, filled: Tensor): Tensor {
  return widened("slotMatmul", [x, weight, filled], (...all) => applyFused(slotMatmulFused, null, ...all));
}

const slotActivationFused: Fused<"slotActivation"> = {
  name: "slotActivation",
  type(_, x, filled, bias) {
    checkSlots("slotActivation", x, filled);
    if (bias) requireBias(x, bias);
    return { shape: x.shape, dtype: x.dtype };
  },
  compose({ activation }, x, filled, bias) {
    const holds = maskOf(filled, x);
    return where(holds, activate(where(holds, x, 0), activation, bias), 0);
  },
};

function requireBias(x: ArrayType, bias: ArrayType): void {
  requireSameDtype("slotActivation", x, bias);
  const [experts, , width] = x.shape;
  const [own, one, columns] = bias.shape;
  if (bias.shape.length !== 3 || own !== experts || one !== 1 || columns !== width)
    throw new RangeError(`slotActivation: x ${formatShape(x.shape)}, bias ${formatShape(bias.shape)}: want [E, N, F], [E, 1, F]`);
}

/** activation(x + bias) of the filled rows: x [E, N, F], filled [E, G], bias [E, 1, F] -> [E, N, F]. */
export function slotActivation(x: Tensor, filled: Tensor, activation: Activation, bias?: Tensor): Tensor {
  const inputs = bias ? [x, filled, bias] : [x, filled];
  return widened("slotActivation", inputs, (...all) => applyFused(slotActivationFused, { activation }, ...all));
}
