/**
 * Auxiliary losses of routers. Each is a scalar that is returned, never stored, and not yet multiplied by its coefficient.
 * With a mask (1 for tokens, 0 for padding) the result is that of the same tokens without padding.
 *
 * R scopes over which a loss is computed (one: the batch; or one per sequence), L tokens of a scope, E experts, K choices.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { check, checkOptions, optional, tensorOf } from "./arguments.ts";
import type { BalanceScope } from "./grouping.ts";

/** The losses "balance" and "z", which every router can add whose tokens choose experts. */
export interface RouterLossOptions {
  /** Coefficient of the load-balancing loss, `loadBalance`; 0: none. */
  readonly balance?: number;
  /** The tokens over which f and P of the load-balancing loss are taken. Default "batch". */
  readonly balanceScope?: BalanceScope;
  /** Coefficient of the router z-loss, `zLoss`; 0: none. */
  readonly zLoss?: number;
}

/** What the load-balancing loss is computed from. */
export interface BalanceInput {
  /** [R, L, K] int32, before capacity; -1 where no choice was made. */
  readonly expertOfChoice: Tensor;
  /** [R, L, E], each row the distribution over all experts. */
  readonly probs: Tensor;
  /** [R, L]: 1 for tokens, 0 for padding. */
  readonly mask?: Tensor | undefined;
}

/**
 * The load-balancing loss E sum_e f_e P_e, averaged over scopes that have a token: f is the share of choices that fell on expert e, counted
 * before capacity and without gradient, P_e the mean probability of e. It is 1 where f is uniform, and where every token's probabilities are;
 * it is E, the largest value, where all tokens choose one expert with probability 1; between these it can be below 1. Fedus et al. 2021,
 * arXiv:2101.03961, eq. 4-6, with f divided by K. The result is a scalar. Throws for tensors of other shapes.
 */
export function loadBalance(input: BalanceInput): Tensor {
  checkOptions<BalanceInput>("loadBalance", input, {
    expertOfChoice: tensorOf("R, L, K"),
    probs: tensorOf("R, L, E"),
    mask: optional(tensorOf("R, L")),
  });
  const { expertOfChoice, probs, mask } = input;
  requireScopes("loadBalance", "probs", probs, expertOfChoice);
  requireScopes("loadBalance", "mask", mask, expertOfChoice);
  const [scopes, length, choices] = expertOfChoice.shape;
  const experts = probs.shape[2];
  const counts = expertOfChoice.reshape([scopes, length * choices]).bincount(experts);
  const f = perToken(counts.cast(probs.dtype).mul(1 / choices), length, mask); // [R, E]
  const p = perToken(masked(probs, mask).sum(1), length, mask); // [R, E]
  return overScopes(f.mul(p).sum(1).mul(experts), mask);
}

/**
 * The router z-loss: the mean over the tokens of all scopes of (log sum_e exp h_e)^2. It keeps logits small. logits [R, L, E]; mask [R, L]. The
 * result is a scalar. Zoph et al. 2022, arXiv:2202.08906, eq. 5.
 */
export function zLoss(logits: Tensor, mask?: Tensor): Tensor {
  checkLogits("zLoss", "logits", logits, mask);
  const squared = logits.logSumExp(-1, { keepDims: true }).square(); // [R, L, 1]
  const sum = masked(squared, mask).sum();
  return mask ? sum.div(mask.cast(sum.dtype).sum().maximum(1)) : sum.mul(1 / Math.max(1, squared.size));
}

/**
 * CV^2, the squared coefficient of variation of each row of v [R, E], averaged over rows: variance / mean^2, with population variance, and 0 for
 * a row of zeros. For numbers of 0 or more it is between 0 (all equal) and E - 1 (one has all). Shazeer et al. 2017, arXiv:1701.06538, eq. 7.
 * Throws for any other number of axes.
 */
export function squaredVariation(v: Tensor): Tensor {
  check("squaredVariation", "v", v, tensorOf("R, E"));
  return overScopes(variationOf(v), undefined);
}

/**
 * The importance loss before its coefficient: CV^2 of the gates that each expert got, summed over tokens, averaged over scopes that have a
 * token. gates [R, L, E], 0 where an expert was not chosen. Shazeer et al. 2017, arXiv:1701.06538, eq. 6-7.
 */
export function importanceLoss(gates: Tensor, mask?: Tensor): Tensor {
  checkLogits("importanceLoss", "gates", gates, mask);
  return overScopes(variationOf(masked(gates, mask).sum(1)), mask);
}

/**
 * The load loss before its coefficient: CV^2 of the expected number of tokens of each expert, averaged over scopes that have a token.
 * probability [R, L, E] that a token takes the expert, as `loadProbability` computes it. Shazeer et al. 2017, arXiv:1701.06538, eq. 11.
 */
export function loadLoss(probability: Tensor, mask?: Tensor): Tensor {
  checkLogits("loadLoss", "probability", probability, mask);
  return overScopes(variationOf(masked(probability, mask).sum(1)), mask);
}

/** [R, E] -> [R] */
function variationOf(v: Tensor): Tensor {
  const mean = v.mean(-1, { keepDims: true });
  const none = mean.equal(0);
  return where(none, 0, v.div(where(none, 1, mean))).variance(-1);
}

function checkLogits(where_: string, name: string, x: Tensor, mask: Tensor | undefined): void {
  check(where_, name, x, tensorOf("R, L, E"));
  check(where_, "mask", mask, optional(tensorOf("R, L")));
  requireScopes(where_, "mask", mask, x);
}

/** Two tensors of the same scopes and tokens. */
function requireScopes(where_: string, name: string, given: Tensor | undefined, like: Tensor): void {
  const [scopes, length] = like.shape;
  if (given && (given.shape[0] !== scopes || given.shape[1] !== length))
    throw new RangeError(`${where_}: ${name} [${given.shape.join(", ")}]: want one entry for each of ${scopes} x ${length} tokens`);
}

/** x [R, L, n] with the rows of padding zeroed; selected, not multiplied, so that a NaN in padding is zeroed too. */
export function masked(x: Tensor, mask?: Tensor): Tensor {
  return mask ? where(mask.cast(x.dtype).unsqueeze(2), x, 0) : x;
}

/** Sums [R, n] divided by the number of tokens of each scope: `length`, or those of the mask. A scope without tokens keeps its 0. */
function perToken(sums: Tensor, length: number, mask?: Tensor): Tensor {
  if (!mask) return sums.mul(1 / Math.max(1, length));
  return sums.div(mask.cast(sums.dtype).sum(1, { keepDims: true }).maximum(1));
}

/** The mean of [R] over the scopes that have a token; 0 where there is none. */
function overScopes(losses: Tensor, mask?: Tensor): Tensor {
  if (!mask) return losses.size === 0 ? losses.sum() : losses.mean();
  const used = mask.cast(losses.dtype).sum(1).greater(0);
  return losses.sum().div(used.sum().maximum(1));
}
