/** Generation: text token by token, from a language model or an encoder-decoder. T tokens, V vocabulary. */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { aKey, aTensor, check, checkOptions, either, flag, having, listOf, optional, whole } from "../autograd/arguments.ts";
import type { Key } from "../autograd/random.ts";
import type { LanguageModel } from "./evaluate.ts";
import { Reading, numbersOf, open, textsOf, waiting } from "./reading.ts";
import type { Logits, Prompts, TextToText, Writing } from "./reading.ts";
import { sample, sampleKinds } from "./sample.ts";
import type { SampleOptions } from "./sample.ts";

/** Options of generation: how long texts may grow, and what ends them. */
export interface WritingOptions {
  /** The largest number of tokens to write. */
  readonly tokens: number;
  /** Stops after this token, or after any of these. */
  readonly stop?: number | readonly number[];
  /** The id that shorter texts of a batch are padded with; it is masked, so any id will do. Default 0. */
  readonly padding?: number;
  /**
   * Whether keys and values of earlier tokens are kept. With false everything is read again at each step, which gives the same text more
   * slowly. Default true.
   */
  readonly cache?: boolean;
}

/** Options of `generate`. */
export interface GenerateOptions extends SampleOptions, WritingOptions {
  /** The key that tokens are drawn from; the same key gives the same text. Needed unless the temperature is 0. */
  readonly random?: Key;
  /** The most tokens that the model sees at once. When a text grows longer, its older half is dropped. Default: no limit. */
  readonly context?: number;
}

/** Options of `generateBatch`. */
export type GenerateBatchOptions = Omit<GenerateOptions, "context">;

/** What was written after one prompt. */
export interface Written {
  /** The ids written, with the stop token if it was reached. */
  readonly ids: readonly number[];
  /** Sum of the logarithms of their probabilities (natural, at temperature 1). */
  readonly logProbability: number;
}

export const writingKinds: Kinds<WritingOptions> = {
  tokens: whole(0, 2 ** 31 - 1),
  stop: optional(either(whole(0), listOf(whole(0)))),
  padding: optional(whole(0)),
  cache: optional(flag),
};

const batchKinds: Kinds<GenerateBatchOptions> = { ...writingKinds, ...sampleKinds, random: optional(aKey) };

const kinds: Kinds<GenerateOptions> = {
  ...batchKinds,
  context: optional({
    wanted: "a whole number of 1 or more, or Infinity",
    accepts: (value) => value === Infinity || (Number.isInteger(value) && Number(value) >= 1),
  }),
};

export const aModel: Kind = either(
  having("a language model: an object with forward(ids, input, pass)", "forward"),
  having("an encoder-decoder", "encode", "given", "start"),
);

const aPrompt: Kind = {
  wanted: "an array of ids, not empty",
  accepts: (value) => listOf(whole(0)).accepts(value) && Array.isArray(value) && value.length > 0,
};

export const somePrompts: Kind = {
  wanted: "an array of prompts, not empty, each an array of ids, not empty; or { ids, mask }, tensors",
  accepts: (value) =>
    (listOf(aPrompt).accepts(value) && Array.isArray(value) && value.length > 0) ||
    (having("", "ids").accepts(value) && holdsTensors(value)),
};

function holdsTensors(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every((x) => x === undefined || aTensor.accepts(x));
}

/**
 * Yields the ids that a language model writes after `prompt`, or an encoder-decoder as its output for it. Keys and values of the tokens read are
 * kept, so that each new token costs one step. The model runs in evaluation and records nothing; all is freed, also when the loop ends early.
 * Throws for a prompt that is no list of ids.
 */
