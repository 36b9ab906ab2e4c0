/** Bugs of gates, noise and what experts are given, switched on in training. G groups, S tokens of a group, T tokens, D width, E experts, K choices. */
import type { Key, Tensor } from "../../../../src/index.ts";
import { arange, concat, gradients, key, noGrad, random, tensor, zeros } from "../../../../src/index.ts";
import type { Choices, GroupedTokens, MoEOptions, RouteRequest, Routing } from "../../../../src/moe/index.ts";
import { ExpertChoiceRouter, FeedForwardExperts, NoisyTopKRouter, SwitchRouter, TopKRouter, loadBalance, slotRouting, sortedRouting } from "../../../../src/moe/index.ts"; // prettier-ignore
import { evaluation } from "../../../../src/nn/index.ts";
import type { Change, Seen } from "./layer.ts";
import { ofNoisy, ofSwitch, ofTopK } from "./layer.ts";
import type { Look, Trained } from "./look.ts";
import { choicesOf, mean, meanOver, numbers, summedOver } from "./look.ts";
import { OwnBalance, leftOut } from "./losses.ts";

/** The gate multiplies what goes into the experts. */
class GateBefore extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    const ungated = withGates(routing, routing.books.gate.mul(0).add(1));
    return { ...ungated, books: routing.books, dispatch: (x) => ungated.dispatch(x.mul(routing.books.gate)) };
  }
}

/** The same routing with other gates. */
function withGates({ kind, books, losses, layout }: Routing, gate: Tensor): Routing {
  const base = { books: { ...books, gate }, losses };
  return kind === "sorted" ? sortedRouting(base, layout.experts) : slotRouting(base, layout.experts, layout.lead[1], 1);
}

/** Softmax of what is a softmax already. */
class TwiceSoftmax extends OwnBalance {
  protected balance({ expertOfChoice, probs }: Choices, alpha: number): Tensor {
    return loadBalance({ expertOfChoice, probs: probs.softmax(-1) }).mul(alpha);
  }
}

/** The second choice is the best when the probability of the first has been multiplied by 0. */
class SecondByProduct extends TopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const { logits, probs } = super.choose(x, tokens);
    const first = probs.argmax(-1); // [G, S]
    const second = probs.mul(first.oneHot(this.experts).mul(-1).add(1)).argmax(-1);
    const expertOfChoice = concat([first.unsqueeze(2), second.unsqueeze(2)], 2);
    return { expertOfChoice, gate: probs.takeAlong(expertOfChoice, 2), logits, probs };
  }
}

/** KeepTopK as v mask + (1 - mask) (-Infinity). */
class TimesInfinity extends NoisyTopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const { logits: v, expertOfChoice } = choices;
    const mask = v.rank(-1, { descending: true }).less(this.options.choices).cast(v.dtype);
    const probs = v.mul(mask).add(mask.neg().add(1).mul(-Infinity)).softmax(-1);
    return { ...choices, probs, gate: probs.takeAlong(expertOfChoice, 2) };
  }
}

/** Numbers in [1 - jitter, 1 + jitter]. */
const jitterOf = (like: Tensor, jitter: number, at: Key): Tensor =>
  noGrad(() => random.uniformLike(like, at.at("jitter")).mul(2 * jitter).add(1 - jitter)); // prettier-ignore

/** The hidden states are overwritten by their noisy selves, which the experts are given. */
class NoiseHeard extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    const { tokens, pass } = request;
    if (!pass.training) return routing;
    const noise = jitterOf(tokens, this.options.jitter ?? 0, pass.random);
    return { ...routing, dispatch: (x) => routing.dispatch(x.mul(noise.reshape(x.shape))) };
  }
}

/** Noise around 1 is added to the logits; the input is left as it is. */
class JitterAdded extends SwitchRouter {
  protected override choose(x: Tensor, { pass }: GroupedTokens): Choices {
    const clean = this.projection.forward(x); // [G, S, E]
    const logits = pass.training ? clean.add(jitterOf(clean, this.options.jitter ?? 0, pass.random)) : clean;
    const probs = logits.softmax(-1);
    const best = logits.argmax(-1).unsqueeze(2);
    return { expertOfChoice: best, gate: probs.takeAlong(best, 2), logits, probs };
  }
}

