/**
 * Scoring an encoder-decoder on held-out pairs, teacher forced: each token of a target given those before it.
 * B pairs of a batch, U tokens of a target, L sparse layers of both stacks.
 */
import { noGrad, scope } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { crossEntropy, evaluation } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import type { EvaluationOptions } from "./evaluation.ts";
import { mainExpert } from "./evaluation.ts";
import type { Observations } from "./information.ts";
import type { Pair, PairBatch } from "./pairs.ts";
import { collatePairs } from "./pairs.ts";
import { BYTES } from "./vocabulary.ts";

export interface PairEvaluation {
  /** Mean natural log-probability of a token of the targets, sentinels and end included: the paper's "negative log perplexity". */
  readonly negativeLogPerplexity: number;
  /** The same in bits, positive: what the loss is. */
  readonly bitsPerToken: number;
  /** Bits of the targets' bytes alone, per byte. */
  readonly bitsPerByte: number;
  /** Share of tokens that no expert served, the mean over layers. */
  readonly dropped: number;
  /** For each sparse layer: the expert, class and value of each byte that it read. */
  readonly observed: readonly Observations[];
}

/** Runs the model over the pairs without training it. */
export async function evaluatePairs(model: EncoderDecoder, pairs: readonly Pair[], options: EvaluationOptions): Promise<PairEvaluation> {
  const score = new PairScore(options.languages);
  const count = Math.ceil(pairs.length / options.batch);
  for (let i = 0; i < count; i++) {
    options.progress?.(i / count);
    await score.add(model, collatePairs(pairs.slice(i * options.batch, (i + 1) * options.batch)));
  }
  return score.result();
}

/** What a sparse layer read: ids [B, T] of its stack, and for each the expert and the slot, -1 where none served it. */
export interface LayerRead {
  readonly ids: Tensor;
  readonly expert: Tensor;
  readonly slot: Tensor;
  readonly experts: number;
}

/** The model's logits for a batch, and what its sparse layers read, those of the encoder first. Of one pass, in evaluation. */
export function readBatch(model: EncoderDecoder, { given }: PairBatch): { logits: Tensor; layers: LayerRead[] } {
  const { logits, routings } = model.forward(given, evaluation);
  const layersOf = (stack: readonly object[], ids: Tensor): LayerRead[] =>
    (stack as Routing[]).map(({ books, layout }) => ({
      ids,
      expert: mainExpert(books),
      slot: books.slotOfChoice.max(1),
      experts: layout.experts,
    }));
  return { logits, layers: [...layersOf(routings.encoder, given.ids), ...layersOf(routings.decoder, given.decoderIds)] };
}

function read(model: EncoderDecoder, batch: PairBatch): { nats: Tensor; layers: LayerRead[] } {
  return scope(() =>
    noGrad(() => {
      const { logits, layers } = readBatch(model, batch);
      return { nats: crossEntropy(logits, batch.targets, { reduction: "none" }), layers };
    }),
  );
}

/** Adds up batches. */
class PairScore {
  readonly #languages: number;
  #tokens = 0;
  #nats = 0;
  #bytes = 0;
  #natsOfBytes = 0;
  #routed = 0;
  #lost = 0;
  readonly #layers: { expert: number[]; language: number[]; byte: number[]; experts: number }[] = [];

  constructor(languages: number) {
    this.#languages = languages;
  }

  async add(model: EncoderDecoder, batch: PairBatch): Promise<void> {
    const { nats, layers } = read(model, batch);
    const [values, targets] = await Promise.all([nats.data(), batch.targets.data()]);
    for (let i = 0; i < targets.length; i++) {
      if (targets[i] < 0) continue;
      this.#tokens++;
      this.#nats += values[i];
      if (targets[i] >= BYTES) continue;
      this.#bytes++;
      this.#natsOfBytes += values[i];
    }
    for (const [l, layer] of layers.entries()) await this.#observe(l, layer, batch);
  }

  async #observe(l: number, { ids, expert, slot, experts }: LayerRead, { pairs }: PairBatch): Promise<void> {
    const layer = (this.#layers[l] ??= { expert: [], language: [], byte: [], experts });
    const [read, chosen, seat] = await Promise.all([ids.data(), expert.data(), slot.data()]);
    const length = read.length / pairs.length;
    for (let i = 0; i < read.length; i++) {
      if (read[i] >= BYTES) continue; // sentinels, padding, start
      this.#routed++;
      if (seat[i] < 0) this.#lost++;
      layer.expert.push(Math.max(0, chosen[i]));
      layer.language.push(pairs[Math.floor(i / length)].classIndex);
      layer.byte.push(read[i]);
    }
  }

  result(): PairEvaluation {
    const perToken = this.#nats / this.#tokens;
    return {
      negativeLogPerplexity: -perToken,
      bitsPerToken: perToken / Math.LN2,
      bitsPerByte: this.#natsOfBytes / this.#bytes / Math.LN2,
      dropped: this.#lost / Math.max(1, this.#routed),
      observed: this.#layers.map((layer) => ({ ...layer, languages: this.#languages })),
    };
  }
}
