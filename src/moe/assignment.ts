/**
 * Assignments of tokens to experts by a fixed number of rounds, so that nothing is read back and every device does the same. They compute
 * logarithms, so that small temperatures do not underflow. Nothing here has a gradient.
 * G groups, S tokens of a group, E experts, C slots of an expert, b cap: the most experts of a token.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Kind, Kinds } from "./arguments.ts";
import { check, checkOptions, count, optional, positive, tensorOf, whole } from "./arguments.ts";

/** Options of an assignment by rounds. */
export interface AssignmentOptions {
  /** Weight of the entropy: a smaller one comes nearer to the best assignment and needs more rounds. Default 0.03 for Dykstra, 1 for Sinkhorn. */
  readonly temperature?: number;
  /** Default 50 for Dykstra, 20 for Sinkhorn; at most 100,000. */
  readonly rounds?: number;
}

export const assignmentKinds: Kinds<AssignmentOptions> = { temperature: optional(positive), rounds: optional(whole(0, 100_000)) };

export const anAssignment: Kind = {
  wanted: "an object with temperature, rounds or both",
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    Object.entries(value).every(([name, option]) => {
      const kind = new Map(Object.entries<Kind>(assignmentKinds)).get(name);
      return kind !== undefined && (option === undefined || kind.accepts(option));
    }),
};

/** Stands for the logarithm of 0 in entries of padding: its exp is 0, and differences of two such entries are not NaN, as -Infinity's are. */
const NEVER = -1e9;

/**
 * Expert Choice with a cap: A [G, E, S] with nearly the largest sum of scores times A, plus temperature times the entropy of A, among those
 * whose rows add up to C, whose columns add up to at most b, and whose entries are at most 1; by Dykstra's alternating projections. scores
 * [G, E, S]; open [G, 1, S]: 1 for tokens. After a fixed number of rounds the sums are near, not exact. Zhou et al. 2022, arXiv:2202.09368,
 * section 3.3. Throws for shapes and options that do not fit.
 */
export function cappedAssignment(scores: Tensor, capacity: number, cap: number, open?: Tensor, options: AssignmentOptions = {}): Tensor {
  check("cappedAssignment", "scores", scores, tensorOf("G, E, S"));
  check("cappedAssignment", "capacity", capacity, whole());
  check("cappedAssignment", "cap", cap, count);
  check("cappedAssignment", "open", open, optional(tensorOf("G, 1, S")));
  checkOptions<AssignmentOptions>("cappedAssignment", options, assignmentKinds);
  const { temperature = 0.03, rounds = 50 } = options;
  const start = scores.detach().div(temperature);
  let a = open ? where(open, start, NEVER) : start;
  const sets: readonly ((x: Tensor) => Tensor)[] = [
    (x) => x.sub(x.logSumExp(2, { keepDims: true })).add(Math.log(capacity)), // rows: exactly C
    (x) => x.add(x.logSumExp(1, { keepDims: true }).neg().add(Math.log(cap)).minimum(0)), // columns: at most b
    (x) => x.minimum(0), // entries: at most 1
  ];
  const removed: (Tensor | null)[] = sets.map(() => null);
  for (let round = 0; round < rounds; round++)
    sets.forEach((project, i) => {
      const before = removed[i] ? a.add(removed[i]) : a;
      a = project(before);
      removed[i] = before.sub(a);
    });
  return a.exp();
}

/**
 * Sinkhorn's assignment: P [G, S, E] = exp(u_s + h_se + v_e), where h are the logits divided by the temperature, and u and v make each row add up
 * to 1 / S and each column to 1 / E. Columns are near that after a fixed number of rounds, rows exact. logits [G, S, E]; open [G, S, 1]: 1 for
 * tokens, 0 for padding, whose entries are 0 and which S does not count. Sinkhorn & Knopp 1967, as S-BASE uses it: Clark et al. 2022,
 * arXiv:2202.01169, appendix B. Throws for shapes and options that do not fit.
 */
export function sinkhorn(logits: Tensor, open?: Tensor, options: AssignmentOptions = {}): Tensor {
  check("sinkhorn", "logits", logits, tensorOf("G, S, E"));
  check("sinkhorn", "open", open, optional(tensorOf("G, S, 1")));
  checkOptions<AssignmentOptions>("sinkhorn", options, assignmentKinds);
  const { temperature = 1, rounds = 20 } = options;
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
