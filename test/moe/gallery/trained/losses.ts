/** Bugs of auxiliary losses, switched on in training. G groups, S tokens of a group, E experts, K choices. */
import type { Tensor } from "../../../../src/index.ts";
import { concat, gradients, where } from "../../../../src/index.ts";
import type { Choices, GroupedTokens, RouteRequest, Routing } from "../../../../src/moe/index.ts";
import { NoisyTopKRouter, SwitchRouter, TopKRouter, importanceLoss, loadBalance, loadLoss, loadProbability, zLoss } from "../../../../src/moe/index.ts"; // prettier-ignore
import { ofNoisy, ofSwitch, ofTopK } from "./layer.ts";
import type { Look, Trained, Watched } from "./look.ts";
import { mean, meanOver, numbers, sumOf } from "./look.ts";

/** A Switch router with a balance loss of its own, which stands in place of the usual one. */
export abstract class OwnBalance extends SwitchRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    return { ...choices, losses: { balance: this.balance(choices, this.options.balance ?? 0) } };
  }

  /** With its coefficient. */
  protected abstract balance(choices: Choices, alpha: number): Tensor;
}

/** f counts padding, whose probabilities are all equal, as if it were tokens. */
class PaddingCounted extends OwnBalance {
  protected balance({ expertOfChoice, probs }: Choices, alpha: number): Tensor {
    return loadBalance({ expertOfChoice, probs }).mul(alpha);
  }
}

/** f has an axis too many, over which its sum is 1 for every token. */
class WithoutOpinion extends OwnBalance {
  protected balance({ expertOfChoice, probs }: Choices, alpha: number): Tensor {
    const f = expertOfChoice.squeeze(2).oneHot(this.experts, probs.dtype).sum(-1, { keepDims: true }).mul(1 / probs.shape[1]); // prettier-ignore
    return f
      .mul(probs.mean(1, { keepDims: true }))
      .sum()
      .mul(alpha); // [G, S, 1] x [G, 1, E]
  }
}

/** The coefficient is asked whether it is above 0, and no more. */
class AlphaAsSwitch extends OwnBalance {
  protected balance({ expertOfChoice, probs }: Choices, alpha: number): Tensor {
    return loadBalance({ expertOfChoice, probs }).mul(alpha > 0 ? 1 : 0);
  }
}

/** The z-loss of the largest probability under the name of logits: log exp p = p. */
class ZOfProbability extends SwitchRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    return { ...choices, losses: { z: zLoss(choices.probs.max(-1, { keepDims: true })).mul(this.options.zLoss ?? 0) } };
  }
}

/** The logits of padding are 0, and the log-sum-exp of zeros is ln E. */
class PaddingPays extends SwitchRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    return { ...choices, losses: { z: zLoss(choices.logits).mul(this.options.zLoss ?? 0) } };
  }
}

/** f is counted when capacity has struck out the overflow. */
class CountedAfter extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (!routing.losses["balance"]) return routing;
    const { expertOfChoice, slotOfChoice, probs } = routing.books;
    const kept = where(slotOfChoice.less(0), -1, expertOfChoice);
    const balance = loadBalance({ expertOfChoice: kept.unsqueeze(0), probs: probs.unsqueeze(0) });
    return { ...routing, losses: { ...routing.losses, balance: balance.mul(this.options.balance ?? 0) } };
  }
}

/** P is the mean of the probabilities among the chosen, which are 0 for all others. */
const amongChosen = (h: Tensor, k: number): Tensor => h.add(h.rank(-1, { descending: true }).less(k).cast(h.dtype).log()).softmax(-1);

class LeftOut extends TopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const { balance = 0, choices: k } = this.options;
    const loss = loadBalance({ expertOfChoice: choices.expertOfChoice, probs: amongChosen(choices.logits, k) });
    return { ...choices, losses: { balance: loss.mul(balance) } };
  }
}

/** K choices per token, divided by the tokens alone. */
class GrowsWithK extends TopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const { balance = 0, choices: k } = this.options;
    return {
      ...choices,
      losses: { balance: loadBalance({ expertOfChoice: choices.expertOfChoice, probs: choices.probs }).mul(k * balance) },
    };
  }
}

/** CV^2 with the variance of a sample, divided by E - 1. */
const sampleVariation = (v: Tensor): Tensor => v.variance(-1, { correction: 1 }).div(v.mean(-1).square()).mean();

