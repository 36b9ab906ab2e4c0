/**
 * Hash routing: a token's id decides its expert, always. No parameters, no balance loss, a gate of 1; the baseline that a learnt router has
 * to beat. Roller et al. 2021, arXiv:2106.04426.
 * G groups, S tokens of a group, E experts, V ids.
 */
import { ones, tensor } from "../autograd/create.ts";
import type { Key } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { aKey, check, checkOptions, count, finite, listOf, someNumbers, whole } from "./arguments.ts";
import type { GroupedTokens } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices, SeatingOptions } from "./seating.ts";

/** Options of a hash router. */
export interface HashOptions extends SeatingOptions {
  /** E */
  readonly experts: number;
  /** The expert of each id, V of them: made by `randomHash` or `balancedHash`, or your own. */
  readonly table: readonly number[];
}

/**
 * Sends each token to the expert that a fixed table names for its id, with a gate of 1. It learns nothing and has no losses; capacity applies.
 * `route` throws without ids, and for an id outside of the table where the host can see it. The constructor throws for an empty table and for one
 * that holds anything but 0 to E - 1. Roller et al. 2021, arXiv:2106.04426.
 */
export class HashRouter extends Router {
  /** [V] int32 */
  readonly table: Tensor;
  readonly options: HashOptions;

  constructor(options: HashOptions) {
    const { experts, group, priority, queueBy } = routerKinds;
    checkOptions<HashOptions>("HashRouter", options, { experts, group, priority, queueBy, table: someNumbers });
    const { table, priority: first = "position" } = options;
    check("HashRouter", "number of ids in table", table.length, count);
    table.forEach((expert, id) => check("HashRouter", `table[${id}]`, expert, whole(0, options.experts - 1)));
    super(options, {
      name: "hash",
      choosing: "tokens",
      choices: 1,
      capacity: true,
      time: first === "random" ? "dropless" : "causal", // all gates are 1, so "gate" is by position
      gatesSumToOne: true,
      learns: false,
      scores: "none",
      readsIds: true,
    });
    this.options = options;
    this.table = tensor(Int32Array.from(table)).persist();
  }

  protected choose(x: Tensor, { ids }: GroupedTokens): Choices {
    if (!ids) throw new TypeError("HashRouter: ids are missing");
    const dtype = x.dtype === "float64" ? "float64" : "float32";
    const chosen = this.table.takeRows(ids); // [G, S]
    const gate = ones([...ids.shape, 1], { dtype, backend: x.backend });
    const probs = chosen.oneHot(this.experts, dtype); // [G, S, E]
    return { expertOfChoice: chosen.unsqueeze(2), gate, logits: probs, probs };
  }
}

/**
 * A table for `HashRouter` that gives each of `ids` ids an expert drawn at random. Throws where `ids` or `experts` is below 1. Roller et al.
 * 2021, arXiv:2106.04426.
 */
export function randomHash(ids: number, experts: number, random: Key): number[] {
  check("randomHash", "ids", ids, whole(1, 2 ** 31 - 1));
  check("randomHash", "experts", experts, whole(1, 2 ** 31 - 1));
  check("randomHash", "random", random, aKey);
  return Array.from({ length: ids }, (_, id) => Math.floor(random.number(id) * experts));
}

/**
 * A table for `HashRouter` that evens out the load: from the most frequent id to the rarest, each goes to the expert with the least load so
 * far. counts: how often each id occurs. Roller et al. 2021, arXiv:2106.04426, section 3.2, balanced assignment. Throws for a count below 0
 * and where `experts` is below 1.
 */
export function balancedHash(counts: readonly number[], experts: number): number[] {
  check("balancedHash", "counts", counts, listOf(finite(0)));
  check("balancedHash", "experts", experts, whole(1, 2 ** 24));
  const load = new Array<number>(experts).fill(0);
  const table = new Array<number>(counts.length).fill(0);
  const order = counts.map((_, id) => id).sort((a, b) => counts[b] - counts[a]);
  for (const id of order) {
    const expert = leastOf(load);
    table[id] = expert;
    load[expert] += counts[id];
  }
  return table;
}

/** The index of the smallest; the lowest among equals. */
function leastOf(numbers: readonly number[]): number {
  return numbers.reduce((best, x, i) => (x < numbers[best] ? i : best), 0);
}
