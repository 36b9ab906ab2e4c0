/** Writing on: sampling from a language model token by token. T tokens, V vocabulary. */
import { noGrad } from "../autograd/context.ts";
import { tensor } from "../autograd/create.ts";
import type { Key } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { LanguageModel } from "./evaluate.ts";
import { evaluation } from "./evaluate.ts";
import type { KeyValues } from "./multiHeadAttention.ts";

export interface SampleOptions {
  /** Divides the logits: below 1 bolder, above 1 more varied; 0 always takes the likeliest. Default 1. */
  readonly temperature?: number;
  /** Only the k likeliest. Fan et al. 2018, arXiv:1805.04833. */
  readonly topK?: number;
  /** Only the likeliest that together reach this probability. Holtzman et al. 2019, arXiv:1904.09751. */
  readonly topP?: number;
}

export interface GenerateOptions extends SampleOptions {
  /** How many tokens to write. */
  readonly tokens: number;
  /** Where to draw from: the same key, the same text. */
  readonly random: Key;
  /** The longest stretch the model is shown at once. Beyond it the older half is forgotten. Default: no limit. */
  readonly context?: number;
  /** Stops after this token. */
  readonly stop?: number;
}

/**
 * Yields the ids that follow `prompt`. Keys and values of what has been read are kept, so that each new token costs one step.
 * Nothing is drawn inside the model, recorded, or left behind.
 */
export async function* generate(model: LanguageModel, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number> {
  if (prompt.length === 0) throw new RangeError("generate: the prompt is empty; give at least one id");
  const { tokens, random, context = Infinity, stop } = options;
  checkSampling(options);
  const text = prompt.slice(-context);
  let unread = [...text];
  let past: KeyValues[] | undefined;
  try {
    for (let i = 0; i < tokens; i++) {
      if (text.length > context) {
        text.splice(0, text.length - Math.ceil(context / 2));
        unread = [...text];
        release(past);
        past = undefined;
      }
      const { logits, seen } = read(model, unread, past);
      release(past);
      past = seen;
      const id = sample(await logits.data(), options, random.at(i).number());
      logits.dispose();
      yield id;
      if (id === stop) return;
      text.push(id);
      unread = [id];
    }
  } finally {
    release(past);
  }
}

/** The logits after the last id, [V], and the keys and values of everything so far. */
function read(model: LanguageModel, ids: readonly number[], past: KeyValues[] | undefined) {
  return noGrad(() =>
    scope(() => {
      const { logits, seen } = model.forward(tensor(Int32Array.from(ids), { shape: [1, ids.length] }), { past }, evaluation);
      return { logits: logits.slice([0, 1], [ids.length - 1, ids.length]).reshape([-1]), seen };
    }),
  );
}

function release(past: readonly KeyValues[] | undefined): void {
  for (const { keys, values } of past ?? []) {
    keys.dispose();
    values.dispose();
  }
}

function checkSampling({ temperature = 1, topK, topP }: SampleOptions): void {
  if (!(temperature >= 0)) throw new RangeError(`generate: temperature ${temperature} is not 0 or more`);
  if (topK !== undefined && !(Number.isInteger(topK) && topK > 0))
    throw new RangeError(`generate: topK ${topK} is not a whole number above 0`);
  if (topP !== undefined && !(topP > 0 && topP <= 1)) throw new RangeError(`generate: topP ${topP} is not in (0, 1]`);
}

/** One id drawn from softmax(logits / temperature), cut as the options say; `u` in [0, 1) decides. */
export function sample(logits: ArrayLike<number>, options: SampleOptions, u: number): number {
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

/** What may be drawn, likeliest first, lowest id first among equals, with unnormalised probabilities. */
function candidatesOf(logits: ArrayLike<number>, { temperature = 1, topK = Infinity, topP = 1 }: SampleOptions): Candidate[] {
  const order = Array.from(logits, (_, id) => id).filter((id) => logits[id] > -Infinity); // NaN neither
  order.sort((a, b) => logits[b] - logits[a] || a - b);
  if (order.length === 0) throw new RangeError(`sample: none of ${logits.length} logits is a number above -Infinity`);
  const kept = order.slice(0, temperature === 0 ? 1 : topK);
  const top = logits[kept[0]]; // may be Infinity: then those that are, alike, and nothing else
  const weights = kept.map((id) => (logits[id] === top ? 1 : top === Infinity ? 0 : Math.exp((logits[id] - top) / temperature)));
  const enough = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  return kept.flatMap((id, i) => {
    if (weights[i] === 0 || (i > 0 && topP < 1 && reached >= enough)) return [];
    reached += weights[i];
    return { id, weight: weights[i] };
  });
}
