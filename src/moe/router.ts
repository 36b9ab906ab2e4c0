/**
 * What a router is: a module that answers tokens with a routing. The layer knows no more of it.
 * B sequences, T tokens of each, E experts, K choices, D width.
 */
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import { Module } from "../nn/module.ts";
import type { CapacityFactor } from "./capacity.ts";
import { requireCapacityFactor } from "./capacity.ts";
import type { Routing } from "./routing.ts";

export interface RouteRequest {
  /** [B, T, D]. A NaN stays in its own token's output where tokens choose, and turns losses into NaN, which is how one hears of it. */
  readonly tokens: Tensor;
  /** [B, T] int32: what the tokens are, for routers that hash. */
  readonly ids?: Tensor | undefined;
  /** [B, T]: 1 for tokens, 0 for padding, which never counts and never takes a slot. */
  readonly mask?: Tensor | undefined;
  readonly capacityFactor: CapacityFactor;
  /** Whether tokens must not depend on later ones. */
  readonly causal?: boolean | undefined;
  readonly pass: Pass;
}

/** What may be said of a router beforehand; the laws it is held to are chosen by these. */
export interface RouterTraits {
  readonly name: string;
  /** Tokens choose experts, experts choose tokens, or slots mix all tokens. */
  readonly choosing: "tokens" | "experts" | "mixtures";
  /** K: the most experts a token can have. */
  readonly choices: number;
  /** Whether the capacity factor of the request decides its slots. */
  readonly capacity: boolean;
  /**
   * Whether a token's output can depend on later tokens of its sequence, where groups are sequences: "causal" never,
   * "dropless" not while nothing is dropped, "acausal" always.
   */
  readonly time: "causal" | "dropless" | "acausal";
  /** Whether the gates of a token that loses no choice add up to 1. */
  readonly gatesSumToOne: boolean;
  /** Whether the loss of the task sends a gradient to parameters of the router. */
  readonly learns: boolean;
  /** How logits become probabilities, if there are any. */
  readonly scores: "softmax" | "sigmoid" | "none";
  /** Whether it reads the ids of the tokens. */
  readonly readsIds: boolean;
}

export abstract class Router extends Module {
  abstract readonly experts: number;
  abstract readonly traits: RouterTraits;
  abstract route(request: RouteRequest): Routing;

  /** Experts that a token pays for, in the mean over a sequence of `length`: as many as it chooses, where tokens choose. */
  visits(_length: number): number {
    return this.traits.choices;
  }

  /** Called after each optimiser step with all it routed for that step; most routers have nothing to learn outside of gradients. */
  afterStep(..._routings: readonly Routing[]): void {}
}

/** The tokens among which slots are shared out: all of the batch, each sequence for itself, or so many consecutive tokens. */
export type Group = "batch" | "sequence" | number;
/** The tokens over which f and P of a balance loss are taken. */
export type BalanceScope = "batch" | "sequence";

/** [groups, tokens of a group]. An error where a group's size does not divide the tokens. */
export function groupsOf(tokens: Tensor, group: Group): [number, number] {
  const [batch, length] = tokens.shape;
  if (group === "batch") return [1, batch * length];
  if (group === "sequence") return [batch, length];
  if (!Number.isInteger(group) || group < 1 || (batch * length) % group !== 0)
    throw new RangeError(`group: ${batch} x ${length} tokens do not divide into groups of ${group}`);
  return [(batch * length) / group, group];
}

/** x [B, T, n] or [B, T] as [groups, tokens of a group, n] or without n. */
export function grouped(x: Tensor, [groups, size]: readonly [number, number]): Tensor {
  return x.reshape([groups, size, ...x.shape.slice(2)]);
}

/** Errors with numbers, once, at the door. */
export function checkRequest({ tokens, ids, mask, capacityFactor }: RouteRequest, width?: number): void {
  requireCapacityFactor(capacityFactor);
  const [batch, length, last] = tokens.shape;
  if (tokens.shape.length !== 3 || (width !== undefined && last !== width))
    throw new RangeError(`route: tokens [${tokens.shape.join(", ")}]: want [B, T, ${width ?? "D"}]`);
  for (const [name, given] of Object.entries({ ids, mask }))
    if (given && (given.shape.length !== 2 || given.shape[0] !== batch || given.shape[1] !== length))
      throw new RangeError(`route: ${name} [${given.shape.join(", ")}] beside ${batch} x ${length} tokens`);
}

/** Routers that look at later tokens refuse to stand in a causal model: it would learn to read the answer. */
export function refuseCausal(name: string, why: string, { causal }: RouteRequest, allowed = false): void {
  if (causal && !allowed)
    throw new RangeError(
      `${name}: this model is causal, and ${why}; its loss would be too good to be true. Set allowCausal to see for yourself`,
    );
}