/** Nobody told the router that this is an evaluation. */
class AlwaysTraining extends NoisyTopKRouter {
  #drawn = 0;

  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    if (tokens.pass.training) return super.choose(x, tokens);
    return super.choose(x, { ...tokens, pass: { ...tokens.pass, training: true, random: key(this.#drawn++).at("dice") } });
  }
}

/** A small number times the index is taken from the scores, to make ties definite. */
class TieBreaker extends TopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const scores = choices.logits.sigmoid();
    const index = arange(0, this.experts, 1, { dtype: "float32" });
    const best = scores.sub(index.mul(3e-7)).argmax(-1).unsqueeze(2);
    return { ...choices, expertOfChoice: best, gate: scores.takeAlong(best, 2), counted: best };
  }
}

/** Experts are weighed by the sum that chose them, bias included. */
class BiasWeighs extends TopKRouter {
  protected override choose(x: Tensor, tokens: GroupedTokens): Choices {
    const choices = super.choose(x, tokens);
    const bias = this.bias ?? zeros([this.experts]);
    return { ...choices, gate: choices.gate.add(bias.broadcastTo(choices.probs.shape).takeAlong(choices.expertOfChoice, 2)) };
  }
}

/** A router of K 1 whose scores are sigmoids, which are its gates too. */
const sigmoid = (biasRate: number): Change =>
  ofTopK((options) => new TopKRouter({ ...options, choices: 1, scores: "sigmoid", normalise: "none", balance: 0, biasRate }));

/** All experts begin as copies of the first. */
function copies(right: MoEOptions): MoEOptions {
  if (!(right.experts instanceof FeedForwardExperts)) throw new TypeError("copies: want FeedForwardExperts");
  for (const weight of [right.experts.hidden, right.experts.output])
    noGrad(() => weight.assign(weight.narrow(0, 0, 1).broadcastTo(weight.shape).contiguous()));
  return right;
}

/** Experts choose among all tokens of a sequence, later ones too. */
const expertsChoose: Change = ofSwitch(
  ({ width, experts, random: at, initializer }) =>
    new ExpertChoiceRouter({
      width,
      experts,
      random: at,
      average: 1,
      group: "sequence",
      allowCausal: true,
      ...(initializer && { initializer }),
    }),
);

// What betrays them

/** Root mean square of what the layer gives for tokens without a slot. */
function ofDropped({ output, routing }: Seen): number {
  const lost = routing.books.slotOfChoice.max(1).less(0).cast("float32"); // [T]
  const rows = output.reshape([lost.size, -1]).square().mean(1);
  return Math.sqrt(rows.mul(lost).sum().div(lost.sum().maximum(1)).itemSync());
}

/** How far the layer's output is from the gate times E(x), relative to its size. */
function fromFormula({ x, output, routing, pass }: Seen, at: Look, layer: number): number {
  const plain = withGates(routing, routing.books.gate);
  const flat = x.reshape([-1, x.shape[2]]);
  const y = plain.combine(at.layers[layer].experts.forward(plain.dispatch(flat), plain.layout, pass));
  return relative(output.reshape(y.shape), y);
}

/** How far the experts' rows are from their tokens, relative to their size. */
function fromTokens({ x, routing }: Seen): number {
  const flat = x.reshape([-1, x.shape[2]]);
  return relative(routing.dispatch(flat), withGates(routing, routing.books.gate).dispatch(flat));
}

const relative = (x: Tensor, y: Tensor): number => Math.sqrt(x.sub(y).square().sum().div(y.square().sum().maximum(1e-30)).itemSync());

/** Norm of the gradient of the task's loss alone by the weights of the routers. */
function taskGradient({ model, layers, task, at }: Look): number {
  const weights = layers.flatMap(({ router }) => (router instanceof TopKRouter ? [router.projection.weight] : []));
  const found = gradients(task.forward(model, at).loss, weights);
  return Math.sqrt(found.reduce((sum, g) => sum + g.square().sum().itemSync(), 0));
}

/** Tokens that have one expert twice. */
function twice({ routing }: Seen): number {
  const pairs = choicesOf(routing).map(({ token, expert }) => `${token}:${expert}`);
  return pairs.length - new Set(pairs).size;
}

/** Share of gates that are no number. */
const notNumbers = ({ routing }: Seen): number => mean(Array.from(numbers(routing.books.gate), (g) => Number(Number.isNaN(g))));

/** Mean logit of a token of zeros in training. */
function logitOfZero({ layers: [{ router }], setting: { model }, at }: Look): number {
  const { books } = router.route({ tokens: zeros([1, 8, model.width]), capacityFactor: "dropless", causal: true, pass: at.pass });
  return books.logits.mean().itemSync();
}

/** Difference of two evaluations of one batch, in bits. */
function evaluatedTwice({ model, task, at }: Look): number {
  const evaluate = (): number => noGrad(() => task.forward(model, { ...at, pass: evaluation }).loss.itemSync()) / Math.LN2;
  return Math.abs(evaluate() - evaluate());
}

/** Tokens for which an expert that they did not get has a larger score. */
function outscored({ routing: { books } }: Seen): number {
  const scores = books.logits.sigmoid();
  return scores.max(1, { keepDims: true }).greater(scores.takeAlong(books.expertOfChoice, 1)).sum().itemSync();
}

/** Mean difference between gate and score. */
const gateLessScore = ({ routing: { books } }: Seen): number => books.gate.sub(books.logits.sigmoid().takeAlong(books.expertOfChoice, 1)).abs().mean().itemSync(); // prettier-ignore

/** How far experts are from their mean, relative to their own size. */
function apart({ experts }: { readonly experts: unknown }): number {
  if (!(experts instanceof FeedForwardExperts)) return NaN;
  const { hidden } = experts;
  const away = hidden
    .sub(hidden.mean(0, { keepDims: true }))
    .square()
    .sum();
  return Math.sqrt(away.div(hidden.square().sum()).itemSync());
}

/** Mean change of the logits for the first half of each sequence when the second half is another. */
function readsAhead({ model, setting: { training } }: Look): number {
  const { length } = training;
  const ids = (seed: number): Tensor => tensor(Int32Array.from({ length: 4 * length }, (_, i) => (i % length < length / 2 ? 97 + (i % 26) : 97 + Math.floor(26 * key(seed).number(i)))), { shape: [4, length] }); // prettier-ignore
  const first = (seed: number): Tensor => model.forward(ids(seed), {}, evaluation).logits.narrow(1, 0, length / 2);
  return noGrad(() => first(1).sub(first(2)).abs().mean().itemSync());
}

export const gates: Readonly<Record<string, Trained>> = {
  "The dropped token that was scaled": {
    setting: { capacityFactor: 0.5 },
    broken: (right) => ({ ...right, dropped: "gatedInput" }),
    watched: { name: "ofDropped", as: "number", look: (at) => meanOver(at, ofDropped) },
  },
  "The gate at the wrong door": {
    setting: { variant: { kind: "gelu" } },
    broken: ofSwitch((options) => new GateBefore(options)),
    watched: { name: "fromFormula", as: "percent", look: (at) => meanOver(at, (seen, layer) => fromFormula(seen, at, layer)) },
  },
  "The router that cannot learn": {
    setting: { router: "top-k", capacityFactor: 2, variant: { choices: 1 } },
    broken: ofTopK((options) => new TopKRouter({ ...options, normalise: "after" })),
    watched: { name: "taskGradient", as: "number", every: 5, look: taskGradient },
  },
  "Softmax of a softmax": {
    setting: { initScale: 1 },
    broken: ofSwitch((options) => new TwiceSoftmax(options)),
    watched: { name: "leftOut", as: "number", look: leftOut },
  },
  "Twice the same expert": {
    setting: { router: "top-k", capacityFactor: 2, variant: { choices: 2, routerDeviation: 30 } },
    broken: ofTopK((options) => new SecondByProduct(options)),
    watched: { name: "twice", as: "count", look: (at) => summedOver(at, twice) },
  },
  "Zero times infinity": {
    setting: { router: "noisy-top-k", variant: { choices: 2 } },
    broken: ofNoisy((options) => new TimesInfinity(options)),
    watched: { name: "notNumbers", as: "percent", look: (at) => meanOver(at, notNumbers) },
  },
  "The noise that experts heard": {
    setting: { jitter: 0.1 },
    broken: ofSwitch((options) => new NoiseHeard(options)),
    watched: { name: "fromTokens", as: "percent", look: (at) => meanOver(at, fromTokens) },
  },
  "Jitter that only shifts": {
    setting: { jitter: 0.1 },
    broken: ofSwitch((options) => new JitterAdded(options)),
    watched: { name: "logitOfZero", as: "number", every: 5, look: logitOfZero },
  },
  "Evaluation that rolls dice": {
    setting: { router: "noisy-top-k", variant: { choices: 2 } },
    broken: ofNoisy((options) => new AlwaysTraining(options)),
    watched: { name: "evaluatedTwice", as: "number", every: 10, look: evaluatedTwice },
  },
  "A tie-breaker that breaks more than ties": {
    setting: { router: "top-k", capacityFactor: 2, variant: { choices: 1, routerDeviation: 3 } },
    right: sigmoid(0),
    broken: ofTopK((options) => new TieBreaker(options)),
    watched: { name: "outscored", as: "count", look: (at) => summedOver(at, outscored) },
  },
  "The bias that was only meant to choose": {
    setting: { router: "top-k", variant: { choices: 1 } },
    right: sigmoid(0.01),
    broken: ofTopK((options) => new BiasWeighs(options)),
    watched: { name: "gateLessScore", as: "number", look: (at) => meanOver(at, gateLessScore) },
  },
  "Eight copies of one expert": {
    broken: copies,
    watched: { name: "apart", as: "percent", look: ({ layers }) => mean(layers.map(apart)) },
  },
  "A model that reads the answer": {
    broken: expertsChoose,
    watched: { name: "readsAhead", as: "number", every: 10, look: readsAhead },
  },
};
