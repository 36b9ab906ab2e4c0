/** Losses between predictions and targets of one shape. Semantics of torch.nn.functional, where it has them. */
import { broadcastShapes, formatShape, sameShape } from "../autograd/contract.ts";
import { where } from "../autograd/operations.ts";
import { requireFloat, requireOneOf, requireTensor } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Reduction } from "./crossEntropy.ts";
import { crossEntropy, reductions, weigh } from "./crossEntropy.ts";

export interface LossOptions {
  /** Default "mean": over all elements. */
  readonly reduction?: Reduction;
}

/** Losses never see bfloat16, and never broadcast. */
function pair(operation: string, x: Tensor, target: Tensor): [Tensor, Tensor] {
  requireTensor(operation, target);
  requireFloat(operation, x);
  requireFloat(operation, target);
  if (!sameShape(x.shape, target.shape))
    throw new RangeError(
      `${operation}: prediction ${formatShape(x.shape)} and target ${formatShape(target.shape)} differ; losses do not broadcast`,
    );
  return [x.atLeast("float32"), target.atLeast("float32")];
}

function reduce(operation: string, losses: Tensor, reduction: Reduction = "mean"): Tensor {
  requireOneOf(operation, "reduction", reduction, reductions);
  if (reduction === "none") return losses;
  return reduction === "sum" ? losses.sum() : losses.mean();
}

/** (x - target)^2 */
export function mseLoss(x: Tensor, target: Tensor, { reduction }: LossOptions = {}): Tensor {
  const [y, t] = pair("mseLoss", x, target);
  return reduce("mseLoss", y.sub(t).square(), reduction);
}

/** |x - target|, with gradient 0 where they are equal. */
export function l1Loss(x: Tensor, target: Tensor, { reduction }: LossOptions = {}): Tensor {
  const [y, t] = pair("l1Loss", x, target);
  return reduce("l1Loss", y.sub(t).abs(), reduction);
}

/** d^2 / 2 up to |d| = delta, then delta (|d| - delta / 2). Huber 1964. */
export function huberLoss(x: Tensor, target: Tensor, { reduction, delta = 1 }: LossOptions & { readonly delta?: number } = {}): Tensor {
  if (!(delta > 0)) throw new RangeError(`huberLoss: delta ${delta} is not above 0`);
  const [y, t] = pair("huberLoss", x, target);
  const d = y.sub(t);
  const near = d.clamp(-delta, delta);
  // near (d - near / 2) is d^2 / 2 inside and delta (|d| - delta / 2) outside; its gradient is near, to any order.
  return reduce("huberLoss", near.mul(d.sub(near.mul(0.5))), reduction);
}

export interface BceOptions extends LossOptions {
  /** Broadcasts to x: what a positive target counts. */
  readonly posWeight?: Tensor;
}

/** -(w t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), stable for any x. */
export function bceWithLogits(x: Tensor, target: Tensor, { reduction, posWeight }: BceOptions = {}): Tensor {
  const [y, t] = pair("bceWithLogits", x, target);
  if (posWeight && !sameShape(broadcastShapes(posWeight.shape, y.shape) ?? [], y.shape))
    throw new RangeError(`bceWithLogits: posWeight ${formatShape(posWeight.shape)} does not stretch to ${formatShape(y.shape)}`);
  const positive = weigh(t, y.neg().softplus(), Infinity);
  const negative = weigh(t.neg().add(1), y.softplus(), Infinity);
  return reduce("bceWithLogits", (posWeight ? weigh(posWeight, positive, Infinity) : positive).add(negative), reduction);
}

export interface KlOptions {
  /** "batchMean" divides the sum by the size of the first axis, which makes it the divergence of distributions. Default. */
  readonly reduction?: Reduction | "batchMean";
  /** Whether the target is given as log-probabilities. */
  readonly logTarget?: boolean;
}

/** KL(target || x) = target (log target - x), x log-probabilities; a target of 0 costs 0. */
export function klDivergence(x: Tensor, target: Tensor, { reduction = "batchMean", logTarget = false }: KlOptions = {}): Tensor {
  const [y, t] = pair("klDivergence", x, target);
  requireOneOf("klDivergence", "reduction", reduction, ["batchMean", ...reductions]);
  // A log-probability of -Infinity has probability 0; its difference to another -Infinity is no number.
  const losses = logTarget ? t.exp().mul(where(t.equal(-Infinity), 0, t.sub(y))) : xLogX(t).sub(weigh(t, y));
  return reduction === "batchMean" ? losses.sum().mul(1 / Math.max(1, x.shape[0] ?? 1)) : reduce("klDivergence", losses, reduction);
}

function xLogX(x: Tensor): Tensor {
  const none = x.lessEqual(0);
  return where(none, 0, x.mul(where(none, 1, x).log()));
}

export interface DistillationOptions {
  /** Weight of the teacher's probabilities; the labels have the rest. Default 0.25. */
  readonly share?: number;
  /** Targets to leave out, as in crossEntropy. */
  readonly ignoreIndex?: number;
}

/**
 * share CE(student, teacher's probabilities) + (1 - share) CE(student, labels), both means over the rows that are not ignored.
 * Fedus et al. 2021, arXiv:2101.03961, section 4.2: 0.25 and 0.75. logits [..., V], target [...] int32; the teacher is a constant.
 */
export function distillationLoss(
  student: Tensor,
  teacher: Tensor,
  target: Tensor,
  { share = 0.25, ignoreIndex = -100 }: DistillationOptions = {},
): Tensor {
  if (!(share >= 0 && share <= 1)) throw new RangeError(`distillationLoss: share ${share} is not in [0, 1]`);
  const [x, t] = pair("distillationLoss", student, teacher);
  const V = x.shape[x.shape.length - 1];
  if (!sameShape(target.shape, x.shape.slice(0, -1)))
    throw new RangeError(`distillationLoss: target ${formatShape(target.shape)} beside logits ${formatShape(x.shape)}`);
  const counts = target.reshape([-1]).notEqual(ignoreIndex); // [T]
  const fromTeacher = (): Tensor => {
    const losses = crossEntropy(x, t.detach().softmax(-1), { reduction: "none" }).reshape([-1]);
    return where(counts, losses, 0).sum().div(counts.cast(x.dtype).sum().maximum(1));
  };
  const fromLabels = (): Tensor => crossEntropy(x.reshape([-1, V]), target.reshape([-1]), { ignoreIndex });
  if (share === 0) return fromLabels();
  return share === 1
    ? fromTeacher()
    : fromTeacher()
        .mul(share)
        .add(fromLabels().mul(1 - share));
}