/** The sums of gates, with the variance of a sample. */
class SampleOfExperts extends NoisyTopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const { importance = 0.1 } = this.options;
    return { ...choices, losses: { ...choices.losses, importance: sampleVariation(choices.probs.sum(1)).mul(importance) } };
  }
}

/** What the load loss is made of is kept, to be looked at. */
class ShownLoad extends NoisyTopKRouter {
  expected = NaN;

  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    if (!tokens.pass.training) return choices;
    const clean = this.projection.forward(x); // [G, S, E]
    const deviation = this.noise.forward(x).softplus().add(1e-2);
    const probability = this.probability(clean, choices.logits, deviation);
    this.expected = probability.sum(-1).mean().itemSync();
    return this.lossOf(choices, probability);
  }

  protected probability(clean: Tensor, noisy: Tensor, deviation: Tensor): Tensor {
    return loadProbability(clean, noisy, deviation, this.options.choices);
  }

  protected lossOf(choices: Choices, _probability: Tensor): Choices {
    return choices;
  }
}

/** Thresholds are probabilities, and what they are compared with is logits. */
class ApplesWithOranges extends ShownLoad {
  protected override probability(clean: Tensor, noisy: Tensor, deviation: Tensor): Tensor {
    const { choices } = this.options;
    const p = noisy.softmax(-1);
    const { values } = p.topK(choices + 1);
    const inside = p.rank(-1, { descending: true }).less(choices);
    const threshold = where(inside, values.narrow(2, choices, choices + 1), values.narrow(2, choices - 1, choices));
    return clean.sub(threshold).div(deviation).normalCdf();
  }

  protected override lossOf(choices: Choices, probability: Tensor): Choices {
    return { ...choices, losses: { ...choices.losses, load: loadLoss(probability).mul(this.options.load ?? 0.1) } };
  }
}

/** f and P over the tokens of all layers as if they were one. */
function pooled(routings: readonly Routing[], alpha: number): Tensor {
  const all = (of: (routing: Routing) => Tensor): Tensor => concat(routings.map(of), 0).unsqueeze(0);
  const one = loadBalance({ expertOfChoice: all(({ books }) => books.expertOfChoice), probs: all(({ books }) => books.probs) });
  return one.mul(alpha * routings.length);
}

// What betrays them

/** The balance loss of a layer by its definition, without a coefficient. */
export function balanceOf({ books }: Routing): number {
  const { expertOfChoice, probs, real } = books;
  const mask = real?.unsqueeze(0);
  return loadBalance({ expertOfChoice: expertOfChoice.unsqueeze(0), probs: probs.unsqueeze(0), mask }).itemSync();
}

const added = ({ auxiliary }: Look, name: string): number => auxiliary[name]?.itemSync() ?? 0;

/** What the run's balance loss, without its coefficient, says less than the definition; of a layer. */
export const leftOut = (at: Look): number => meanOver(at, ({ routing }) => balanceOf(routing)) - added(at, "balance") / (at.setting.model.alpha * at.seen.length); // prettier-ignore

/** Share of a layer's choices at the expert with the most of them, before capacity; of the layer where it is largest. */
const largestShare: Watched = {
  name: "largestShare",
  as: "percent",
  look: ({ seen }) =>
    Math.max(
      ...seen.map(({ routing: { books, layout } }) => {
        const load = Array.from(numbers(books.expertOfChoice.reshape([1, -1]).bincount(layout.experts)));
        return Math.max(...load) / load.reduce((a, b) => a + b, 0);
      }),
    ),
};

/** Norm of the balance loss' gradient by the logits of experts that were not chosen; of the first layer. */
function pressure({ seen: [{ routing }], layers: [layer], setting }: Look): number {
  const h = routing.books.logits.detach().unsqueeze(0).contiguous().requireGrad();
  const k = setting.model.variant?.choices ?? 1;
  const probs = layer.router instanceof LeftOut ? amongChosen(h, k) : h.softmax(-1);
  const [g] = gradients(loadBalance({ expertOfChoice: h.topK(k).indices, probs }), [h]);
  const outside = h.rank(-1, { descending: true }).greaterEqual(k);
  const norm = where(outside, g, 0).square().sum().sqrt().itemSync();
  h.dispose(); // a leaf outlives its scope
  return norm;
}

/** The importance loss over what its definition gives for the same gates. */
function overDefinition({ seen, auxiliary }: Look): number {
  const definition = seen.reduce((sum, { routing }) => sum + importanceLoss(routing.books.probs.unsqueeze(0)).itemSync(), 0);
  return auxiliary["importance"].itemSync() / (0.1 * definition);
}

