/** Layouts: n ranks form D groups of G. The experts are spread over the ranks of a group, and the groups are replicas of each other. */
import { check, checkOptions, optional, whole } from "../autograd/arguments.ts";
import type { Kind } from "../autograd/arguments.ts";
import type { Communicator } from "./communicator.ts";
import { aCommunicator } from "./communicator.ts";

/** Options of `layoutOf`. */
export interface LayoutOptions {
  /** G: over how many ranks the experts are spread; a divisor of n. Neighbouring ranks form a group, so that it stays inside a node. Default 1. */
  readonly expertsOver?: number;
}

/** The groups of ranks: data is spread over all ranks, experts over those of each group. */
export interface Layout {
  /** All n ranks: gradients of the parameters that all ranks hold are summed over them. */
  readonly world: Communicator;
  /** The G ranks that hold all experts together, this one among them. */
  readonly experts: Communicator;
  /** The D ranks that hold the same experts as this one: their gradients are summed over them. */
  readonly replicas: Communicator;
}

export const aLayout: Kind = {
  wanted: "a Layout, such as layoutOf(world)",
  accepts: (value) =>
    [Object(value)].every((layout) => ["world", "experts", "replicas"].every((name) => aCommunicator.accepts(layout[name]))),
};

/**
 * Splits the ranks into groups over which the experts are spread, and groups that hold the same experts. Collective: every rank calls it. Throws a
 * RangeError where `expertsOver` does not divide the ranks.
 */
export function layoutOf(world: Communicator, options: LayoutOptions = {}): Layout {
  check("layoutOf", "world", world, aCommunicator);
  checkOptions<LayoutOptions>("layoutOf", options, { expertsOver: optional(whole(1)) });
  const { expertsOver = 1 } = options;
  if (world.size % expertsOver !== 0)
    throw new RangeError(
      `layoutOf: expertsOver ${expertsOver} does not divide ${world.size} ranks: want one of ${divisors(world.size).join(", ")}`,
    );
  const experts = world.split(Math.floor(world.rank / expertsOver));
  const replicas = world.split(world.rank % expertsOver);
  return { world, experts, replicas };
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}
