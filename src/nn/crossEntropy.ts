/** Cross-entropy. R rows, V classes. */
import { aTensor, check, checkOptions, finite, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { where } from "../autograd/operations.ts";
import type { Fused } from "../autograd/fused.ts";
import { requireFloat } from "../autograd/arguments.ts";
import { axisOf } from "../autograd/axes.ts";
import { applyFused } from "../autograd/fused.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** How the losses of all rows become one; "none" returns them all. */
export type Reduction = "mean" | "sum" | "none";
export const aReduction: Kind = oneOf("mean", "sum", "none");

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** The axis of the classes; default the last. */
  readonly axis?: number;
  /** Rows with this target cost nothing and do not count. Default -100. */
  readonly ignoreIndex?: number;
  /** The share of each target that is spread evenly over all classes. Default 0. Szegedy et al. 2015, arXiv:1512.00567, section 7. */
  readonly labelSmoothing?: number;
  /** [V]: the weight of each class. Default: 1 for each. */
  readonly weight?: Tensor;
  /** "mean" divides by the sum of the weights of the rows' targets; without weights, by the number of rows. Default "mean". */
  readonly reduction?: Reduction;
}

const kinds: Kinds<CrossEntropyOptions> = {
  axis: optional(whole(-Number.MAX_SAFE_INTEGER)),
  ignoreIndex: optional(whole(-(2 ** 31), 2 ** 31 - 1)),
  labelSmoothing: optional(finite(0, 1)),
  weight: optional(aTensor),
  reduction: optional(aReduction),
};

const crossEntropyFused: Fused<"crossEntropy"> = {
  name: "crossEntropy",
  type: (_, logits) => ({ shape: logits.shape.slice(0, 1), dtype: logits.dtype }),
  compose: ({ ignoreIndex }, logits, target) => pickTarget(logits.logSoftmax(-1), target, ignoreIndex).neg(),
};

/** x [R, V], target [R] -> x[r, target[r]], and 0 where the target is ignored. */
function pickTarget(x: Tensor, target: Tensor, ignoreIndex: number): Tensor {
  const ignored = target.equal(ignoreIndex);
  return where(ignored, 0, x.takeAlong(where(ignored, 0, target).unsqueeze(1)).squeeze(1));
}

/**
 * Cross-entropy: -log softmax(logits)[target], in nats and at least float32. Targets are class ids (int32, the logits' shape without
 * the class axis) or probabilities (the logits' shape). Semantics of torch.nn.functional.cross_entropy, except that the mean over no rows is 0,
 * and that a class with weight or probability 0 costs 0 even where its log-probability is -Infinity. Throws for shapes that do not fit, and for
 * a target outside 0 to V - 1 where the host knows the targets.
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  check("crossEntropy", "logits", logits, aTensor);
  check("crossEntropy", "target", target, aTensor);
  checkOptions("crossEntropy", options, kinds);
  requireFloat("crossEntropy", logits);
  const axis = axisOf("crossEntropy", options.axis ?? -1, logits);
  checkWeight(options, logits.shape[axis]);
  const others = logits.shape.flatMap((_, i) => (i === axis ? [] : [i]));
  const shape = others.map((i) => logits.shape[i]);
  const soft = target.dtype !== "int32";
  if (!sameShape(target.shape, soft ? logits.shape : shape))
    throw new RangeError(
      `crossEntropy: logits ${formatShape(logits.shape)} with classes along axis ${axis} want targets ${formatShape(shape)} int32 or probabilities of their own shape, given ${target.label}`,
    );
  const asRows = (x: Tensor): Tensor =>
    x
      .permute([...others, axis])
      .reshape([-1, x.shape[axis]])
      .atLeast("float32");
  const rows = asRows(logits); // [R, V]
  const { losses, count } = soft ? byProbability(rows, asRows(target), options) : byClass(rows, target.reshape([-1]), options);
  return reduced(losses, shape, count, options.reduction ?? "mean");
}

interface RowLosses {
  /** [R] */
  readonly losses: Tensor;
  /** What the mean divides by. */
  count(): Tensor | number;
}

function byClass(logits: Tensor, target: Tensor, { ignoreIndex = -100, labelSmoothing = 0, weight }: CrossEntropyOptions): RowLosses {
  checkTargets(target, logits.shape[1], ignoreIndex);
  if (!weight && !labelSmoothing)
    return { losses: applyFused(crossEntropyFused, { ignoreIndex }, logits, target), count: () => counted(target, ignoreIndex) };
  const logProbs = logits.logSoftmax(-1);
  const weighted = weight ? weigh(weight, logProbs) : logProbs; // [R, V]
  const ignored = target.equal(ignoreIndex);
  const sharp = weigh(labelSmoothing - 1, pickTarget(weighted, target, ignoreIndex)); // where its weight is 0, this checks the targets
  const even = (): Tensor => where(ignored, 0, weighted.mean(-1)).mul(-labelSmoothing);
  return {
    losses: labelSmoothing === 0 ? sharp : sharp.add(even()),
    count: () => (weight ? where(ignored, 0, weight.takeRows(where(ignored, 0, target))).sum() : counted(target, ignoreIndex)),
  };
}

function byProbability(logits: Tensor, target: Tensor, { labelSmoothing = 0, weight }: CrossEntropyOptions): RowLosses {
  const [R, V] = logits.shape;
  const smooth = labelSmoothing ? target.mul(1 - labelSmoothing).add(labelSmoothing / V) : target;
  const logProbs = logits.logSoftmax(-1);
  const losses = weigh(smooth, weight ? weigh(weight, logProbs) : logProbs);
  return { losses: losses.sum(-1).neg(), count: () => R };
}

/** weight * cost, where 0 times `limit` (-Infinity, the logarithm of 0) is 0 instead of NaN, and so are its derivatives. */
export function weigh(weight: Tensor | number, cost: Tensor, limit = -Infinity): Tensor {
  if (typeof weight === "number") return (weight === 0 ? where(cost.equal(limit), 0, cost) : cost).mul(weight);
  return weight.mul(where(weight.equal(0), where(cost.equal(limit), 0, cost), cost));
}

/** The number of rows that are not ignored. */
function counted(target: Tensor, ignoreIndex: number): Tensor | number {
  if (target.host) return target.host.reduce((n, id) => n + Number(id !== ignoreIndex), 0);
  return target.notEqual(ignoreIndex).cast("float32").sum();
}

function reduced(losses: Tensor, shape: readonly number[], count: RowLosses["count"], reduction: Reduction): Tensor {
  if (reduction === "none") return losses.reshape(shape);
  const sum = losses.sum();
  if (reduction === "sum") return sum;
  const n = count();
  if (typeof n === "number") return sum.mul(n ? 1 / n : 0);
  return sum.div(where(n.equal(0), 1, n).cast(sum.dtype));
}

function checkWeight({ weight }: CrossEntropyOptions, classes: number): void {
  if (weight && !sameShape(weight.shape, [classes]))
    throw new RangeError(`crossEntropy: weight ${formatShape(weight.shape)} for ${classes} classes: want [${classes}]`);
}

function checkTargets({ host }: Tensor, classes: number, ignoreIndex: number): void {
  const at = host?.findIndex((id) => id !== ignoreIndex && (id < 0 || id >= classes)) ?? -1;
  if (host && at >= 0)
    throw new RangeError(`crossEntropy: target ${host[at]} at ${at} is outside 0 to ${classes - 1} and not the ignored ${ignoreIndex}`);
}
