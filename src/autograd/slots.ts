/**
 * Products and activations of slots. E experts have N = G C rows each; filled [E, G] int32 says how many of each C hold a token: the first ones.
 * The others are not read, and their results are zeros: a device that can look at the counts does not compute them. D and F widths.
 */
import type { Activation, ArrayType } from "../backend/backend.ts";
import { formatShape, sameShape } from "../backend/shape.ts";
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

function checkSlots(x: ArrayType, filled: ArrayType): void {
  requireFloat("slotProduct", x);
  requireInt("slotProduct", "filled", filled);
  const [experts, rows] = x.shape;
  const [counted, groups] = filled.shape;
  if (x.shape.length !== 3 || filled.shape.length !== 2 || counted !== experts || (groups === 0 ? rows > 0 : rows % groups !== 0))
    throw new RangeError(`slotProduct: x ${formatShape(x.shape)}, filled ${formatShape(filled.shape)}: want [E, G C, D], [E, G]`);
}

const slotProductFused: Fused<"slotProduct"> = {
  name: "slotProduct",
  type(_, x, weight, filled, bias) {
    checkSlots(x, filled);
    requireSameDtype("slotProduct", x, weight);
    const [experts, rows, width] = x.shape;
    if (weight.shape.length !== 3 || weight.shape[0] !== experts || weight.shape[1] !== width)
      throw new RangeError(`slotProduct: x ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}: want [E, N, D], [E, D, F]`);
    if (bias) requireBias(weight, bias);
    return { shape: [experts, rows, weight.shape[2]], dtype: x.dtype };
  },
  // Masked before and after the product: what empty rows hold reaches neither the result nor a gradient.
  compose({ activation }, x, weight, filled, bias) {
    const holds = maskOf(filled, x);
    const product = where(holds, x, 0).matmul(weight);
    return where(holds, activation ? activate(product, activation, bias) : product, 0);
  },
};

function requireBias(weight: ArrayType, bias: ArrayType): void {
  requireSameDtype("slotProduct", weight, bias);
  if (!sameShape(bias.shape, [weight.shape[0], 1, weight.shape[2]]))
    throw new RangeError(`slotProduct: weight ${formatShape(weight.shape)}, bias ${formatShape(bias.shape)}: want [E, D, F], [E, 1, F]`);
}

/** Multiplies the filled rows of each expert by its matrix: x [E, N, D], weight [E, D, F], filled [E, G] -> [E, N, F]. */
export function slotMatmul(x: Tensor, weight: Tensor, filled: Tensor): Tensor {
  return widened("slotProduct", [x, weight, filled], (...all) => applyFused(slotProductFused, { activation: null }, ...all));
}

/** activation(x weight + bias) of the filled rows: x [E, N, D], weight [E, D, F], filled [E, G], bias [E, 1, F] -> [E, N, F]. */
export function slotActivation(x: Tensor, weight: Tensor, filled: Tensor, activation: Activation, bias?: Tensor): Tensor {
  const inputs = [x, weight, filled, ...(bias ? [bias] : [])];
  return widened("slotProduct", inputs, (...all) => applyFused(slotProductFused, { activation }, ...all));
}
