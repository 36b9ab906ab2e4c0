/**
 * Auxiliary losses of routers. Each is a scalar that is returned, never stored, and not yet scaled by its coefficient.
 * A mask (1 for tokens, 0 for padding) makes them what they would be without the padding.
 *
 * R scopes over which a loss is computed (one: the batch; or one per sequence), L tokens of a scope, E experts, K choices.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";

export interface BalanceInput {
  /** [R, L, K] int32, before capacity; -1 where no choice was made. */
  readonly expertOfChoice: Tensor;
  /** [R, L, E], each row the whole distribution. */
  readonly probs: Tensor;
  /** [R, L] */
  readonly mask?: Tensor | undefined;
}

/**
 * E sum_e f_e P_e, the mean over scopes: f the share of choices that fell on e, counted before capacity and without gradient, P the
 * mean probability of e. Fedus et al. 2021, arXiv:2101.03961, eq. 4-6, with f divided by K for more choices than one.
 * 1 where f or all rows of P are uniform, E where all tokens surely take one expert; in between it may go below 1.
 */
export function loadBalance({ expertOfChoice, probs, mask }: BalanceInput): Tensor {
  const [scopes, length, choices] = expertOfChoice.shape;
  const experts = probs.shape[2];
  const counts = expertOfChoice.reshape([scopes, length * choices]).bincount(experts);
  const f = perToken(counts.cast(probs.dtype).mul(1 / choices), length, mask); // [R, E]
  const p = perToken(masked(probs, mask).sum(1), length, mask); // [R, E]
  return overScopes(f.mul(p).sum(1).mul(experts), mask);
}

/** Mean over tokens of (log sum_e exp h_e)^2. Zoph et al. 2022, arXiv:2202.08906, eq. 5. logits [R, L, E]. */
export function zLoss(logits: Tensor, mask?: Tensor): Tensor {
  const squared = logits.logSumExp(-1, { keepDims: true }).square(); // [R, L, 1]
  return overScopes(perToken(masked(squared, mask).sum(1), logits.shape[1], mask), mask);
}

/** The squared coefficient of variation, with population variance; 0 for v = 0. Shazeer et al. 2017, arXiv:1701.06538, eq. 7. v [R, E] */
export function squaredVariation(v: Tensor): Tensor {
  const mean = v.mean(-1, { keepDims: true });
  const none = mean.equal(0);
  return where(none, 0, v.div(where(none, 1, mean)))
    .variance(-1)
    .mean();
}

/** CV^2 of the gates summed over tokens. Shazeer et al. 2017, eq. 6-7. gates [R, L, E], 0 where an expert was not chosen. */
export function importanceLoss(gates: Tensor, mask?: Tensor): Tensor {
  return squaredVariation(masked(gates, mask).sum(1));
}

/** CV^2 of the expected load. Shazeer et al. 2017, appendix A, eq. 11. probability [R, L, E] that a token takes the expert. */
export function loadLoss(probability: Tensor, mask?: Tensor): Tensor {
  return squaredVariation(masked(probability, mask).sum(1));
}

/** x [R, L, n] with the rows of padding zeroed; by a select, so that what padding holds (NaN too) stays out. */
export function masked(x: Tensor, mask?: Tensor): Tensor {
  return mask ? where(mask.cast(x.dtype).unsqueeze(2), x, 0) : x;
}

/** Sums [R, n] over `length` tokens of each scope, or those of the mask, by their number; a scope without tokens keeps its 0. */
function perToken(sums: Tensor, length: number, mask?: Tensor): Tensor {
  if (!mask) return sums.mul(1 / Math.max(1, length));
  return sums.div(mask.cast(sums.dtype).sum(1, { keepDims: true }).maximum(1));
}

/** The mean over scopes, [R] or [R, 1], that have a token. */
function overScopes(losses: Tensor, mask?: Tensor): Tensor {
  if (!mask) return losses.mean();
  const used = mask.cast(losses.dtype).max(1);
  return losses.sum().div(used.sum().maximum(1));
}
