/** Losses between predictions and targets of one shape. Semantics of torch.nn.functional, where it has them. */
import { aTensor, check, checkOptions, finite, flag, oneOf, optional, positive, requireFloat, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { broadcastShapes, formatShape, sameShape } from "../autograd/contract.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Reduction } from "./crossEntropy.ts";
import { aReduction, crossEntropy, weigh } from "./crossEntropy.ts";

/** Options of every loss between equal shapes. */
export interface LossOptions {
  /** Default "mean": over all elements. */
  readonly reduction?: Reduction;
}

const kinds: Kinds<LossOptions> = { reduction: optional(aReduction) };

/** Both in at least float32. Throws where their shapes differ. */
function pair(operation: string, x: Tensor, target: Tensor): [Tensor, Tensor] {
  check(operation, "x", x, aTensor);
  check(operation, "target", target, aTensor);
  requireFloat(operation, x);
  requireFloat(operation, target);
  if (!sameShape(x.shape, target.shape))
    throw new RangeError(
      `${operation}: prediction ${formatShape(x.shape)} and target ${formatShape(target.shape)} differ; losses do not broadcast`,
    );
  return [x.atLeast("float32"), target.atLeast("float32")];
}

function reduce(losses: Tensor, reduction: Reduction = "mean"): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? losses.sum() : losses.mean();
}

/** Squared error: (x - target)^2, its mean unless another reduction is given. Throws where the shapes differ. */
export function mseLoss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const [y, t] = pair("mseLoss", x, target);
  checkOptions("mseLoss", options, kinds);
  return reduce(y.sub(t).square(), options.reduction);
}

/** Absolute error: |x - target|, with gradient 0 where they are equal. Throws where the shapes differ. */
export function l1Loss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const [y, t] = pair("l1Loss", x, target);
  checkOptions("l1Loss", options, kinds);
  return reduce(y.sub(t).abs(), options.reduction);
}

/**
 * Huber's loss of d = x - target: d^2 / 2 up to |d| = delta (1 unless another one is given), then delta (|d| - delta / 2). Huber 1964.
 * Throws where the shapes differ, and for a delta of 0 or less.
 */
export function huberLoss(x: Tensor, target: Tensor, options: LossOptions & { readonly delta?: number } = {}): Tensor {
  const [y, t] = pair("huberLoss", x, target);
  checkOptions("huberLoss", options, { ...kinds, delta: optional(positive) });
  const { reduction, delta = 1 } = options;
  const d = y.sub(t);
  const near = d.clamp(-delta, delta);
  // near (d - near / 2) is d^2 / 2 up to |d| = delta and delta (|d| - delta / 2) beyond; its gradient is near, to any order.
  return reduce(near.mul(d.sub(near.mul(0.5))), reduction);
}

/** Options of `bceWithLogits`. */
export interface BceOptions extends LossOptions {
  /** Broadcasts to x: the weight of a positive target. */
  readonly posWeight?: Tensor;
}

/**
 * Binary cross-entropy of logits: -(w t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), w being posWeight; finite for every finite x.
 * Throws where the shapes differ, and for a posWeight that does not broadcast to them.
 */
export function bceWithLogits(x: Tensor, target: Tensor, options: BceOptions = {}): Tensor {
  const [y, t] = pair("bceWithLogits", x, target);
  checkOptions("bceWithLogits", options, { ...kinds, posWeight: optional(aTensor) });
  const { reduction, posWeight } = options;
  if (posWeight && !sameShape(broadcastShapes(posWeight.shape, y.shape) ?? [], y.shape))
    throw new RangeError(`bceWithLogits: posWeight ${formatShape(posWeight.shape)} does not stretch to ${formatShape(y.shape)}`);
  const positive = weigh(t, y.neg().softplus(), Infinity);
  const negative = weigh(t.neg().add(1), y.softplus(), Infinity);
  return reduce((posWeight ? weigh(posWeight, positive, Infinity) : positive).add(negative), reduction);
}

