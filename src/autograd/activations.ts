/** Activation functions, and choices between elements: clamp, masked fill, dropout. */
import type { Activation } from "../backend/backend.ts";
import { broadcastShapes, formatShape, sizeOf } from "../backend/shape.ts";
import { widened } from "./apply.ts";
import {
  aBound,
  aKey,
  aTensor,
  check,
  number,
  optional,
  rate as aRate,
  requireFloat,
  requireOneOf,
  requireSameDtype,
  requireTensor,
} from "./arguments.ts";
import { constant } from "./constants.ts";
import type { Fused } from "./fused.ts";
import { applyFused } from "./fused.ts";
import type { Key } from "./key.ts";
import { uniformMask } from "./masks.ts";
import { where } from "./operations.ts";
import type { Tensor } from "./tensor.ts";

/** activation(x + bias) in one pass where the device has it. Without bias: activation(x). */
const biasActivationFused: Fused<"biasActivation"> = {
  name: "biasActivation",
  type: (_, x) => ({ shape: x.shape, dtype: x.dtype }),
  compose({ activation }, x, bias) {
    const y = bias ? x.add(bias) : x;
    if (activation === "relu") return y.relu();
    if (activation === "silu") return y.mul(y.sigmoid());
    return activation === "gelu" ? y.mul(y.normalCdf()) : y.mul(geluTanhGate(y));
  },
};

/** 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Hendrycks & Gimpel 2016, section 2. */
function geluTanhGate(x: Tensor): Tensor {
  const inner = x.mul(x.square().mul(0.044715).add(1)).mul(Math.sqrt(2 / Math.PI));
  return inner.tanh().add(1).mul(0.5);
}

export function silu(x: Tensor): Tensor {
  return activate(x, "silu");
}

export function gelu(x: Tensor, approximate: "none" | "tanh"): Tensor {
  requireOneOf("gelu", "approximation", approximate, ["none", "tanh"]);
  return activate(x, approximate === "none" ? "gelu" : "geluTanh");
}

const activations: readonly Activation[] = ["relu", "gelu", "geluTanh", "silu"];

/**
 * Applies an activation function to x + bias, in one pass where the device can: x [..., D], bias [D] or anything that stretches to x.
 * Float dtypes only. Throws for a name that is none of "relu", "gelu", "geluTanh" and "silu".
 */
export function activate(x: Tensor, activation: Activation, bias?: Tensor): Tensor {
  requireTensor("activate", x);
  check("activate", "bias", bias, optional(aTensor));
  requireOneOf("activate", "activation", activation, activations);
  requireFloat(activation, x);
  if (bias) {
    requireSameDtype(activation, x, bias);
    broadcastsTo(activation, bias, x);
  }
  return widened(activation, bias ? [x, bias] : [x], (...all) => applyFused(biasActivationFused, { activation }, ...all));
}

function broadcastsTo(operation: string, small: Tensor, x: Tensor): void {
  const shape = broadcastShapes(small.shape, x.shape);
  if (!shape || shape.length !== x.shape.length || sizeOf(shape) !== x.size)
    throw new RangeError(`${operation}: ${formatShape(small.shape)} does not stretch to ${formatShape(x.shape)}`);
}

/** Unlike `where`, it never stretches x to the mask: the result has the shape of x. */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  requireTensor("maskedFill", mask, "mask");
  check("maskedFill", "value", value, number);
  broadcastsTo("maskedFill", mask, x);
  return where(mask, constant(value, x, "maskedFill"), x);
}

const atLeast = (x: Tensor, least: Tensor): Tensor => where(x.less(least), least, x);

export function clamp(x: Tensor, min: number, max: number): Tensor {
  check("clamp", "min", min, aBound);
  check("clamp", "max", max, aBound);
  const raised = min === -Infinity ? x : atLeast(x, constant(min, x, "clamp")); // integers have no infinity
  if (max === Infinity) return raised;
  const most = constant(max, x, "clamp");
  return where(raised.greater(most), most, raised);
}

export function dropout(x: Tensor, rate: number, key: Key): Tensor {
  check("dropout", "rate", rate, aRate);
  check("dropout", "key", key, aKey);
  requireFloat("dropout", x);
  if (rate === 0) return x;
  return widened("dropout", [x], (y) => y.mul(uniformMask(y, rate, key)));
}
