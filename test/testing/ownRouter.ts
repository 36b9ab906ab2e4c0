/**
 * A router as a user would write it, from public names alone, and ways to get it wrong.
 * B sequences, T tokens of each, G groups, S tokens of a group, N = B T tokens, E experts, K choices.
 */
import { arange, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Projection, Router, capacityOf, queue, slotOfChoice, slotRouting, sortedRouting } from "switchyard-moe/moe";
import type { RouteRequest, RouterTraits, Routing } from "switchyard-moe/moe";
import type { RouterSetting } from "switchyard-moe/testing";

/** The K most probable experts, weighed by their probabilities, first come, first served. */
export class OwnRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly setting: RouterSetting;
  readonly projection: Projection;

  constructor(setting: RouterSetting) {
    super();
    this.setting = setting;
    this.experts = setting.experts;
    this.projection = new Projection(setting);
    const { choices } = setting;
    const time = choices === 1 ? "causal" : "dropless";
    this.traits = { name: "own", choosing: "tokens", choices, capacity: true, time, gatesSumToOne: false, learns: true, scores: "softmax", readsIds: false }; // prettier-ignore
  }

  route({ tokens, mask, capacityFactor: factor }: RouteRequest): Routing {
    const { experts, choices, group } = this.setting;
    const [batch, length] = tokens.shape;
    const logits = this.logits(tokens, mask).reshape([batch * length, experts]); // [N, E]
    const probs = logits.softmax(-1);
    const best = probs.topK(choices).indices; // [N, K]
    const expertOfChoice = this.masked(best, mask);
    const books = { real: mask?.reshape([batch * length]) ?? null, expertOfChoice, gate: this.gate(probs, best), logits, probs };
    if (factor === "dropless") return sortedRouting({ books, losses: {} }, experts);
    const groups = group === "batch" ? 1 : batch;
    const size = (batch * length) / groups;
    const capacity = this.capacity(size, factor);
    const line = this.line(expertOfChoice.reshape([groups, size, choices]));
    return slotRouting(
      { books: { ...books, slotOfChoice: slotOfChoice(line, experts, capacity) }, losses: {} },
      experts,
      groups * capacity,
    );
  }

  // What the wrong ones change

  logits(tokens: Tensor, mask?: Tensor): Tensor {
    return this.projection.forward(this.projection.input(tokens, mask));
  }

  masked(best: Tensor, mask?: Tensor): Tensor {
    return mask ? where(mask.reshape([mask.size, 1]).cast("int32"), best, -1) : best;
  }

  gate(probs: Tensor, best: Tensor): Tensor {
    return probs.takeAlong(best, 1);
  }

  capacity(size: number, factor: number): number {
    return capacityOf(size, this.experts, factor, this.setting.choices);
  }

  line(expert: Tensor): ReturnType<typeof queue> {
    return queue(expert);
  }
}

class OneTooMany extends OwnRouter {
  override capacity(size: number, factor: number): number {
    return super.capacity(size, factor) + 1;
  }
}

class NeverDrops extends OwnRouter {
  override capacity(size: number): number {
    return size;
  }
}

class SeatsPadding extends OwnRouter {
  override masked(best: Tensor): Tensor {
    return best;
  }
}

class LastComeFirstServed extends OwnRouter {
  override line(expert: Tensor): ReturnType<typeof queue> {
    const [groups, size] = expert.shape;
    return queue(expert, arange(0, size, 1, { dtype: "int32" }).flip().reshape([1, size]).broadcastTo([groups, size]));
  }
}

class Renormalises extends OwnRouter {
  override gate(probs: Tensor, best: Tensor): Tensor {
    const gate = super.gate(probs, best);
    return gate.div(gate.sum(1, { keepDims: true }));
  }
}

/** Reads a summary of its whole sequence. */
class Peeks extends OwnRouter {
  override logits(tokens: Tensor, mask?: Tensor): Tensor {
    const logits = super.logits(tokens, mask);
    return logits.add(logits.mean(1, { keepDims: true }));
  }
}

class LearnsNothing extends OwnRouter {
  override gate(probs: Tensor, best: Tensor): Tensor {
    return super.gate(probs, best).detach();
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
  { what: "sends its router no gradient", Kind: LearnsNothing, law: "P53:", says: /add up to 0 in size/ },
];
