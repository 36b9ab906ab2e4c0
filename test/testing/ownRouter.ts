/**
 * A router as a user would write it, from public names alone, and ways to get it wrong.
 * G groups, S tokens of a group, E experts, K choices.
 */
import { arange } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Projection, Router } from "switchyard-moe/moe";
import type { Choices, RouteRequest, RouterTraits, Routing } from "switchyard-moe/moe";
import type { RouterSetting } from "switchyard-moe/testing";

/** The K most probable experts, weighed by their probabilities, first come, first served. */
export class OwnRouter extends Router {
  readonly setting: RouterSetting;
  readonly projection: Projection;

  constructor(setting: RouterSetting, traits: Partial<RouterTraits> = {}) {
    const { width, experts, choices, random, dtype, initializer } = setting;
    const time = choices === 1 ? "causal" : "dropless";
    super(setting, { name: "own", choosing: "tokens", choices, capacity: true, time, gatesSumToOne: false, learns: true, scores: "softmax", readsIds: false, ...traits }); // prettier-ignore
    this.setting = setting;
    this.projection = new Projection({ width, experts, random, dtype, initializer });
  }

  protected choose(x: Tensor): Choices {
    const logits = this.logits(x); // [G, S, E]
    const probs = logits.softmax(-1);
    const best = probs.topK(this.setting.choices).indices; // [G, S, K]
    return { expertOfChoice: best, gate: this.gate(probs, best), logits, probs };
  }

  // What the wrong ones change

  logits(x: Tensor): Tensor {
    return this.projection.forward(x);
  }

  gate(probs: Tensor, best: Tensor): Tensor {
    return probs.takeAlong(best, 2);
  }
}

class OneTooMany extends OwnRouter {
  protected override capacity(size: number, request: RouteRequest): number | "dropless" {
    const capacity = super.capacity(size, request);
    return capacity === "dropless" ? capacity : capacity + 1;
  }
}

class NeverDrops extends OwnRouter {
  protected override capacity(size: number, request: RouteRequest): number | "dropless" {
    return request.capacityFactor === "dropless" ? "dropless" : size;
  }
}

class SeatsPadding extends OwnRouter {
  override route({ mask: _, ...request }: RouteRequest): Routing {
    return super.route(request);
  }
}

class LastComeFirstServed extends OwnRouter {
  protected override order({ shape: [groups, size] }: Tensor): Tensor {
    return arange(0, size, 1, { dtype: "int32" }).flip().reshape([1, size]).broadcastTo([groups, size]);
  }
}

class Renormalises extends OwnRouter {
  override gate(probs: Tensor, best: Tensor): Tensor {
    const gate = super.gate(probs, best);
    return gate.div(gate.sum(2, { keepDims: true }));
  }
}

/** Reads a summary of its whole group. */
class Peeks extends OwnRouter {
  override logits(x: Tensor): Tensor {
    const logits = super.logits(x);
    return logits.add(logits.mean(1, { keepDims: true }));
  }
}

class LearnsNothing extends OwnRouter {
  override gate(probs: Tensor, best: Tensor): Tensor {
    return super.gate(probs, best).detach();
  }
}

/** Serves causal models although its traits say that it reads the future. */
class NotRefused extends OwnRouter {
  constructor(setting: RouterSetting) {
    super(setting, { time: "acausal" });
  }

  override route({ causal: _, ...request }: RouteRequest): Routing {
    return super.route(request);
  }
}

/** Puts a token behind an empty slot. */
class LeavesAGap extends OwnRouter {
  protected override choose(x: Tensor): Choices {
    const choices = super.choose(x);
    return { ...choices, position: choices.expertOfChoice.mul(0).add(arange(1, x.shape[1] + 1, 1, { dtype: "int32" }).unsqueeze(1)) };
  }
}

export interface WrongRouter {
  readonly what: string;
  readonly Kind: new (setting: RouterSetting) => OwnRouter;
  /** K, where the mistake needs one of its own. */
  readonly choices?: number;
  /** How the statement of the law begins that must refute it. */
  readonly law: string;
  /** What it must say. */
  readonly says: RegExp;
}

export const wrong: readonly WrongRouter[] = [
  { what: "keeps one too many", Kind: OneTooMany, law: "P16 P17:", says: /\[experts, slots of each\]: \[\d,\d\], wanted \[\d,\d\]/ },
  { what: "never drops", Kind: NeverDrops, law: "P21:", says: /hardly met drops.*drops 0 %/ },
  { what: "gives padding a seat", Kind: SeatsPadding, law: "P31:", says: /token \d+, which is padding, chose \d/ },
  { what: "drops the wrong token", Kind: LastComeFirstServed, choices: 1, law: "P74:", says: /tokens from \d on changed the output/ },
  { what: "renormalises gates although its traits say not", Kind: Renormalises, law: "P19:", says: /gatesSumToOne: call it true/ },
  { what: "peeks at later tokens", Kind: Peeks, choices: 1, law: "P74:", says: /tokens from \d on changed the output/ },
  { what: "serves causal models although it reads the future", Kind: NotRefused, law: "P89:", says: /a causal model was served/ },
  {
    what: "leaves the first slots empty",
    Kind: LeavesAGap,
    choices: 1,
    law: "P90:",
    says: /slots of expert \d+ in group \d+ that hold a token/,
  },
  { what: "sends its router no gradient", Kind: LearnsNothing, law: "P53:", says: /add up to 0 in size/ },
];