/** Options of `klDivergence`. */
export interface KlOptions {
  /** "batchMean" divides the sum by the size of the first axis, which makes it the divergence of distributions. Default. */
  readonly reduction?: Reduction | "batchMean";
  /** Whether the target is given as log-probabilities. Default false. */
  readonly logTarget?: boolean;
}

/**
 * Kullback-Leibler divergence KL(target || x) = target (log target - x), where x are log-probabilities. A target of 0 costs 0, even
 * where x is -Infinity. Throws where the shapes differ. Kullback & Leibler 1951.
 */
export function klDivergence(x: Tensor, target: Tensor, options: KlOptions = {}): Tensor {
  const [y, t] = pair("klDivergence", x, target);
  checkOptions("klDivergence", options, klKinds);
  const { reduction = "batchMean", logTarget = false } = options;
  // A log-probability of -Infinity has probability 0 and costs 0; -Infinity - -Infinity would be NaN.
  const losses = logTarget ? t.exp().mul(where(t.equal(-Infinity), 0, t.sub(y))) : xLogX(t).sub(weigh(t, y));
  return reduction === "batchMean" ? losses.sum().mul(1 / (x.shape[0] || 1)) : reduce(losses, reduction);
}

const klKinds: Kinds<KlOptions> = {
  reduction: optional(oneOf("batchMean", "mean", "sum", "none")),
  logTarget: optional(flag),
};

function xLogX(x: Tensor): Tensor {
  const none = x.lessEqual(0);
  return where(none, 0, x.mul(where(none, 1, x).log()));
}

/** Options of `distillationLoss`. */
export interface DistillationOptions {
  /** Weight of the teacher's probabilities; the labels have the rest. Default 0.25. */
  readonly share?: number;
  /** Rows with this target cost nothing and do not count, as in `crossEntropy`. Default -100. */
  readonly ignoreIndex?: number;
}

const distillationKinds: Kinds<DistillationOptions> = {
  share: optional(finite(0, 1)),
  ignoreIndex: optional(whole(-(2 ** 31), 2 ** 31 - 1)),
};

/**
 * The loss of a student that learns from a teacher and from labels:
 * share CE(student, teacher's probabilities) + (1 - share) CE(student, labels), both means over the rows that are not ignored. A part with weight 0
 * is left out. student and teacher are logits [..., V], target [...] int32; no gradient reaches the teacher. Fedus et al. 2021, arXiv:2101.03961,
 * section 4.2: 0.25 and 0.75. Throws for shapes that do not fit.
 */
export function distillationLoss(student: Tensor, teacher: Tensor, target: Tensor, options: DistillationOptions = {}): Tensor {
  const [x, t] = pair("distillationLoss", student, teacher);
  check("distillationLoss", "labels", target, aTensor);
  checkOptions("distillationLoss", options, distillationKinds);
  const { share = 0.25, ignoreIndex = -100 } = options;
  const V = x.shape[x.shape.length - 1];
  if (!sameShape(target.shape, x.shape.slice(0, -1)))
    throw new RangeError(`distillationLoss: target ${formatShape(target.shape)} beside logits ${formatShape(x.shape)}`);
  const fromLabels = crossEntropy(x.reshape([-1, V]), target.reshape([-1]), { ignoreIndex }); // where they weigh nothing, this checks them
  if (share === 0) return fromLabels;
  const counts = target.reshape([-1]).notEqual(ignoreIndex); // [R]
  const perRow = crossEntropy(x, t.detach().softmax(-1), { reduction: "none" }).reshape([-1]);
  const fromTeacher = where(counts, perRow, 0).sum().div(counts.cast(x.dtype).sum().maximum(1));
  return share === 1 ? fromTeacher : fromTeacher.mul(share).add(fromLabels.mul(1 - share));
}
