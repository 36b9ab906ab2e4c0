/**
 * Hash routing: a token's id decides its expert, for ever. No parameters, no balance loss, a gate of 1; the baseline that a
 * learnt router has to beat. Roller et al. 2021, arXiv:2106.04426.
 * B sequences, T tokens of each, E experts, V ids.
 */
import { ones, tensor } from "../autograd/create.ts";
import type { Key } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { requireSizes } from "./projection.ts";
import type { RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { SeatingOptions } from "./tokenChoice.ts";
import { seat } from "./tokenChoice.ts";

export interface HashOptions extends SeatingOptions {
  readonly experts: number;
  /** The expert of each id, V of them: `randomHash` or `balancedHash`, or one's own. */
  readonly table: readonly number[];
}

export class HashRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  /** [V] int32 */
  readonly table: Tensor;
  readonly options: HashOptions;

  constructor(options: HashOptions) {
    super();
    const { experts, table, priority = "position" } = options;
    requireSizes({ experts, "number of ids": table.length });
    table.forEach((expert, id) => {
      if (!Number.isInteger(expert) || expert < 0 || expert >= experts)
        throw new RangeError(`hash table: id ${id} has expert ${expert} of ${experts}`);
    });
    this.options = options;
    this.experts = experts;
    this.table = tensor(Int32Array.from(table)).persist();
    this.traits = {
      name: "hash",
      choosing: "tokens",
      choices: 1,
      capacity: true,
      time: priority === "random" ? "dropless" : "causal",
      gatesSumToOne: true,
      learns: false,
      scores: "none",
      readsIds: true,
    };
  }

  route(request: RouteRequest): Routing {
    checkRequest(request);
    const { ids, tokens } = request;
    if (!ids) throw new RangeError("hash router: the request has no ids; a hash of tokens needs to know which they are");
    const dtype = tokens.dtype === "float64" ? "float64" : "float32";
    const chosen = this.table.takeRows(ids); // [B, T]
    const expertOfChoice = chosen.unsqueeze(2);
    const gate = ones([...ids.shape, 1], { dtype, backend: tokens.backend });
    const certain = chosen.oneHot(this.experts, dtype); // [B, T, E]
    return seat({ experts: this.experts, expertOfChoice, gate, logits: certain, probs: certain, losses: {} }, request, this.options);
  }
}

/** Each id to an expert drawn at random. */
export function randomHash(ids: number, experts: number, random: Key): number[] {
  return Array.from({ length: ids }, (_, id) => Math.floor(random.number(id) * experts));
}

/** From the most frequent id to the rarest, each to the expert with the least load so far. Section 3.2, balanced assignment. */
export function balancedHash(counts: readonly number[], experts: number): number[] {
  const load = new Array<number>(experts).fill(0);
  const table = new Array<number>(counts.length).fill(0);
  const order = counts.map((_, id) => id).sort((a, b) => counts[b] - counts[a] || a - b);
  for (const id of order) {
    const expert = load.indexOf(Math.min(...load));
    table[id] = expert;
    load[expert] += counts[id];
  }
  return table;
}
