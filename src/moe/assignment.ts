/**
 * Assignments as fixed rounds of kernels: nothing is read back, and the same rounds run on every device. All in the logarithm,
 * where small temperatures do not underflow. Nothing here has a gradient.
 * G groups, S tokens of a group, E experts, C slots of an expert, b cap: the most experts of a token.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";

export interface AssignmentOptions {
  /** Weight of the entropy; the smaller, the nearer to the best assignment and the slower to reach it. */
  readonly temperature?: number;
  readonly rounds?: number;
}

/** Where there is no token: as good as 0, and finite, so that no difference of two is NaN. */
const NEVER = -1e9;

/**
 * A [G, E, S] with nearly the largest <scores, A> among those whose rows add up to C, whose columns to at most b, and whose
 * entries are at most 1: Dykstra's projections in turn, each with what it took off last time. Zhou et al. 2022,
 * arXiv:2202.09368, section 3.3. open [G, 1, S]: 1 for tokens. After so many rounds the sums are near, not exact.
 */
export function cappedAssignment(scores: Tensor, capacity: number, cap: number, open?: Tensor, options: AssignmentOptions = {}): Tensor {
  const { temperature = 0.03, rounds = 50 } = options;
  const start = scores.detach().div(temperature);
  let a = open ? where(open, start, NEVER) : start;
  const sets: readonly ((x: Tensor) => Tensor)[] = [
    (x) => x.sub(x.logSumExp(2, { keepDims: true })).add(Math.log(capacity)), // rows: exactly C
    (x) => x.add(x.logSumExp(1, { keepDims: true }).neg().add(Math.log(cap)).minimum(0)), // columns: at most b
    (x) => x.minimum(0), // entries: at most 1
  ];
  const taken: (Tensor | null)[] = sets.map(() => null);
  for (let round = 0; round < rounds; round++)
    sets.forEach((project, i) => {
      const before = taken[i] ? a.add(taken[i]) : a;
      a = project(before);
      taken[i] = before.sub(a);
    });
  return a.exp();
}

/**
 * P [G, S, E] = exp(u_s + h_se + v_e) whose rows add up to 1 / S and whose columns to 1 / E over the tokens that are open: Sinkhorn & Knopp
 * 1967, as S-BASE uses it: Clark et al. 2022, arXiv:2202.01169, appendix B. open [G, S, 1].
 */
export function sinkhorn(logits: Tensor, open?: Tensor, { temperature = 1, rounds = 20 }: AssignmentOptions = {}): Tensor {
  const [, size, experts] = logits.shape;
  const start = logits.detach().div(temperature);
  const count = open ? open.cast(start.dtype).sum([1, 2], { keepDims: true }).maximum(1) : null;
  const share = count ? count.log().neg() : -Math.log(Math.max(1, size));
  let p = open ? where(open, start, NEVER) : start;
  for (let round = 0; round < rounds; round++) {
    p = p.sub(p.logSumExp(1, { keepDims: true })).sub(Math.log(experts)); // columns: 1 / E
    const rows = p.sub(p.logSumExp(2, { keepDims: true })).add(share); // rows: 1 / S
    p = open ? where(open, rows, NEVER) : rows;
  }
  return p.exp();
}