export async function* generate(
  model: LanguageModel | TextToText,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number> {
  check("generate", "model", model, aModel);
  check("generate", "prompt", prompt, aPrompt);
  checkOptions("generate", options, kinds);
  requireKey("generate", options);
  const { tokens, random, context = Infinity, stop, cache = true, temperature, topK, topP } = options;
  const sampling = sampleOptions({ temperature, topK, topP });
  if (tokens === 0) return;
  const opened = open(model, [prompt]);
  const reading = new Reading(opened.model, cache);
  try {
    const text = opened.prompts[0].slice(-context);
    let [logits] = await numbersOf(reading.begin([text]));
    for (let i = 0; ; i++) {
      const id = sample(logits, sampling, drawAt(random, i));
      yield id;
      if (i + 1 === tokens || stops(stop, id)) return;
      text.push(id);
      if (text.length > context) {
        text.splice(0, text.length - Math.ceil(context / 2));
        [logits] = await numbersOf(reading.begin([text]));
      } else [logits] = await numbersOf(reading.next([id]));
    }
  } finally {
    reading.close();
    opened.close();
  }
}

/**
 * Returns what a language model writes after each prompt of a batch, or an encoder-decoder as its output for each. Prompts may differ in length:
 * shorter ones are padded and the padding is masked, so that the text of a prompt does not depend on the other prompts. Row b is drawn as
 * `generate` draws from `random.at(b)`. Throws for prompts that are no lists of ids.
 */
export async function generateBatch(
  model: LanguageModel | TextToText,
  prompts: Prompts,
  options: GenerateBatchOptions,
): Promise<Written[]> {
  check("generateBatch", "model", model, aModel);
  check("generateBatch", "prompts", prompts, somePrompts);
  checkOptions("generateBatch", options, batchKinds);
  requireKey("generateBatch", options);
  return waiting(writeBatch(model, await textsOf("generateBatch", prompts), options));
}

/** `generateBatch` as a generator that yields logits and is given their numbers. */
export function* writeBatch(
  model: LanguageModel | TextToText,
  texts: readonly (readonly number[])[],
  options: GenerateBatchOptions,
): Writing<Written[]> {
  const { tokens, random, stop, padding = 0, cache = true, temperature, topK, topP } = options;
  const sampling = sampleOptions({ temperature, topK, topP });
  const rows = texts.map(() => ({ ids: [] as number[], logProbability: 0, ended: tokens === 0 }));
  if (tokens === 0) return rows.map(finished);
  const opened = open(model, texts, padding);
  const reading = new Reading(opened.model, cache);
  try {
    let logits = yield reading.begin(opened.prompts, padding);
    for (let i = 0; ; i++) {
      const next = rows.map((row, b) => {
        if (row.ended) return padding;
        const id = sample(logits[b], sampling, drawAt(random?.at(b), i));
        row.ids.push(id);
        row.logProbability += logProbabilityOf(logits[b], id);
        row.ended = stops(stop, id);
        return id;
      });
      if (i + 1 === tokens || rows.every(({ ended }) => ended)) return rows.map(finished);
      logits = yield reading.next(next);
    }
  } finally {
    reading.close();
    opened.close();
  }
}

function finished({ ids, logProbability }: Written): Written {
  return { ids, logProbability };
}

export function stops(stop: WritingOptions["stop"], id: number): boolean {
  return typeof stop === "number" ? stop === id : (stop?.includes(id) ?? false);
}

/** log softmax(logits)[id]. */
function logProbabilityOf(logits: Logits, id: number): number {
  return logits[id] - logSumExp(logits);
}

export function logSumExp(logits: Logits): number {
  let most = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > most) most = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) if (logits[i] > -Infinity) sum += Math.exp(logits[i] - most);
  return most + Math.log(sum);
}

function sampleOptions(given: { [K in keyof SampleOptions]: SampleOptions[K] | undefined }): SampleOptions {
  const { temperature = 1, topK = Infinity, topP = 1 } = given;
  return { temperature, topK, topP };
}

function drawAt(random: Key | undefined, i: number): number {
  return random?.at(i).number() ?? 0;
}

function requireKey(where: string, { random, temperature = 1 }: Pick<GenerateOptions, "random" | "temperature">): void {
  if (!random && temperature !== 0) check(where, "random", random, aKey);
}
