/**
 * The Switch router: each token goes to its best expert, and the router learns because that expert's output is weighed by its
 * probability, not renormalised: y = p_i(x) E_i(x), i = argmax p. Fedus et al. 2021, arXiv:2101.03961, eq. 1-6.
 * B sequences, T tokens of each, E experts, D width.
 */
import { noGrad } from "../autograd/context.ts";
import type { Key } from "../autograd/random.ts";
import { uniformLike } from "../autograd/random.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import type { ProjectionOptions } from "./projection.ts";
import { Projection, requireSizes } from "./projection.ts";
import { seatNobodyLeftBehind } from "./rerouting.ts";
import type { RouteRequest, RouterTraits } from "./router.ts";
import { Router, checkRequest } from "./router.ts";
import type { Routing } from "./routing.ts";
import type { RouterLossOptions, SeatingOptions } from "./tokenChoice.ts";
import { seat, tokenLosses } from "./tokenChoice.ts";

/** How the router explores while it trains (the paper's appendix C); in evaluation it never does. */
export interface Exploration {
  /** Multiplies the router's input, not the experts', by uniform numbers in [1 - jitter, 1 + jitter]. */
  readonly jitter?: number;
  /** Drops this share of the router's input. */
  readonly inputDropout?: number;
  /** Draws the expert from softmax(logits / temperature); 0 takes the best. The gate stays the probability at temperature 1. */
  readonly temperature?: number;
}

export interface SwitchOptions extends ProjectionOptions, SeatingOptions, RouterLossOptions, Exploration {
  /** How many of its choices a token without a slot may try: No-Token-Left-Behind, appendix B. 1: only its best. */
  readonly attempts?: number;
}

/** Defaults are the paper's: jitter 0.01, balance 0.01, initial scale 0.1. */
export class SwitchRouter extends Router {
  readonly experts: number;
  readonly traits: RouterTraits;
  readonly projection: Projection;
  readonly options: SwitchOptions;

  constructor(options: SwitchOptions) {
    super();
    const { experts, width, jitter = 0.01, temperature = 0, attempts = 1 } = options;
    requireSizes({ experts, width });
    if (!(jitter >= 0 && jitter < 1)) throw new RangeError(`jitter ${jitter}: must be in [0, 1)`);
    if (!(temperature >= 0)) throw new RangeError(`temperature ${temperature}: must be 0 or more`);
    if (!Number.isInteger(attempts) || attempts < 1 || attempts > experts)
      throw new RangeError(`attempts ${attempts}: must be a whole number from 1 to the ${experts} experts`);
    this.options = { ...options, jitter, balance: options.balance ?? 0.01 };
    this.experts = experts;
    this.projection = new Projection(options);
    this.traits = traitsOf(options);
  }

  route(request: RouteRequest): Routing {
    checkRequest(request, this.options.width);
    const { tokens, mask, pass } = request;
    const input = explored(this.projection.input(tokens, mask), this.options, pass);
    const logits = this.projection.forward(input); // [B, T, E]
    const probs = logits.softmax(-1);
    const expertOfChoice = choose(logits, this.options, pass).unsqueeze(2); // [B, T, 1]
    const losses = tokenLosses({ expertOfChoice, logits, probs }, request, this.options);
    const { attempts = 1 } = this.options;
    if (attempts > 1 && request.capacityFactor !== "dropless")
      return seatNobodyLeftBehind({ logits, probs, losses }, expertOfChoice, attempts, request, this.options);
    const gate = probs.takeAlong(expertOfChoice, 2);
    return seat({ experts: this.experts, expertOfChoice, gate, logits, probs, losses }, request, this.options);
  }
}

function traitsOf({ attempts = 1, priority = "position" }: SwitchOptions): RouterTraits {
  return {
    name: attempts > 1 ? "switch, no token left behind" : "switch",
    choosing: "tokens",
    choices: 1,
    capacity: true,
    // A later token's first choice may take the slot an earlier token hoped for as its second.
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

/** Uniform in [1 - jitter, 1 + jitter], one for each element. Section 2.4 and appendix C; appendix F adds, which only shifts. */
function jitterFactors(like: Tensor, jitter: number, key: Key): Tensor {
  return noGrad(() =>
    uniformLike(like.atLeast("float32"), key)
      .mul(2 * jitter)
      .add(1 - jitter)
      .cast(like.dtype),
  );
}

/** The best expert of each token, or one drawn by its probability. logits [B, T, E] -> [B, T] int32 */
function choose(logits: Tensor, { temperature = 0 }: Exploration, { training, random }: Pass): Tensor {
  if (!training || temperature === 0) return logits.argmax(-1);
  return noGrad(() =>
    logits
      .atLeast("float32")
      .div(temperature)
      .add(gumbel(logits, random.at("sample")))
      .argmax(-1),
  );
}

/** Noise under which argmax draws from the softmax. Gumbel 1954. */
function gumbel(like: Tensor, key: Key): Tensor {
  return uniformLike(like.atLeast("float32"), key).log().neg().log().neg();
}
