/** The task of fine-tuning: write a target for an input. */
import type { Key } from "switchyard-moe";
import type { EncoderDecoder } from "switchyard-moe/nn";
import { editDistance } from "./editDistance.ts";
import { evaluatePairs } from "./pairEvaluation.ts";
import type { PairEvaluation } from "./pairEvaluation.ts";
import type { Pair } from "./pairs.ts";
import { collatePairs } from "./pairs.ts";
import type { Predicted, PredictingTask, Progress } from "./predicting.ts";
import { hardLoss, predictPairs } from "./predicting.ts";
import { spread } from "./sequences.ts";
import type { At, Forwarded } from "./task.ts";
import type { TextPair, TextPairs } from "./textPairs.ts";
import { END } from "./vocabulary.ts";
import { write } from "./writing.ts";

/** Held-out pairs that a validation during training looks at, and that are written at the end. */
const [QUICK, WRITTEN] = [256, 400];

/** What was written for a pair. */
export interface Answer extends TextPair {
  readonly written: string;
}

export interface Answers {
  /** Share of the pairs that were written without a fault. */
  readonly exact: number;
  /** Parts that must be changed, over parts of the targets. */
  readonly errorRate: number;
  readonly answers: readonly Answer[];
}

export class PairTask implements PredictingTask<EncoderDecoder> {
  readonly unit = "bits/token";
  readonly tokens: number;
  readonly data: TextPairs;
  readonly #batch: number;
  readonly #training: readonly Pair[];
  /** Encoded. */
  readonly heldOut: readonly Pair[];
  /** Tokens of the longest target, and some more. */
  readonly #most: number;

  constructor(data: TextPairs, { batch }: { readonly batch: number }) {
    this.data = data;
    this.#batch = batch;
    this.#training = data.training.map(encoded);
    this.heldOut = data.heldOut.map(encoded);
    this.tokens = Math.round(batch * mean(this.#training.map(({ input, target }) => input.length + target.length)));
    this.#most = this.#training.reduce((most, { target }) => Math.max(most, target.length), 0) + 8;
  }

  pairs(random: Key): Pair[] {
    return Array.from({ length: this.#batch }, (_, b) => this.#training[Math.floor(random.number(b) * this.#training.length)]);
  }

  predict(model: EncoderDecoder, { batch, pass }: At): Predicted {
    return predictPairs(model, collatePairs(this.pairs(batch)), pass);
  }

  forward(model: EncoderDecoder, at: At): Forwarded {
    return hardLoss(this.predict(model, at));
  }

  async validate(model: EncoderDecoder): Promise<number> {
    return (await evaluatePairs(model, spread(this.heldOut, QUICK), { batch: this.#batch, languages: 1 })).bitsPerToken;
  }

  async score(model: EncoderDecoder, progress: Progress): Promise<number> {
    return (await this.evaluate(model, progress)).bitsPerToken;
  }

  /** On all that is held out. */
  evaluate(model: EncoderDecoder, progress: Progress): Promise<PairEvaluation> {
    return evaluatePairs(model, this.heldOut, { batch: this.#batch, languages: 1, progress });
  }

  /** What the model writes for some of the pairs, evenly spread. */
  async answers(model: EncoderDecoder, of: "training" | "heldOut", progress: Progress): Promise<Answers> {
    const pairs = spread(this.data[of], WRITTEN);
    const answers: Answer[] = [];
    for (let i = 0; i < pairs.length; i += this.#batch) {
      progress(i / pairs.length);
      const part = pairs.slice(i, i + this.#batch);
      const rows = await write(model, part.map((pair) => encoded(pair).input), this.#most); // prettier-ignore
      answers.push(...part.map((pair, b) => ({ ...pair, written: textOf(rows[b]) })));
    }
    return this.#judged(answers);
  }

  #judged(answers: readonly Answer[]): Answers {
    const { partsOf } = this.data;
    const parts = answers.map(({ target }) => partsOf(target).length);
    const faults = answers.map(({ target, written }) => editDistance(partsOf(written), partsOf(target)));
    return { exact: faults.filter((n) => n === 0).length / answers.length, errorRate: sum(faults) / sum(parts), answers };
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, x) => total + x, 0);
const mean = (values: readonly number[]): number => sum(values) / Math.max(1, values.length);

/** Bytes of both texts, the end behind the target. */
function encoded({ input, target }: TextPair): Pair {
  const encoder = new TextEncoder();
  return { input: Int32Array.from(encoder.encode(input)), target: Int32Array.from([...encoder.encode(target), END]), classIndex: 0 };
}

/** The text of bytes; what is no byte is left out. */
export function textOf(ids: ArrayLike<number>): string {
  return new TextDecoder().decode(Uint8Array.from(Array.from(ids).filter((id) => id < 256)));
}
