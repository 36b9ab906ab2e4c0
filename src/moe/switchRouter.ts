/**
 * The Switch router: each token goes to its best expert, and that expert's output is multiplied by its probability: y = p_i(x) E_i(x),
 * i = argmax p. The probability is not renormalised, and through it the router learns. Fedus et al. 2021, arXiv:2101.03961, eq. 1-6.
 * G groups, S tokens of a group, E experts, D width.
 */
import { noGrad } from "../autograd/context.ts";
import type { Key } from "../autograd/random.ts";
import { uniformLike } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import { checkOptions, finite, optional, rate, upTo } from "./arguments.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, projectionKinds, projectionOptions } from "./projection.ts";
import { choicesInTurns } from "./rerouting.ts";
import type { GroupedTokens, RouterOptions, RouterTraits } from "./router.ts";
import { Router, routerKinds } from "./router.ts";
import type { Choices } from "./seating.ts";

/** How the router explores while it trains (the paper's appendix C); in evaluation it never does. */
export interface Exploration {
  /** Multiplies the router's input, not that of the experts, by uniform numbers in [1 - jitter, 1 + jitter]. 0: none. */
  readonly jitter?: number;
  /** Sets this share of the elements of the router's input to 0, as dropout does. Default 0. */
  readonly inputDropout?: number;
  /** Draws the expert from softmax(logits / temperature); 0 (default) takes the best. The gate is the probability at temperature 1 either way. */
  readonly temperature?: number;
}

/** Options of a Switch router. By default `jitter` and `balance` have the paper's values, 0.01 each. */
export interface SwitchOptions extends ProjectionOptions, RouterOptions, Exploration {
  /** D */
  readonly width: number;
  /** How many experts a token tries, the best first, until one has a slot: No-Token-Left-Behind, appendix B. Default 1: only its best. */
  readonly attempts?: number;
}

/**
 * Sends each token to the one expert with the largest probability, which is also its gate: p = softmax(x W), i = argmax p, y = p_i E_i(x).
 * Adds the load-balancing loss (coefficient 0.01) and, while training, jitter of 1 % on its own input. Of equal logits the lowest index wins.
 * Throws for an option that it does not know or that is out of range. Fedus et al. 2021, arXiv:2101.03961, eq. 1-6 and appendix C.
 */
export class SwitchRouter extends Router {
  readonly projection: Projection;
  readonly options: SwitchOptions;

  constructor(options: SwitchOptions) {
    checkOptions<SwitchOptions>("SwitchRouter", options, {
      ...projectionKinds,
      ...routerKinds,
      width: projectionKinds.width,
      jitter: optional(rate),
      inputDropout: optional(rate),
      temperature: optional(finite(0)),
      attempts: optional(upTo(options?.experts)),
    });
    const given = { ...options, jitter: options.jitter ?? 0.01, balance: options.balance ?? 0.01 };
    super(given, traitsOf(options));
    this.options = given;
    this.projection = new Projection(projectionOptions(options));
  }

  protected choose(x: Tensor, tokens: GroupedTokens): Choices {
    const { pass, capacity, mask } = tokens;
    const { attempts = 1 } = this.options;
    const logits = this.projection.forward(explored(this.projection.input(x), this.options, pass)); // [G, S, E]
    const probs = logits.softmax(-1);
    const best = chosen(logits, this.options, pass).unsqueeze(2); // [G, S, 1]
    const gate = probs.takeAlong(best, 2);
    if (attempts === 1 || capacity === null) return { expertOfChoice: best, gate, logits, probs };
    const order = this.order(gate, pass);
    const { expert, position } = choicesInTurns(logits, best, { attempts, capacity, mask, order });
    return { expertOfChoice: expert, position, gate: probs.takeAlong(expert.maximum(0), 2), logits, probs, counted: best };
  }
}

function traitsOf({ attempts = 1, priority = "position" }: SwitchOptions): RouterTraits {
  return {
    name: attempts > 1 ? "switch, no token left behind" : "switch",
    choosing: "tokens",
    choices: 1,
    capacity: true,
    // With several attempts, a later token's first choice may take the slot that an earlier token would have had as its second.
    time: priority === "position" && attempts === 1 ? "causal" : "dropless",
    gatesSumToOne: false,
    learns: true,
    scores: "softmax",
    readsIds: false,
  };
}

/** The router's input with its training noise. */
function explored(input: Tensor, { jitter = 0, inputDropout = 0 }: Exploration, { training, random }: Pass): Tensor {
  if (!training) return input;
  const jittered = jitter > 0 ? input.mul(jitterFactors(input, jitter, random.at("jitter"))) : input;
  return inputDropout > 0 ? jittered.dropout(inputDropout, random.at("inputDropout")) : jittered;
}

/** Uniform in [1 - jitter, 1 + jitter], one for each element. Appendix C; the pseudo-code of appendix F adds such numbers to the logits instead. */
function jitterFactors(like: Tensor, jitter: number, key: Key): Tensor {
  return noGrad(() =>
    uniformLike(like.atLeast("float32"), key)
      .mul(2 * jitter)
      .add(1 - jitter)
      .cast(like.dtype),
  );
}

/** The best expert of each token, or one drawn by its probability. logits [G, S, E] -> [G, S] int32 */
function chosen(logits: Tensor, { temperature = 0 }: Exploration, { training, random }: Pass): Tensor {
  if (!training || temperature === 0) return logits.argmax(-1);
  return noGrad(() =>
    logits
      .atLeast("float32")
      .div(temperature)
      .add(gumbel(logits, random.at("sample")))
      .argmax(-1),
  );
}

/** Gumbel noise: with it added to logits, argmax draws from their softmax, and the K largest are a draw without replacement. Gumbel 1954. */
export function gumbel(like: Tensor, key: Key): Tensor {
  return uniformLike(like.atLeast("float32"), key).log().neg().log().neg();
}
