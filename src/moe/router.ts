/**
 * The base class of routers. A layer calls `Router.route`, which is the same for all: it checks the request, refuses an acausal router in a
 * causal model, zeroes padding, groups the tokens, calls the router's own formula (`choose`), gives choices their slots, and adds the losses.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, K choices, C slots of an expert in a group, D width.
 */
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import { Module } from "../nn/module.ts";
import type { Kinds } from "./arguments.ts";
import {
  aBalanceScope,
  aCapacityFactor,
  aGroup,
  aPass,
  aPriority,
  check,
  checkOptions,
  coefficient,
  count,
  flag,
  having,
  oneOf,
  optional,
  tensorOf,
  text,
} from "./arguments.ts";
import type { CapacityFactor } from "./capacity.ts";
import { capacityOf } from "./capacity.ts";
import type { BalanceScope } from "./grouping.ts";
import { grouped, groupsOf } from "./grouping.ts";
import type { RouterLossOptions } from "./losses.ts";
import { masked } from "./losses.ts";
import type { Mixtures } from "./mixtures.ts";
import { mix } from "./mixtures.ts";
import type { Routing } from "./routing.ts";
import type { Choices, SeatingOptions } from "./seating.ts";
import { orderOf, scoped, seat, tokenLosses } from "./seating.ts";

/** What a layer passes to its router: the tokens of one forward pass, and how many slots experts have. */
export interface RouteRequest {
  /** [B, T, D]. Where tokens choose, a NaN in one token reaches no other token's output; the losses become NaN. */
  readonly tokens: Tensor;
  /** [B, T] int32: the ids of the tokens, for routers that hash. */
  readonly ids?: Tensor | undefined;
  /** [B, T]: 1 for tokens, 0 for padding, which never counts and never takes a slot. */
  readonly mask?: Tensor | undefined;
  /** Slots of an expert as a multiple of an even share, see `capacityOf`; or "dropless". */
  readonly capacityFactor: CapacityFactor;
  /** Slots of each expert in a group, in place of the factor: the same for any number of tokens. */
  readonly expertCapacity?: number | undefined;
  /** Whether a token's output must not depend on later tokens. */
  readonly causal?: boolean | undefined;
  readonly pass: Pass;
}

/** Properties of a router that hold for all its calls. `routerLaws` selects by them what it tests. */
export interface RouterTraits {
  readonly name: string;
  /** Tokens choose experts, experts choose tokens, or slots mix all tokens. */
  readonly choosing: "tokens" | "experts" | "mixtures";
  /** K: the most experts a token can have. */
  readonly choices: number;
  /** Whether the capacity of the request decides the number of slots; Expert Choice, Soft MoE and the dense router have a number of their own. */
  readonly capacity: boolean;
  /**
   * Whether a token's output can depend on later tokens of its sequence, where groups are sequences: "causal" never, "dropless" not while
   * nothing is dropped, "acausal" always. An acausal router is refused in a causal model, unless `allowCausal` is set.
   */
  readonly time: "causal" | "dropless" | "acausal";
  /** Whether the gates of a token that loses no choice add up to 1. */
  readonly gatesSumToOne: boolean;
  /** Whether the loss of the task has a gradient by parameters of the router. */
  readonly learns: boolean;
  /** How logits become probabilities, if there are any. */
  readonly scores: "softmax" | "sigmoid" | "none";
  /** Whether it reads the ids of the tokens. */
  readonly readsIds: boolean;
}

/** Options that the base class uses: sizes, which tokens share slots, which get them first, and the losses. */
export interface RouterOptions extends SeatingOptions, RouterLossOptions {
  /** E */
  readonly experts: number;
  /** D; without it, tokens of any width are routed. */
  readonly width?: number;
  /** Whether a causal model may use it although its traits say "acausal", to study what it does there. Default false. */
  readonly allowCausal?: boolean;
}

/** What `choose` is told of the tokens, in groups. */
export interface GroupedTokens {
  /** [G, S] int32 */
  readonly ids: Tensor | undefined;
  /** [G, S]: 1 for tokens, 0 for padding. */
  readonly mask: Tensor | undefined;
  /** C; null: dropless. */
  readonly capacity: number | null;
  readonly pass: Pass;
  /** Regroups a tensor [G, S, n] or [G, S] by balance scope: [R, L, n] or [R, L], R scopes of L tokens. */
  readonly inScopes: (x: Tensor, scope: BalanceScope) => Tensor;
}

/** The kinds of the options that every router takes. */
export const routerKinds: Kinds<RouterOptions> = {
  experts: count,
  width: optional(count),
  group: optional(aGroup),
  priority: optional(aPriority),
  queueBy: optional(oneOf("choice", "token")),
  balance: optional(coefficient),
  balanceScope: optional(aBalanceScope),
  zLoss: optional(coefficient),
  allowCausal: optional(flag),
};

const traitKinds: Kinds<RouterTraits> = {
  name: text,
  choosing: oneOf("tokens", "experts", "mixtures"),
  choices: count,
  capacity: flag,
  time: oneOf("causal", "dropless", "acausal"),
  gatesSumToOne: flag,
  learns: flag,
  scores: oneOf("softmax", "sigmoid", "none"),
  readsIds: flag,
};

