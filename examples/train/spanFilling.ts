/** The paper's pre-training task: spans of a text are taken out, the encoder reads what is left, the decoder writes the spans. */
import type { Key } from "switchyard-moe";
import { key } from "switchyard-moe";
import { corruptSpans, noiseCounts, noiseSpans } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import type { EvaluationOptions } from "./evaluation.ts";
import { evaluatePairs } from "./pairEvaluation.ts";
import type { PairEvaluation } from "./pairEvaluation.ts";
import type { Pair } from "./pairs.ts";
import { collatePairs } from "./pairs.ts";
import type { Predicted, PredictingTask, Progress } from "./predicting.ts";
import { hardLoss, predictPairs } from "./predicting.ts";
import { sampleBatch, spread } from "./sequences.ts";
import type { At, Forwarded } from "./task.ts";
import type { Corpus, TextClass } from "./text.ts";
import { UserError } from "./userError.ts";
import { END, sentinels } from "./vocabulary.ts";

/** Held-out pieces that a validation during training looks at; the last one looks at all. */
const QUICK = 256;

/** Bytes start <= i < end of the document of a class that were taken out and are to be predicted. */
export interface MaskedSpan {
  readonly classIndex: number;
  readonly start: number;
  readonly end: number;
}

export interface HeldOutPair extends Pair {
  readonly masked: readonly MaskedSpan[];
}

/** A text as a pair: spans of it taken out by the key. */
function pairOf(bytes: Uint8Array | Int32Array, classIndex: number, random: Key, offset = 0): HeldOutPair {
  const spans = noiseSpans(bytes.length, random);
  const { input, target } = corruptSpans(bytes, spans, sentinels);
  const masked = spans.map(({ start, end }) => ({ classIndex, start: offset + start, end: offset + end }));
  return { input, target: Int32Array.from([...target, END]), classIndex, masked };
}

export class SpanFilling implements PredictingTask<EncoderDecoder> {
  readonly unit = "bits/token";
  readonly tokens: number;
  /** Every held-out byte in exactly one piece, each with the same spans taken out whenever it is scored. */
  readonly heldOut: readonly HeldOutPair[];
  readonly #corpus: Corpus;
  readonly #size: { readonly size: number; readonly length: number };

  constructor(corpus: Corpus, { batch, length }: { readonly batch: number; readonly length: number }) {
    const { spans } = noiseCounts(length);
    if (spans > sentinels.count)
      throw new UserError(`--length ${length}: ${spans} spans would be taken out, and there are ${sentinels.count} sentinels`);
    this.#corpus = corpus;
    this.#size = { size: batch, length };
    this.tokens = batch * (length + 2 * spans + 1);
    this.heldOut = heldOutPairs(corpus, length);
  }

  pairs(random: Key): Pair[] {
    // A sequence of `length` bytes: what it is to predict as a causal model does not matter here.
    const { size, length, inputs, classOf } = sampleBatch(this.#corpus, this.#size, (i) => random.number(i));
    return Array.from({ length: size }, (_, b) => pairOf(inputs.slice(b * length, (b + 1) * length), classOf[b], random.at("spans", b)));
  }

  predict(model: EncoderDecoder, { batch, pass }: At): Predicted {
    return predictPairs(model, collatePairs(this.pairs(batch)), pass);
  }

  forward(model: EncoderDecoder, at: At): Forwarded {
    return hardLoss(this.predict(model, at));
  }

  async validate(model: EncoderDecoder): Promise<number> {
    return (await evaluatePairs(model, spread(this.heldOut, QUICK), this.#options())).bitsPerToken;
  }

  async score(model: EncoderDecoder, progress: Progress): Promise<number> {
    return (await this.evaluate(model, progress)).bitsPerToken;
  }

  /** On all that is held out. */
  evaluate(model: EncoderDecoder, progress: Progress): Promise<PairEvaluation> {
    return evaluatePairs(model, this.heldOut, { ...this.#options(), progress });
  }

  #options(): EvaluationOptions {
    return { batch: this.#size.size, languages: this.#corpus.classes.length };
  }
}

function heldOutPairs({ classes }: Corpus, length: number): HeldOutPair[] {
  return classes.flatMap((text, classIndex) => text.heldOut.flatMap((span) => piecesOf(text, classIndex, span, length)));
}

/** A piece that would be shorter than half is joined to the one before it. */
function piecesOf(
  { code, document }: TextClass,
  classIndex: number,
  { start, end }: { start: number; end: number },
  length: number,
): HeldOutPair[] {
  const count = Math.max(1, Math.round((end - start) / length));
  const cut = (i: number): number => start + Math.round(((end - start) * i) / count);
  return Array.from({ length: count }, (_, i) =>
    pairOf(document.subarray(cut(i), cut(i + 1)), classIndex, key("held out").at(code, cut(i)), cut(i)),
  );
}