/** What the run's z-loss, without its coefficient, is above that of the tokens alone; of a layer. */
function ofPadding({ seen, auxiliary, setting }: Look): number {
  const alone = seen.reduce((sum, { routing: { books } }) => sum + zLoss(books.logits.unsqueeze(0), books.real?.unsqueeze(0)).itemSync(), 0); // prettier-ignore
  return (auxiliary["z"].itemSync() / setting.model.zLoss - alone) / seen.length;
}

/** Share of the tokens, padding not among them, at expert 0, which padding chooses. */
function atFirst({ routing: { books } }: { readonly routing: Routing }): number {
  const load = Array.from(numbers(books.expertOfChoice.reshape([1, -1]).bincount(books.probs.shape[1])));
  return load[0] / load.reduce((a, b) => a + b, 0);
}

/** Experts that a token has according to what the load loss is made of. */
const expected = ({ layers }: Look): number => mean(layers.map(({ router }) => (router instanceof ShownLoad ? router.expected : NaN)));

const total = ({ auxiliary }: Look): number => sumOf(Object.values(auxiliary).map((loss) => loss.itemSync()));

export const losses: Readonly<Record<string, Trained>> = {
  "The z-loss of a probability": {
    setting: { zLoss: 0.05 },
    broken: ofSwitch((options) => new ZOfProbability(options)),
    watched: { name: "trueZ", as: "number", look: (at) => meanOver(at, ({ routing }) => zLoss(routing.books.logits.unsqueeze(0)).itemSync()) }, // prettier-ignore
  },
  "Padding that pays (ln E)^2": {
    setting: { zLoss: 0.05, padded: true },
    broken: ofSwitch((options) => new PaddingPays(options)),
    watched: { name: "zOfPadding", as: "number", look: ofPadding },
  },
  "Padding has a favourite expert": {
    setting: { alpha: 0.1, padded: true },
    broken: ofSwitch((options) => new PaddingCounted(options)),
    watched: { name: "atFirst", as: "percent", look: (at) => meanOver(at, atFirst) },
  },
  "Counting after closing the doors": {
    setting: { capacityFactor: 1, initScale: 1 },
    broken: ofSwitch((options) => new CountedAfter(options)),
    watched: { name: "leftOut", as: "number", look: leftOut },
  },
  "Two wrongs that make a right": {
    setting: { alpha: 0.03, initScale: 1 },
    losses: (routings, { model }) => ({ balance: pooled(routings, model.alpha) }),
    watched: { name: "leftOut", as: "number", look: leftOut },
  },
  "All sparse, no loss": {
    setting: { initScale: 1, alpha: 0.1 },
    losses: (routings, { model: { sparseEvery, alpha } }) => (sparseEvery > 1 ? { balance: pooled(routings, alpha) } : {}),
    watched: largestShare,
  },
  "No pressure on those who are left out": {
    setting: { router: "top-k", variant: { choices: 2 } },
    broken: ofTopK((options) => new LeftOut(options)),
    watched: { name: "pressure", as: "number", every: 5, look: pressure },
  },
  "A loss without an opinion": {
    setting: { initScale: 1, alpha: 0.1 },
    broken: ofSwitch((options) => new WithoutOpinion(options)),
    watched: largestShare,
  },
  "The loss that grows with k": {
    setting: { router: "top-k", variant: { choices: 4 } },
    broken: ofTopK((options) => new GrowsWithK(options)),
    watched: { name: "perAlpha", as: "number", look: (at) => added(at, "balance") / (at.setting.model.alpha * at.seen.length) },
  },
  "A sample of all experts": {
    setting: { router: "noisy-top-k", experts: 4, variant: { choices: 2 } },
    broken: ofNoisy((options) => new SampleOfExperts(options)),
    watched: { name: "overDefinition", as: "number", look: overDefinition },
  },
  "Apples, compared with oranges": {
    setting: { router: "noisy-top-k", variant: { choices: 2 } },
    right: ofNoisy((options) => new ShownLoad(options)),
    broken: ofNoisy((options) => new ApplesWithOranges(options)),
    watched: { name: "expectedExperts", as: "number", look: expected },
  },
  "A coefficient used as a switch": {
    broken: ofSwitch((options) => new AlphaAsSwitch(options)),
    watched: { name: "added", as: "number", look: total },
  },
};
