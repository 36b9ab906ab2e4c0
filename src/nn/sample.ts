/** How the next token is drawn from its logits. V vocabulary. */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { check, checkOptions, optional, rate } from "../autograd/arguments.ts";

/** How a token is drawn from its probabilities: temperature, top-k and nucleus sampling. */
export interface SampleOptions {
  /** Divides the logits: below 1 likely tokens become likelier, above 1 less likely; 0 always takes the likeliest. Default 1. */
  readonly temperature?: number;
  /** Draws only from the k likeliest tokens. Default: from all. Fan et al. 2018, arXiv:1805.04833. */
  readonly topK?: number;
  /** Draws only from the likeliest tokens that together reach this probability. Default 1. Holtzman et al. 2019, arXiv:1904.09751. */
  readonly topP?: number;
}

const aNumber = (wanted: string, fits: (value: number) => boolean): Kind => ({
  wanted,
  accepts: (value) => typeof value === "number" && fits(value),
});

export const sampleKinds: Kinds<SampleOptions> = {
  temperature: optional(aNumber("a number of 0 or more", (value) => value >= 0)),
  topK: optional(
    aNumber("a whole number of 1 or more, or Infinity", (value) => value === Infinity || (Number.isInteger(value) && value >= 1)),
  ),
  topP: optional(aNumber("a number above 0, to 1", (value) => value > 0 && value <= 1)),
};

const someLogits: Kind = {
  wanted: "an array of numbers, not empty",
  accepts: (value) => typeof value === "object" && value !== null && "length" in value && Number(value.length) > 0,
};

/**
 * Draws one id from softmax(logits [V] / temperature), limited as the options say. `u` is a uniform random number in [0, 1). Of ids that are
 * equally likely the lowest comes first; an id of probability 0 is never drawn. Throws where no logit is a number above -Infinity. Top-k: Fan et
 * al. 2018, arXiv:1805.04833; nucleus sampling: Holtzman et al. 2019, arXiv:1904.09751.
 */
export function sample(logits: ArrayLike<number>, options: SampleOptions, u: number): number {
  check("sample", "logits", logits, someLogits);
  checkOptions("sample", options, sampleKinds);
  check("sample", "u", u, rate);
  const candidates = candidatesOf(logits, options);
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  let rest = u * total;
  for (const { id, weight } of candidates) if ((rest -= weight) < 0) return id;
  return candidates[candidates.length - 1].id;
}

interface Candidate {
  readonly id: number;
  readonly weight: number;
}

/** The ids that may be drawn, likeliest first, lowest id first among equals, with unnormalised probabilities. */
function candidatesOf(logits: ArrayLike<number>, { temperature = 1, topK = Infinity, topP = 1 }: SampleOptions): Candidate[] {
  const kept = likeliest(logits, temperature === 0 ? 1 : topK);
  if (kept.length === 0) throw new RangeError(`sample: none of ${logits.length} logits is a number above -Infinity`);
  const top = logits[kept[0]]; // where it is Infinity, all logits of Infinity are equally likely, and the others have probability 0
  const weights = kept.map((id) => (logits[id] === top ? 1 : top === Infinity ? 0 : Math.exp((logits[id] - top) / temperature)));
  const enough = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  return kept.flatMap((id, i) => {
    if (weights[i] === 0 || (i > 0 && topP < 1 && reached >= enough)) return [];
    reached += weights[i];
    return { id, weight: weights[i] };
  });
}

/** The ids of the `count` largest numbers above -Infinity (no NaN), largest first, lowest id first among equals. */
export function likeliest(logits: ArrayLike<number>, count: number): number[] {
  if (count > 64) {
    const all = Array.from(logits, (_, id) => id).filter((id) => logits[id] > -Infinity);
    return all.sort((a, b) => logits[b] - logits[a]).slice(0, count); // stable: lowest id first
  }
  const best: number[] = []; // few of many: no sorting of a vocabulary
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id];
    if (!(value > -Infinity) || (best.length === count && value <= logits[best[count - 1]])) continue;
    let at = Math.min(best.length, count - 1);
    for (; at > 0 && logits[best[at - 1]] < value; at--) best[at] = best[at - 1];
    best[at] = id;
  }
  return best;
}
