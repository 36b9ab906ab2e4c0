/**
 * A router has three scopes, and each is an option: which tokens share the slots (`group`), over which tokens a balance loss is computed
 * (`balanceScope`), and which of the tokens that share slots get them first (`priority`, in seating.ts).
 * B sequences, T tokens of each, G groups, S tokens of a group, R scopes, L tokens of a scope.
 */
import { inShape } from "../autograd/shaping.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** The tokens that share the slots of the experts: all of the batch, those of one sequence, or a number of consecutive ones. */
export type Group = "batch" | "sequence" | number;

/** The tokens over which f and P of a balance loss are taken: all of the batch, or those of one sequence. */
export type BalanceScope = "batch" | "sequence";

/** [groups, tokens of a group] of [B, T] tokens. Throws where a group's size does not divide the tokens. */
export function groupsOf([batch, length]: readonly number[], group: Group, where: string): [number, number] {
  if (group === "batch") return [1, batch * length];
  if (group === "sequence") return [batch, length];
  if ((batch * length) % group !== 0)
    throw new RangeError(`${where}: group ${group}: want a number that divides the ${batch} x ${length} tokens of the batch`);
  return [(batch * length) / group, group];
}

/** x [B, T, n] or [B, T] -> [groups, tokens of a group, n] or [groups, tokens of a group]. Tokens keep their order, so this is a view. */
export function grouped(x: Tensor, [groups, size]: readonly [number, number]): Tensor {
  return inShape(x, [groups, size, ...x.shape.slice(2)]);
}