/**
 * Sends tokens to experts: the base class of all routers, and of your own. A subclass passes its options and traits to the constructor and
 * writes one method, `choose`: from x [G, S, D], padding as zeros, to the experts of each token and their gates (or, for soft mixtures, to two
 * matrices). The rest is the same for all: `route` checks the request, refuses an acausal router in a causal model, groups tokens, gives
 * choices their slots by capacity and priority, and adds the losses that the options ask for.
 */
export abstract class Router extends Module {
  /** E */
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly #options: RouterOptions;

  /** Throws for an option of `RouterOptions` or a trait that is out of range. A subclass checks its other options itself. */
  constructor(options: RouterOptions, traits: RouterTraits) {
    super();
    const { name } = new.target;
    check(name, "options", options, having("an object with experts", "experts"));
    for (const [option, kind] of Object.entries(routerKinds)) check(name, option, options[option as keyof RouterOptions], kind);
    checkOptions<RouterTraits>(`${name}: traits`, traits, traitKinds);
    this.experts = options.experts;
    this.traits = traits;
    this.#options = options;
  }

  /**
   * Routes the tokens [B, T, D] of a request. Throws for shapes that do not fit, for a group that does not divide the tokens, for ids that
   * are missing where the router reads them, and where a causal model asks an acausal router.
   */
  route(request: RouteRequest): Routing {
    this.#check(request);
    const { tokens, ids, mask, pass } = request;
    const { group = "batch", queueBy = "choice" } = this.#options;
    const shape = tokens.shape.slice(0, 2);
    const groups = groupsOf(shape, group, this.constructor.name);
    const size = this.capacity(groups[1], request);
    const seen: GroupedTokens = {
      ids: ids && grouped(ids, groups),
      mask: mask && grouped(mask, groups),
      capacity: size === "dropless" ? null : size,
      pass,
      inScopes: (x, scope) => scoped(x, shape, scope),
    };
    const chosen = this.choose(grouped(masked(tokens, mask), groups), seen);
    if ("dispatch" in chosen) return mix(pass.losses === false ? { ...chosen, losses: {} } : chosen, this.experts, seen.mask);
    const losses = pass.losses === false ? {} : tokenLosses(chosen, this.#options, { shape, mask: seen.mask });
    const order = chosen.position ? undefined : this.order(chosen.gate, pass);
    return seat(chosen, losses, { ...seen, shape, order, queueBy });
  }

  /** The router's formula. x [G, S, D] with padding as zeros -> experts and gates of each token, or the two matrices of soft mixtures. */
  protected abstract choose(x: Tensor, tokens: GroupedTokens): Choices | Mixtures;

  /** C: slots of each expert in a group of `size` tokens, or "dropless". A router with a rule of its own overrides it. */
  protected capacity(size: number, { capacityFactor, expertCapacity }: RouteRequest): number | "dropless" {
    // With a slot for every token nothing is dropped. Sorted rows give the same and skip experts that no token chose, as in generation, where
    // there is one token a step.
    if (expertCapacity !== undefined) return expertCapacity < size ? expertCapacity : "dropless";
    return capacityFactor === "dropless" ? capacityFactor : capacityOf(size, this.experts, capacityFactor, this.traits.choices);
  }

  /** [G, S]: the token that is first, second, ... in the queues of its group; undefined: by position. gate [G, S, K] */
  protected order(gate: Tensor, pass: Pass): Tensor | undefined {
    return orderOf(this.#options.priority ?? "position", gate, pass);
  }

  /** The number of experts that compute for a token, on average over a sequence of `length`; where tokens choose, the number of choices. */
  visits(_length: number): number {
    return this.traits.choices;
  }

  /** Called after each optimiser step with the routings of that step. A router that learns without gradients overrides it. */
  afterStep(..._routings: readonly Routing[]): void {}

  #check(request: RouteRequest): void {
    const { name } = this.constructor;
    const { width, allowCausal = false } = this.#options;
    checkOptions<RouteRequest>(`${name}.route`, request, requestKinds);
    const { tokens, ids, mask, causal } = request;
    const [batch, length, last] = tokens.shape;
    if (width !== undefined && last !== width)
      throw new RangeError(`${name}.route: tokens [${tokens.shape.join(", ")}]: want [B, T, ${width}]`);
    for (const [what, given] of Object.entries({ ids, mask }))
      if (given && (given.shape[0] !== batch || given.shape[1] !== length))
        throw new RangeError(`${name}.route: ${what} [${given.shape.join(", ")}]: want [${batch}, ${length}], one entry for each token`);
    if (this.traits.readsIds && !ids) throw new TypeError(`${name}.route: ids are missing: want a tensor [B, T] of int32`);
    if (ids && ids.dtype !== "int32") throw new TypeError(`${name}.route: ids of ${ids.dtype}: want int32`);
    if (causal && this.traits.time === "acausal" && !allowCausal)
      throw new RangeError(
        `${name}.route: this model is causal, and the router's traits say time "acausal": outputs would depend on later tokens, and the loss ` +
          "would be lower than it can be in use. Set allowCausal to use it nevertheless",
      );
  }
}

const requestKinds: Kinds<RouteRequest> = {
  tokens: tensorOf("B, T, D"),
  ids: optional(tensorOf("B, T")),
  mask: optional(tensorOf("B, T")),
  capacityFactor: aCapacityFactor,
  expertCapacity: optional(count),
  causal: optional(flag),
  pass: aPass,
};
